/*
 * The reader polls before it reads, so that it can be ended while nothing comes. The writer polls
 * before it writes no more than a pipe that is ready is sure to take, so that it never hangs in a
 * write; stdout stays as it was for those who share it.
 */
#include "raw.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POLL_MS = 50, NAP_MS = 2, BUFFER_S = 2, CUSHION_MS = 20, PATIENCE_MS = 2000, BYTES = 4096 };

static inline uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

bool raw_is(const char *id)
{
    return id && !strcmp(id, "-");
}

static enum takt_sample format_of(const struct options *o)
{
    return o->net.raw ? o->net.raw : TAKT_F32;
}

static int start(const struct options *o, const char *name, void (*entry)(void *), void *arg,
                 struct takt_thread **thread)
{
    struct takt_error e;
    struct takt_thread_cfg cfg = {
        .name = name, .entry = entry, .arg = arg, .priority = TAKT_PRIORITY_OFF};
    return takt_thread_start(&cfg, thread, &e) < 0 ? complain(o, EXIT_FAILED, "%s", e.text) : 0;
}

static int make_ring(const struct options *o, uint32_t channels, uint32_t rate_hz,
                     struct takt_ring **ring)
{
    struct takt_error e;
    struct takt_ring_cfg cfg = {.elem_bytes = channels * sizeof(float),
                                .capacity = BUFFER_S * (size_t)rate_hz + TAKT_BLOCK_FRAMES_MAX};
    return takt_ring_create(&cfg, ring, &e) < 0 ? complain(o, EXIT_FAILED, "%s", e.text) : 0;
}

/* ---- In ----------------------------------------------------------------------------------------
 */

struct raw_in {
    const struct options *options;
    enum takt_sample format;
    uint32_t channels;
    size_t frame_bytes, cushion_frames;
    struct takt_ring *ring;
    struct takt_thread *thread;
    _Atomic bool quits, ended;
    _Atomic int error;     /* errno that ended it */
    size_t left_bytes;     /* of a frame that is not whole; the reader's */
    bool is_primed, begun; /* the callback's */
    _Atomic uint64_t taken, starved;
};

/* Whole frames of the buffer into the ring, which has room for some soon. */
static void hand_on(struct raw_in *r, const char *bytes, size_t frames)
{
    while (frames && !atomic_load(&r->quits)) {
        void *at;
        size_t n = takt_ring_reserve(r->ring, frames, &at);
        if (!n) {
            takt_sleep_ms(NAP_MS);
            continue;
        }
        size_t stride = r->channels, sample = takt_sample_bytes(r->format);
        takt_decode(at, bytes, r->format, 1, n * stride);
        takt_ring_commit(r->ring, n);
        bytes += n * stride * sample;
        frames -= n;
    }
}

static void read_all(void *arg)
{
    struct raw_in *r = arg;
    char buffer[16 * BYTES];
    while (!atomic_load(&r->quits)) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&in, 1, POLL_MS) <= 0)
            continue;
        ssize_t n = read(STDIN_FILENO, buffer + r->left_bytes, sizeof buffer - r->left_bytes);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            atomic_store(&r->error, errno);
        if (n <= 0)
            break;
        size_t bytes = r->left_bytes + (size_t)n, frames = bytes / r->frame_bytes;
        hand_on(r, buffer, frames);
        r->left_bytes = bytes - frames * r->frame_bytes;
        memmove(buffer, buffer + frames * r->frame_bytes, r->left_bytes);
    }
    atomic_store_explicit(&r->ended, true, memory_order_release);
}

int raw_in_begin(const struct options *o, uint32_t channels, uint32_t rate_hz, struct raw_in **out)
{
    struct raw_in *r = *out = calloc(1, sizeof *r);
    if (!r)
        return complain(o, EXIT_FAILED, "out of memory");
    r->options = o;
    r->format = format_of(o);
    r->channels = channels;
    r->frame_bytes = channels * takt_sample_bytes(r->format);
    r->cushion_frames = (size_t)rate_hz * CUSHION_MS / 1000;
    int status = make_ring(o, channels, rate_hz, &r->ring);
    return status ? status : start(o, "takt-stdin", read_all, r, &r->thread);
}

void raw_in_end(struct raw_in *r)
{
    if (!r)
        return;
    atomic_store(&r->quits, true);
    takt_thread_join(r->thread, -1);
    takt_ring_destroy(r->ring);
    free(r);
}

uint32_t raw_in_read(struct raw_in *r, float *const *planes, uint32_t frames)
{
    const void *at;
    bool ended = atomic_load_explicit(&r->ended, memory_order_acquire);
    size_t there = takt_ring_read_avail(r->ring);
    if (!r->is_primed && !ended && there < r->cushion_frames + frames) {
        if (r->begun)
            add(&r->starved, frames);
        return 0;
    }
    uint32_t n = (uint32_t)takt_ring_peek(r->ring, frames, &at);
    takt_deinterleave(planes, at, r->channels, n);
    takt_ring_advance(r->ring, n);
    add(&r->taken, n);
    if (n < frames && !ended)
        add(&r->starved, frames - n);
    r->begun |= n > 0;
    r->is_primed = n == frames;
    return n;
}

bool raw_in_is_over(struct raw_in *r)
{
    return atomic_load_explicit(&r->ended, memory_order_acquire) && !takt_ring_read_avail(r->ring);
}

bool raw_in_has_begun(const struct raw_in *r)
{
    return r->begun;
}

bool raw_in_is_empty(const struct raw_in *r)
{
    return atomic_load(&r->ended) && !r->begun;
}

