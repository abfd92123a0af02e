#include "verbs.h"

#include <stdio.h>
#include <string.h>

static void print_option(const struct option_info *i)
{
    char head[64];
    snprintf(head, sizeof head, "%s%s%s", i->names, i->value ? " " : "", i->value ? i->value : "");
    printf("  %-24s %s\n", head, i->meaning);
}

/* The names of those behind the |, as many to a line as there is room. */
static void print_others(const char *others)
{
    int column = 0;
    printf("More, explained in man takt:");
    for (const struct option_info *i = option_infos; i->names; i++) {
        int length = (int)strlen(i->names) + 2;
        if (!option_in(i, others) || !strcmp(i->names, "-h, --help"))
            continue;
        if (!column || column + length > 78)
            column = printf("\n   ") - 1;
        column += printf(" %s ", i->names);
    }
    printf("\n");
}

/* All but --help, which who reads this knows, and is the only one of takt help itself. */
static int help_on_verb(const struct verb *v)
{
    printf("takt %s%s%s - %s\n", v->name, *v->usage ? " " : "", v->usage, v->meaning);
    if (*v->more)
        printf("%s", v->more);
    printf("\n");
    const char *others = strchr(v->options, '|');
    for (const struct option_info *i = option_infos; i->names; i++)
        if (option_in(i, v->options) && !(others && option_in(i, others)) &&
            (v->run == verb_help || strcmp(i->names, "-h, --help") != 0))
            print_option(i);
    if (others)
        print_others(others);
    return EXIT_OK;
}

static void help_on_all(void)
{
    printf("takt - real-time audio that keeps its deadline, and shows that it did\n\n");
    for (const struct verb *v = verbs; v->name; v++) {
        char head[64];
        snprintf(head, sizeof head, "%s %s", v->name, v->usage);
        printf("  takt %-28s %s\n", head, v->meaning);
    }
    printf("A SOURCE or SINK is a device (see takt devices) or a recording. Everywhere:\n"
           "-i -o -r -b -c -t --json --fast --strict -q -v; takt VERB --help says more.\n"
           "Exit status: 0 well, 1 failed, 2 wrong usage, 3 contract broken with --strict.\n");
}

int verb_help(struct options *o)
{
    int status = verb_words(o, 0, 1, "[VERB]");
    if (status)
        return status;
    if (o->word_count == 0) {
        help_on_all();
        return EXIT_OK;
    }
    const char *names[32];
    int n = 0;
    for (const struct verb *v = verbs; v->name; v++) {
        if (!strcmp(v->name, o->words[0]))
            return help_on_verb(v);
        names[n++] = v->name;
    }
    names[n] = NULL;
    const char *near = nearest(o->words[0], names);
    return near ? complain(o, EXIT_USAGE, "%s: no such verb; did you mean %s?", o->words[0], near)
                : complain(o, EXIT_USAGE, "%s: no such verb; see takt help", o->words[0]);
}
