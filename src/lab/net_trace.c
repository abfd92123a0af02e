/*
 * Recorded arrivals: a file of lines `arrival_ns rtp_timestamp`. Nothing is known of the sound, so
 * it is ours, and of as low a rate as the packets' length allows: what the receiver learns of the
 * network has nothing to do with it.
 */
#include "base/fail.h"
#include "io/text_file.h"
#include "lab/net_run.h"
#include "wire/rtp.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 256, PAYLOAD_MAX = 1440, PAYLOAD_TYPE = 96, RATE_LEAST = 8000 };
static const int64_t gap_most_ns = 3600 * (int64_t)1000000000;

struct reading {
    struct takt_lab_net_trace *t;
    uint64_t room;
    const char *path;
    uint64_t number; /* of the line, from 1 on */
};

static int wrong(const struct reading *r, struct takt_error *e, const char *why)
{
    return takt_fail(e, TAKT_ERR_FORMAT, 0, "%.100s:%llu: %s", r->path,
                     (unsigned long long)r->number, why);
}

/* A whole number and what is behind it. */
static bool read_whole(const char **at, int64_t *to)
{
    char *end;
    const char *digits = **at == '-' ? *at + 1 : *at;
    if (!isdigit((unsigned char)*digits))
        return false;
    errno = 0;
    *to = strtoll(*at, &end, 10);
    *at = end;
    return errno == 0;
}