void raw_in_json(const struct raw_in *r, struct json *j)
{
    json_open(j, "raw", '{');
    json_string(j, "format", takt_sample_name(r->format));
    json_int(j, "frames", (int64_t)get(&r->taken));
    json_int(j, "starved_frames", (int64_t)get(&r->starved));
    json_close(j, '}');
}

int raw_in_verdict(const struct raw_in *r)
{
    int error = atomic_load(&r->error);
    if (error)
        return complain(r->options, EXIT_FAILED, "-i -: cannot read stdin: %s", strerror(error));
    if (atomic_load(&r->ended) && !atomic_load(&r->quits) && r->left_bytes)
        return complain(r->options, EXIT_FAILED,
                        "-i -: stdin ended within a frame; it should have %u channels of %s",
                        r->channels, takt_sample_name(r->format));
    if (raw_in_is_empty(r) && !atomic_load(&r->quits))
        return complain(r->options, EXIT_FAILED,
                        "-i -: stdin was empty, so nothing was sent; see whether the program "
                        "before it works");
    return 0;
}

/* ---- Out ---------------------------------------------------------------------------------------
 */

struct raw_out {
    const struct options *options;
    int fd;
    enum takt_sample format;
    uint32_t channels;
    size_t frame_bytes;
    struct takt_ring *ring;
    struct takt_thread *thread;
    _Atomic bool ends, is_gone;
    _Atomic int error; /* errno that ended it; EPIPE: the reader left, which is its right */
    _Atomic uint64_t given, dropped;
};

int raw_out_take(const struct options *o, int *fd)
{
    *fd = -1;
    if (isatty(STDOUT_FILENO))
        return complain(o, EXIT_USAGE,
                        "-o -: raw frames would go to the terminal; add a pipe, as in | aplay -f "
                        "FLOAT_LE -c 2 -r 48000");
    *fd = dup(STDOUT_FILENO);
    if (*fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return complain(o, EXIT_FAILED, "-o -: cannot use stdout: %s", strerror(errno));
    return 0;
}

/* Writes bytes, at most what a ready pipe takes at once. False: it gets no more. */
static bool put(struct raw_out *r, const char *bytes, size_t size)
{
    int64_t moved_ns = takt_now_ns();
    while (size) {
        struct pollfd to = {.fd = r->fd, .events = POLLOUT};
        bool late = takt_now_ns() - moved_ns > PATIENCE_MS * INT64_C(1000000);
        if (late && atomic_load(&r->ends))
            return false;
        if (poll(&to, 1, POLL_MS) <= 0)
            continue;
        ssize_t n = write(r->fd, bytes, size < PIPE_BUF ? size : PIPE_BUF);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0) {
            atomic_store(&r->error, errno);
            return false;
        }
        bytes += n;
        size -= (size_t)n;
        moved_ns = takt_now_ns();
    }
    return true;
}

static void write_all(void *arg)
{
    struct raw_out *r = arg;
    char buffer[BYTES];
    struct takt_encode_state state;
    takt_encode_init(&state, r->options->dither, TAKT_CLIP_INTEGERS, 1);
    for (;;) {
        const void *at;
        bool ends = atomic_load(&r->ends);
        size_t frames = takt_ring_peek(r->ring, BYTES / r->frame_bytes, &at);
        if (!frames && ends)
            break;
        if (!frames) {
            takt_sleep_ms(NAP_MS);
            continue;
        }
        takt_encode(buffer, r->format, 1, at, frames * r->channels, &state);
        takt_ring_advance(r->ring, frames);
        if (!put(r, buffer, frames * r->frame_bytes))
            break;
        add(&r->given, frames);
    }
    atomic_store(&r->is_gone, true);
}

int raw_out_begin(const struct options *o, int fd, uint32_t channels, uint32_t rate_hz,
                  struct raw_out **out)
{
    struct raw_out *r = *out = calloc(1, sizeof *r);
    if (!r)
        return complain(o, EXIT_FAILED, "out of memory");
    r->options = o;
    r->fd = fd;
    r->format = format_of(o);
    r->channels = channels;
    r->frame_bytes = channels * takt_sample_bytes(r->format);
    int status = make_ring(o, channels, rate_hz, &r->ring);
    return status ? status : start(o, "takt-stdout", write_all, r, &r->thread);
}

bool raw_out_write(struct raw_out *r, const float *const *planes, uint32_t frames)
{
    void *at;
    if (atomic_load_explicit(&r->is_gone, memory_order_relaxed))
        return false;
    if (takt_ring_reserve(r->ring, frames, &at) < frames) {
        add(&r->dropped, frames);
        return true;
    }
    takt_interleave(at, planes, r->channels, frames);
    takt_ring_commit(r->ring, frames);
    return true;
}

void raw_out_finish(struct raw_out *r)
{
    atomic_store(&r->ends, true);
    takt_thread_join(r->thread, -1);
    r->thread = NULL;
}

uint64_t raw_out_dropped(const struct raw_out *r)
{
    return get(&r->dropped) + takt_ring_read_avail(r->ring);
}

void raw_out_json(const struct raw_out *r, struct json *j)
{
    json_open(j, "raw", '{');
    json_string(j, "format", takt_sample_name(r->format));
    json_int(j, "frames", (int64_t)get(&r->given));
    json_int(j, "dropped_frames", (int64_t)raw_out_dropped(r));
    json_close(j, '}');
}

int raw_out_verdict(const struct raw_out *r)
{
    int error = atomic_load(&r->error);
    return error && error != EPIPE ? complain(r->options, EXIT_FAILED,
                                              "-o -: cannot write to stdout: %s", strerror(error))
                                   : 0;
}

void raw_out_destroy(struct raw_out *r)
{
    if (!r)
        return;
    raw_out_finish(r);
    takt_ring_destroy(r->ring);
    free(r);
}
