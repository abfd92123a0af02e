/*
 * Programs that a check could be wrong about, named by the argument: for check_test.py.
 *
 *     off          the stream's guard is off, and it takes memory
 *     mixed        takes no memory in one stream, and some in another whose guard is off
 *     never        makes a stream and does not start it
 *     background   the stream runs in a child, and the parent ends once it does
 *     127, killed  takes memory in a callback, then ends so
 *     ways         takes memory in one place, which is reached in several ways, some by recursion
 *     many         the same in more ways than the guard has room for
 *     again        the same in a second stream, in another way and earlier in it
 *     plugin       opens a library that only its own paths lead to, and asks for the next free
 *     clean, read  takes no memory; takes some and asks the guard for it
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <takt/takt.h>
#include <unistd.h>

static void *volatile held;
static const char *what;
static int begun[2]; /* a pipe */

static __attribute__((noinline)) void take(int depth)
{
    if (depth)
        take(depth - 1);
    else
        held = malloc(64);             /* breaks: ways */
    __asm__ volatile("" ::: "memory"); /* or it would be a loop */
}

/* One way of 2^depth; the two calls are not alike, or they would be one. */
static __attribute__((noinline)) void branch(unsigned way, int depth)
{
    if (!depth) {
        take(0);
    } else if (way & 1) {
        branch(way >> 1, depth - 1);
        __asm__ volatile("nop");
    } else {
        branch(way >> 1, depth - 1);
        __asm__ volatile("");
    }
}

enum { NEVER = -1, LATE = 6400, EARLY = 640 };

static enum takt_next process(const struct takt_block *b, void *arg)
{
    const int *from = arg;
    unsigned block = (unsigned)(b->position / b->frames);
    if (*from == NEVER || b->position < (uint64_t)*from)
        return TAKT_CONTINUE;
    if (!strcmp(what, "ways"))
        take((int)(block % 4));
    else if (!strcmp(what, "many"))
        for (unsigned i = 0; i < 8; i++)
            branch(8 * block + i, 8);
    else
        take(*from == EARLY);
    return TAKT_CONTINUE;
}

static int play(bool is_to_start, int from, enum takt_guard_mode guard)
{
    struct takt_stream *s;
    struct takt_error e;
    struct takt_stream_cfg cfg = {.in = {.device = "sim:tone=440"},
                                  .rate_hz = 48000,
                                  .block_frames = 64,
                                  .length_frames = strcmp(what, "background") ? 9600 : 480000,
                                  .clock = strcmp(what, "background") ? TAKT_CLOCK_VIRTUAL
                                                                      : TAKT_CLOCK_REAL,
                                  .guard = guard,
                                  .process = process,
                                  .arg = &from};
    if (takt_stream_create(&cfg, &s, &e) < 0 || (is_to_start && takt_stream_start(s) < 0))
        return takt_die(&e);
    if (begun[1] >= 0)
        close(begun[1]);
    begun[1] = -1;
    if (is_to_start)
        takt_stream_wait(s, -1);
    takt_stream_destroy(s);
    return 0;
}

/* Both ask the loader who they are. */
static int open_plugin(void)
{
    void *plugin = dlopen("libviolations-library.so", RTLD_NOW);
    if (!plugin)
        return fprintf(stderr, "%s\n", dlerror()), 5;
    if (!dlsym(RTLD_NEXT, "free") || dlsym(RTLD_NEXT, "main"))
        return 6;
    dlclose(plugin);
    return 0;
}

static int ask(void)
{
    struct takt_guard_finding found[4];
    printf("%d\n", takt_guard_findings(found, 4));
    return 0;
}

/* In the parent: waits until the child's stream runs. In the child: lets go of the console. */
static bool goes_to_background(void)
{
    char nothing;
    if (fork()) {
        close(begun[1]);
        return read(begun[0], &nothing, 1) == 0;
    }
    return !freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr);
}

int main(int argc, char **argv)
{
    what = argc > 1 ? argv[1] : "clean";
    if (pipe2(begun, O_CLOEXEC) < 0 || (!strcmp(what, "background") && goes_to_background()))
        return 0;
    bool is_clean = !strcmp(what, "clean") || !strcmp(what, "background");
    bool is_mixed = !strcmp(what, "mixed");
    int status = play(strcmp(what, "never") != 0, is_clean || is_mixed ? NEVER : LATE,
                      strcmp(what, "off") ? TAKT_GUARD_DEFAULT : TAKT_GUARD_OFF);
    if (is_mixed && !status)
        status = play(true, LATE, TAKT_GUARD_OFF);
    if (!strcmp(what, "again") && !status)
        status = play(true, EARLY, TAKT_GUARD_DEFAULT);
    if (!strcmp(what, "127"))
        return 127;
    if (!strcmp(what, "killed"))
        raise(SIGKILL);
    if (!strcmp(what, "plugin"))
        return open_plugin();
    return !strcmp(what, "read") ? ask() : status;
}
