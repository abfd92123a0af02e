/*
 * takt key new FILE, takt key check FILE. A key is never printed.
 */
#include "verbs.h"

#include <stdio.h>
#include <string.h>

static void say(const struct options *o, const char *path, const char *what)
{
    char name[512];
    snprintf(name, sizeof name, "%s", path);
    make_printable(name);
    if (!o->quiet)
        printf("%s: %s\n", name, what);
}

static int make(const struct options *o, const char *path)
{
    struct takt_error e;
    if (takt_key_new(path, &e) < 0)
        return complain(o, EXIT_FAILED, "%s", e.text);
    say(o, path, "a new key; copy it to the other side by a safe way, such as scp");
    return EXIT_OK;
}

static int check(const struct options *o, const char *path)
{
    struct takt_error e;
    struct takt_key key;
    int err = takt_key_read(path, &key, &e);
    takt_key_wipe(&key);
    if (err < 0)
        return complain(o, EXIT_FAILED, "%s", e.text);
    say(o, path, "a key, and nobody but its owner can read it");
    return EXIT_OK;
}

int verb_key(struct options *o)
{
    static const char usage[] = "new|check FILE";
    static const char *const tasks[] = {"new", "check", NULL};
    int status = o->word_count ? 0 : verb_words(o, 2, 2, usage);
    if (status)
        return status;
    const char *task = o->words[0], *near = nearest(task, tasks);
    bool is_new = !strcmp(task, "new");
    if (!is_new && strcmp(task, "check") != 0)
        return near ? complain(o, EXIT_USAGE, "%s: not new or check; did you mean %s?", task, near)
                    : complain(o, EXIT_USAGE, "%s: not new or check: takt key %s", task, usage);
    status = verb_words(o, 2, 2, usage);
    if (!status && !*o->words[1])
        return complain(o, EXIT_USAGE, "the file has no name: takt key %s", usage);
    return status ? status : is_new ? make(o, o->words[1]) : check(o, o->words[1]);
}
