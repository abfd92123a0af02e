/*
 * The pipes of a running session: what their programs say, told among the other lines.
 *
 * On a real clock a line has the time at which it came. On a virtual clock there is no such time
 * that would be the same on the next run: the lines are kept, and told at the end, pipe by pipe.
 */
#include "running.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT_BYTES_MAX = 64 << 20, POLL_MS = 10, LAST_READS = 64 };

static struct chain *chain_of(const struct running *r)
{
    static struct chain none;
    return r->session->chain ? r->session->chain : &none;
}

int pipes_begin(struct running *r)
{
    struct chain *c = chain_of(r);
    for (int i = 0; i < c->pipe_count; i++) {
        int status = pipe_begin(c->pipes[i], &r->actual, &r->session->signals.before);
        if (status)
            return status;
    }
    return 0;
}

void pipes_leave(struct running *r)
{
    for (int i = 0; i < chain_of(r)->pipe_count; i++)
        pipe_leave(chain_of(r)->pipes[i]);
}

int pipes_poll(const struct running *r, struct pollfd *fds)
{
    int n = 0;
    for (int i = 0; i < chain_of(r)->pipe_count; i++)
        n += pipe_poll(chain_of(r)->pipes[i], fds + n);
    return n;
}

static bool keep(struct running *r, int number, const char *text)
{
    bool is_virtual = r->actual.clock == TAKT_CLOCK_VIRTUAL;
    size_t bytes = strlen(text) + 1;
    if (!is_virtual) /* behind all that was told, and before all that will be */
        return lines_add(&r->lines, atomic_load(&r->levels_until) - !!atomic_load(&r->levels_until),
                         PIPES + number, text, bytes);
    if (r->said_bytes + bytes + 64 > KEPT_BYTES_MAX || !lines_add(&r->said, 0, number, text, bytes))
        return false;
    r->said_bytes += bytes + 64;
    return true;
}

static bool tell(struct pipe *p, char what, const char *line, void *arg)
{
    struct running *r = arg;
    if (what == 'o')
        return keep(r, pipe_number(p), line);
    running_tell(r, "pipe %d: %s", pipe_number(p), line);
    return true;
}

bool pipes_take(struct running *r)
{
    bool more = false;
    for (int i = 0; i < chain_of(r)->pipe_count; i++)
        more |= pipe_take(chain_of(r)->pipes[i], tell, r);
    return more;
}

void pipes_show(struct running *r, int number, const char *text, double time_s)
{
    const struct options *o = r->session->options;
    if (o->quiet)
        return;
    if (o->json) {
        struct json j = {.to = stdout};
        json_open(&j, NULL, '{');
        json_string(&j, "type", "pipe");
        json_number(&j, "time_s", time_s, 6);
        json_int(&j, "pipe", number);
        if (json_is_object(text))
            json_raw(&j, "line", text);
        else
            json_string(&j, "line", text);
        json_close(&j, '}');
        json_end_line(&j);
        return;
    }
    char *printable = strdup(text);
    if (!printable)
        return;
    for (char *c = printable; *c; c += utf8_length(c) ? utf8_length(c) : 1)
        if (!utf8_length(c))
            *c = '?'; /* a terminal may take it for one of its controls */
    make_printable(printable);
    terminal_clear(&r->terminal);
    printf("%8.1f s  pipe %d: %s\n", time_s, number, printable);
    free(printable);
}

/* After the stream. A signal ends the waiting, and the programs. */
void pipes_finish(struct running *r)
{
    struct chain *c = chain_of(r);
    struct pollfd fds[1 + 2 * PIPES_MAX] = {{.fd = r->session->signals.fd, .events = POLLIN}};
    bool runs = c->pipe_count > 0, hurries = false;
    for (int i = 0; i < c->pipe_count; i++)
        pipe_end_input(c->pipes[i]);
    while (runs) {
        bool more = pipes_take(r);
        runs = false;
        for (int i = 0; i < c->pipe_count; i++)
            runs |= pipe_still_runs(c->pipes[i], hurries);
        analyses_take(r, false);
        hurries |= output_flush() != OUTPUT_WELL;
        if (runs && !more)
            poll(fds, 1 + (nfds_t)pipes_poll(r, fds + 1), POLL_MS);
        hurries |= signals_ends(signals_next(&r->session->signals));
    }
    for (int i = 0; i < LAST_READS && pipes_take(r); i++)
        ;
    analyses_take(r, true); /* the last of all lines, behind which those kept are told */
    struct line *one;
    double end_s = (double)takt_stream_position(r->stream) / r->actual.rate_hz;
    for (; (one = lines_next(&r->said, UINT64_MAX)); free(one))
        pipes_show(r, one->source, (const char *)one->event, end_s);
    for (int i = 0; i < c->pipe_count; i++) {
        char status[512];
        if (!pipe_failed(c->pipes[i]))
            continue;
        pipe_status(c->pipes[i], status, sizeof status);
        complain(r->session->options, EXIT_FAILED, "%s", status);
        r->pipe_failed = true;
    }
}

uint64_t pipes_dropped(const struct running *r)
{
    uint64_t dropped = 0;
    for (int i = 0; i < chain_of(r)->pipe_count; i++)
        dropped += pipe_dropped(chain_of(r)->pipes[i]);
    return dropped;
}

void pipes_json(const struct running *r, struct json *j)
{
    if (!chain_of(r)->pipe_count)
        return;
    json_open(j, "pipes", '[');
    for (int i = 0; i < chain_of(r)->pipe_count; i++)
        pipe_json(chain_of(r)->pipes[i], j);
    json_close(j, ']');
}

void pipes_text(const struct running *r)
{
    for (int i = 0; i < chain_of(r)->pipe_count; i++)
        pipe_text(chain_of(r)->pipes[i]);
}
