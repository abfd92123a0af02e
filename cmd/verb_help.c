#include "verbs.h"

#include <stdio.h>
#include <string.h>

static void print_option(const struct option_info *i)
{
    char head[64];
    snprintf(head, sizeof head, "%s%s%s", i->names, i->value ? " " : "", i->value ? i->value : "");
    printf("  %-24s %s\n", head, i->meaning);
}

/* All but --help, which who reads this knows, and is the only one of takt help itself. */
static int help_on_verb(const struct verb *v)
{
    printf("takt %s%s%s - %s\n", v->name, *v->usage ? " " : "", v->usage, v->meaning);
    if (*v->more)
        printf("%s", v->more);
    printf("\n");
    for (const struct option_info *i = option_infos; i->names; i++)
        if (option_in(i, v->options) &&
            (v->run == verb_help || strcmp(i->names, "-h, --help") != 0))
            print_option(i);
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
    printf("\nA SOURCE or SINK is a device (see takt devices) or the path of a recording.\n"
           "Options, alike everywhere: -i SOURCE -o SINK -r RATE -b BLOCK -c CHANNELS\n"
           "-t SECONDS --json --fast --strict -q -v; takt VERB --help, man takt say more.\n"
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