static const char *past_blanks(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

static int add_line(struct reading *r, int64_t arrival_ns, uint32_t timestamp, struct takt_error *e)
{
    struct takt_lab_net_trace *t = r->t;
    if (t->count == r->room) {
        uint64_t room = r->room ? 2 * r->room : 4096;
        void *more = realloc(t->lines, room * sizeof *t->lines);
        if (!more)
            return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory for %.100s", r->path);
        t->lines = more;
        r->room = room;
    }
    t->lines[t->count++] =
        (struct takt_lab_net_line){.arrival_ns = arrival_ns, .timestamp = timestamp};
    return TAKT_OK;
}

static int read_line(struct reading *r, const char *line, struct takt_error *e)
{
    int64_t arrival_ns, timestamp;
    const char *at = past_blanks(line);
    if (!*at || *at == '#')
        return TAKT_OK;
    if (!read_whole(&at, &arrival_ns) || !isblank((unsigned char)*at))
        return wrong(r, e, "not a line 'arrival_ns rtp_timestamp' of two whole numbers");
    at = past_blanks(at);
    if (!read_whole(&at, &timestamp) || *past_blanks(at))
        return wrong(r, e, "not a line 'arrival_ns rtp_timestamp' of two whole numbers");
    if (timestamp < 0 || timestamp > UINT32_MAX)
        return wrong(r, e, "a timestamp is 0 to 4294967295");
    if (llabs(arrival_ns) > INT64_MAX / 4)
        return wrong(r, e, "an arrival is far from all time");
    return add_line(r, arrival_ns, (uint32_t)timestamp, e);
}

static int read_lines(struct reading *r, FILE *from, struct takt_error *e)
{
    char line[LINE_MAX_BYTES];
    while (fgets(line, sizeof line, from)) {
        r->number++;
        if (!strchr(line, '\n') && !feof(from)) {
            if (*past_blanks(line) != '#')
                return wrong(r, e, "the line is too long");
            for (int c = 0; c != '\n' && c != EOF;)
                c = fgetc(from);
        }
        int err = read_line(r, line, e);
        if (err < 0)
            return err;
    }
    if (ferror(from))
        return takt_fail(e, TAKT_ERR_IO, errno, "%.100s", r->path);
    return TAKT_OK;
}

/* ---- In order -------------------------------------------------------------------------------- */

/* Lines that came at the same time stay as they are: place holds where they stood. */
static int by_arrival(const void *a, const void *b)
{
    const struct takt_lab_net_line *x = a, *y = b;
    if (x->arrival_ns != y->arrival_ns)
        return x->arrival_ns < y->arrival_ns ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static void sort(struct takt_lab_net_trace *t)
{
    bool is_sorted = true;
    for (uint64_t i = 0; i < t->count; i++) {
        t->lines[i].place = (int32_t)i;
        is_sorted = is_sorted && (!i || t->lines[i].arrival_ns >= t->lines[i - 1].arrival_ns);
    }
    if (!is_sorted)
        qsort(t->lines, t->count, sizeof *t->lines, by_arrival);
}

/* How long a packet is: the difference that stands most often between one line and the next, of
 * the first thousands. */
static uint32_t usual_step(const struct takt_lab_net_trace *t)
{
    enum { KINDS = 64, LOOKED_AT = 20000 };
    struct {
        uint32_t step, times;
    } kind[KINDS] = {{0}}, best = {0};
    uint32_t kinds = 0;
    for (uint64_t i = 1; i < t->count && i < LOOKED_AT; i++) {
        int32_t step = (int32_t)(t->lines[i].timestamp - t->lines[i - 1].timestamp);
        uint32_t k = 0;
        while (k < kinds && kind[k].step != (uint32_t)step)
            k++;
        if (step <= 0 || k == KINDS)
            continue;
        kinds = k == kinds ? kinds + 1 : kinds;
        kind[k].step = (uint32_t)step;
        if (++kind[k].times > best.times) {
            best.step = kind[k].step;
            best.times = kind[k].times;
        }
    }
    return best.step;
}

static int give_places(struct reading *r, struct takt_error *e)
{
    struct takt_lab_net_trace *t = r->t;
    int64_t first_ns = t->count ? t->lines[0].arrival_ns : 0, ticks = 0, newest = 0;
    t->packet_ticks = usual_step(t);
    if (!t->packet_ticks)
        return takt_fail(e, TAKT_ERR_FORMAT, 0,
                         "%.100s: not two lines of packets that follow each other", r->path);
    uint32_t first = t->lines[0].timestamp;
    for (uint64_t i = 0; i < t->count; i++) {
        struct takt_lab_net_line *line = &t->lines[i];
        line->arrival_ns -= first_ns;
        if (i && line->arrival_ns - t->lines[i - 1].arrival_ns > gap_most_ns)
            return takt_fail(e, TAKT_ERR_FORMAT, 0,
                             "%.100s: no arrival for over an hour before timestamp %u", r->path,
                             line->timestamp);
        ticks = takt_unwrap32(newest, line->timestamp - first);
        newest = ticks > newest ? ticks : newest;
        int64_t place =
            (ticks >= 0 ? ticks : ticks - (int64_t)t->packet_ticks + 1) / (int64_t)t->packet_ticks;
        line->place = (int32_t)place;
    }
    return TAKT_OK;
}

int takt_lab_net_trace_read(const char *path, uint32_t rate_hz, struct takt_lab_net_trace *out,
                            struct takt_error *e)
{
    struct reading r = {.t = out, .path = path};
    *out = (struct takt_lab_net_trace){.rate_hz = rate_hz};
    int fd = takt_text_open(path, e);
    FILE *from = fd < 0 ? NULL : fdopen(fd, "r");
    if (fd >= 0 && !from) {
        takt_fail(e, TAKT_ERR_IO, errno, "cannot read %.100s", path);
        close(fd);
    }
    if (!from)
        return fd < 0 ? fd : TAKT_ERR_IO;
    int err = read_lines(&r, from, e);
    fclose(from);
    if (err >= 0) {
        sort(out);
        err = give_places(&r, e);
    }
    if (err >= 0 && takt_lab_net_trace_rate(out) == 0)
        err = takt_fail(e, TAKT_ERR_FORMAT, 0,
                        "%.100s: packets of %u at %u Hz are none that can be played", path,
                        out->packet_ticks, rate_hz);
    if (err < 0)
        takt_lab_net_trace_clear(out);
    return err;
}

void takt_lab_net_trace_clear(struct takt_lab_net_trace *t)
{
    free(t->lines);
    *t = (struct takt_lab_net_trace){0};
}

/* ---- Packets --------------------------------------------------------------------------------- */

uint32_t takt_lab_net_trace_rate(const struct takt_lab_net_trace *t)
{
    /* Frames of whole numbers in a packet of the same length, of which the smallest rate will do.
     */
    for (uint32_t frames = 1; frames <= PAYLOAD_MAX / 2; frames++) {
        uint64_t hz = (uint64_t)frames * t->rate_hz;
        if (hz % t->packet_ticks == 0 && hz / t->packet_ticks >= RATE_LEAST)
            return hz / t->packet_ticks <= 384000 ? (uint32_t)(hz / t->packet_ticks) : 0;
    }
    return 0;
}

void takt_lab_net_trace_plan(const struct takt_lab_net_trace *t, struct takt_lab_net_plan *p)
{
    struct takt_codec_format *f = &p->format;
    f->codec = TAKT_CODEC_L16;
    f->rate_hz = takt_lab_net_trace_rate(t);
    f->frames = (uint32_t)((uint64_t)t->packet_ticks * f->rate_hz / t->rate_hz);
    f->channels = 1;
    p->packet_ms = 0;
    p->out_hz = f->rate_hz;
    p->out_block = p->block_frames = f->rate_hz / 1000 + (f->rate_hz % 1000 != 0);
    p->seconds = (double)t->lines[t->count - 1].arrival_ns * 1e-9;
    p->has_pauses = p->is_encrypted = false;
    p->is_told = true;
}

size_t takt_lab_net_trace_packet(const struct takt_lab_net_trace *t, uint64_t number,
                                 const struct takt_lab_net_plan *p, const struct takt_lab_sound *s,
                                 uint8_t *out, size_t room)
{
    uint8_t payload[PAYLOAD_MAX];
    const struct takt_lab_net_line *line = &t->lines[number];
    int64_t first = (int64_t)line->place * p->format.frames;
    size_t bytes = 2 * (size_t)p->format.frames;
    for (uint32_t i = 0; i < p->format.frames; i++) {
        int32_t x = (int32_t)(takt_lab_sound_at(s, first + i, 0, 0) * 32768);
        payload[2 * i] = (uint8_t)((uint32_t)x >> 8);
        payload[2 * i + 1] = (uint8_t)x;
    }
    struct takt_rtp rtp = {.payload_type = PAYLOAD_TYPE,
                           .seq = (uint16_t)line->place,
                           .timestamp = (uint32_t)first,
                           .ssrc = 1,
                           .payload = payload,
                           .payload_bytes = bytes};
    int n = takt_rtp_write(&rtp, out, room);
    return n > 0 ? (size_t)n : 0;
}
