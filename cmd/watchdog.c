#include "watchdog.h"

#include "options.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

enum { PATIENCE_S = 120 }; /* for one scenario, on a busy machine */

static struct watchdog at_work;

static char *put_text(char *to, const char *text)
{
    while (*text)
        *to++ = *text++;
    return to;
}

static char *put_number(char *to, const char *before, uint64_t number)
{
    char digits[24];
    int n = 0;
    to = put_text(to, before);
    do
        digits[n++] = (char)('0' + number % 10);
    while (number /= 10);
    while (n)
        *to++ = digits[--n];
    return to;
}

/* With nothing but what a handler may use. */
static void say_where(int signal)
{
    const struct watchdog *w = &at_work;
    char line[320], *to = line;
    uint64_t scenario, at;
    w->where(&scenario, &at);
    to = put_text(put_text(put_text(to, "takt: "), w->command), ":");
    to = put_number(to, " seed ", w->seed);
    to = put_number(to, " scenario ", scenario);
    to = put_text(put_number(to, w->before_at, at), w->after_at);
    to = put_text(to, signal == SIGALRM   ? ": it hangs"
                      : signal == SIGABRT ? ": an assertion failed"
                                          : ": it went to a wrong address");
    if (w->replays) {
        to = put_text(put_text(to, "; replay with: takt "), w->command);
        to = put_number(put_number(to, " --seed ", w->seed), " --scenario ", scenario);
    }
    *to++ = '\n';
    if (write(STDERR_FILENO, line, (size_t)(to - line)) < 0)
        _exit(EXIT_FAILED + 1);
    _exit(EXIT_FAILED);
}

void watchdog_begin(const struct watchdog *w)
{
    static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};
    at_work = *w;
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], say_where);
    watchdog_feed();
}

void watchdog_feed(void)
{
    alarm(PATIENCE_S);
}

void watchdog_end(void)
{
    alarm(0);
}
