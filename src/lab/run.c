/*
 * One scenario, on the control thread: make what the stream needs, create it, start it, end it when
 * its step has come, and look at what it has left behind.
 */
#include "lab/lab.h"

#include "device/file_writer.h"
#include "rt/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#ifdef TAKT_HAVE_SNDFILE
#include "device/file_port.h"

#include <sndfile.h>
#endif

typedef unsigned long long ull;

/* Shorter than the two minutes after which `takt sim` ends the process, so that a stream that hangs
 * is told of with its plan. */
enum { TIMEOUT_MS = 3000, PATIENCE_S = 60 };

/* ---- The disk ---------------------------------------------------------------------------------
 */

static struct takt_lab *disk_of;

/* Takes so many bytes, and is full or broken from then on. */
static ssize_t failing_disk(int fd, const void *data, size_t bytes, off_t offset)
{
    struct takt_lab *l = disk_of;
    uint64_t left = atomic_load(&l->disk_left);
    if (bytes > left) {
        errno = l->plan.number % 2 ? ENOSPC : EIO;
        if (!l->disk_failed)
            takt_lab_inject(l, TAKT_FAULT_DISK_FAILS);
        l->disk_failed = true;
        return -1;
    }
    atomic_fetch_sub(&l->disk_left, bytes);
    return pwrite(fd, data, bytes, offset);
}

#ifdef TAKT_HAVE_SNDFILE

static void put_le(FILE *f, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        fputc((int)(value >> (8 * i) & 255), f);
}

/* The frames of the tape from the first on, as a WAV of floats. */
static bool make_recording(struct takt_lab *l)
{
    const struct takt_lab_plan *p = &l->plan;
    uint32_t channels = p->in_channels, bytes = (uint32_t)p->source_frames * channels * 4;
    FILE *f = fopen(l->path, "wb");
    if (!f)
        return false;
    fwrite("RIFF", 1, 4, f);
    put_le(f, 36 + bytes, 4);
    fwrite("WAVEfmt ", 1, 8, f);
    put_le(f, 16, 4);
    put_le(f, 3, 2);
    put_le(f, channels, 2);
    put_le(f, p->rate_hz, 4);
    put_le(f, p->rate_hz * channels * 4, 4);
    put_le(f, channels * 4, 2);
    put_le(f, 32, 2);
    fwrite("data", 1, 4, f);
    put_le(f, bytes, 4);
    for (uint64_t i = 0; i < p->source_frames; i++)
        for (uint32_t c = 0; c < channels; c++)
            fwrite(takt_lab_tape_at(l->tape, TAKT_F32, i, c), 1, 4, f);
    return fclose(f) == 0;
}

struct loss {
    uint64_t least;  /* frames that are silent, and were not when they were played */
    uint64_t most;   /* frames that are silent */
    uint64_t placed; /* of those, the ones within the gaps that are told */
};

static bool is_in_gap(const struct takt_recording *r, uint64_t frame)
{
    for (uint64_t i = 0; i < r->gap_count && i < TAKT_GAPS_KEPT; i++)
        if (frame >= r->gaps[i].position && frame - r->gaps[i].position < r->gaps[i].frames)
            return true;
    return false;
}

static uint64_t frames_in_gaps(const struct takt_recording *r)
{
    uint64_t frames = 0;
    for (uint64_t i = 0; i < r->gap_count && i < TAKT_GAPS_KEPT; i++)
        frames += r->gaps[i].frames;
    return frames;
}

/* Each frame is the one that was played, or silence where it was lost. One that was silent when it
 * was played may be either. */
static struct loss compare_recording(struct takt_lab *l, void *file, uint64_t frames,
                                     const struct takt_recording *r)
{
    const struct takt_lab_plan *p = &l->plan;
    struct loss lost = {0};
    float frame[TAKT_LAB_CHANNELS];
    const void *at = frame;
    for (uint64_t i = 0; i < frames && !takt_lab_is_broken(l); i++) {
        struct takt_lab_piece one = takt_lab_queue_take(&l->model.log, 1);
        if (sf_readf_float(file, frame, 1) != 1) {
            takt_lab_break(l, "the recording cannot be read at frame %llu", (ull)i);
            break;
        }
        bool well =
            takt_lab_is_piece(l, &at, TAKT_F32, TAKT_INTERLEAVED, p->out_channels, NULL, 0, &one);
        one.silent = true;
        bool silent =
            takt_lab_is_piece(l, &at, TAKT_F32, TAKT_INTERLEAVED, p->out_channels, NULL, 0, &one);
        lost.least += !well;
        lost.most += silent;
        lost.placed += silent && is_in_gap(r, i);
        if (!well && !silent)
            takt_lab_break(l, "frame %llu of the recording is not what was played", (ull)i);
    }
    return lost;
}

/* What is lost is counted, and nothing else; what is counted is told, and where it is. */
static void check_lost(struct takt_lab *l, struct loss lost, const struct takt_recording *r)
{
    struct takt_event ev;
    uint64_t told = l->model.told_lost, in_gaps = frames_in_gaps(r);
    bool is_slow = l->plan.odds[TAKT_FAULT_DISK_SLOW];
    bool has_all_gaps = r->gap_count <= TAKT_GAPS_KEPT;
    if (l->disk_failed || takt_lab_is_broken(l))
        return;
    while (l->plan.takes_events && takt_stream_next_event(l->stream, &ev) > 0)
        told += ev.type == TAKT_EVENT_SINK_LOST ? (uint64_t)ev.value : 0; /* at its very end */
    if (lost.least > r->lost_frames || (r->lost_frames && !is_slow))
        takt_lab_break(l, "the recording lost %llu frames and counted %llu", (ull)lost.least,
                       (ull)r->lost_frames);
    else if (lost.most < r->lost_frames || (has_all_gaps && in_gaps != r->lost_frames))
        takt_lab_break(l, "the recording counted %llu lost frames; %llu are silent, %llu in gaps",
                       (ull)r->lost_frames, (ull)lost.most, (ull)in_gaps);
    else if (lost.placed != in_gaps)
        takt_lab_break(l, "the recording told of %llu frames in gaps; %llu of them are silent",
                       (ull)in_gaps, (ull)lost.placed);
    else if (l->plan.takes_events && told != r->lost_frames)
        takt_lab_break(l, "of %llu frames that the recording lost, events told of %llu",
                       (ull)r->lost_frames, (ull)told);
}

static void check_recording(struct takt_lab *l)
{
    struct takt_lab_model *m = &l->model;
    struct takt_error e;
    SF_INFO info;
    SNDFILE *file = takt_file_open_sound(l->path, &info, &e);
    if (!file) {
        if (!l->disk_failed) /* one that fails at once may leave nothing behind */
            takt_lab_break(l, "the recording cannot be opened: %s", e.text);
        return;
    }
    struct takt_recording r = {0};
    if (l->stream && !takt_stream_recording(l->stream, &r))
        takt_lab_break(l, "a recording that says nothing of itself");
    uint64_t frames = (uint64_t)info.frames;
    if (frames > m->log.frames || (frames < m->log.frames && !l->disk_failed)) {
        takt_lab_break(l, "the recording has %llu frames, and %llu were played", (ull)frames,
                       (ull)m->log.frames);
    } else {
        struct loss lost = compare_recording(l, file, frames, &r);
        if (l->stream)
            check_lost(l, lost, &r);
    }
    takt_lab_hash(l, frames);
    sf_close(file);
}

#else

static bool make_recording(struct takt_lab *l)
{
    return false;
}

static void check_recording(struct takt_lab *l)
{
}

#endif

/* ---- Turns ------------------------------------------------------------------------------------
 */

static enum takt_lab_turn await_turn(struct takt_lab *l)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PATIENCE_S;
    int err = 0;
    pthread_mutex_lock(&l->lock);
    while (l->turn == TAKT_LAB_NOBODY && !err)
        err = pthread_cond_clockwait(&l->moved, &l->lock, CLOCK_MONOTONIC, &until);
    enum takt_lab_turn turn = l->turn;
    pthread_mutex_unlock(&l->lock);
    return turn;
}

static void check_result(struct takt_lab *l, const char *call, int err)
{
    struct takt_error e = {.text = ""};
    if (l->stream)
        takt_stream_error(l->stream, &e);
    if (err < 0 && !l->disk_failed)
        takt_lab_break(l, "%s: %d %.100s", call, err, e.text);
}

static void end_stream(struct takt_lab *l)
{
    struct takt_stream *s = l->stream;
    l->ordered = true;
    takt_lab_hand_back(l);
    switch (l->plan.end) {
    case TAKT_LAB_STOP:
        check_result(l, "stop", takt_stream_stop(s));
        break;
    case TAKT_LAB_ABORT:
        check_result(l, "abort", takt_stream_abort(s));
        break;
    default:
        takt_stream_destroy(s);
        l->stream = NULL;
    }
}

/* Until the device thread is over. */
static void attend(struct takt_lab *l)
{
    for (;;) {
        enum takt_lab_turn turn = await_turn(l);
        if (turn == TAKT_LAB_NOBODY)
            takt_lab_break(l, "the stream hangs");
        if (turn != TAKT_LAB_CONTROLS)
            return;
        if (l->plan.blocking && l->run_step < l->plan.end_step) {
            takt_lab_use_blocking(l);
            takt_lab_hand_back(l);
        } else {
            end_stream(l);
        }
    }
}

/* ---- A stream ---------------------------------------------------------------------------------
 */

static struct takt_stream_cfg settings(struct takt_lab *l, char *in, size_t in_size)
{
    static const char *const ids[] = {NULL, "lab:own", "lab:port", "labport:", NULL, NULL};
    const struct takt_lab_plan *p = &l->plan;
    struct takt_stream_cfg c = {
        .in = {.device = ids[p->in], .channels = p->in_channels, .map = p->in_map},
        .out = {.device = ids[p->out],
                .channels = p->out_channels,
                .map = p->out_map,
                .buffer_s = p->buffer_s},
        .rate_hz = p->rate_hz,
        .block_frames = p->block_frames,
        .format = p->format,
        .layout = p->layout,
        .process = p->blocking ? NULL : takt_lab_process,
        .finished = takt_lab_finished,
        .arg = l,
        .length_frames = p->length_frames,
        .tail_frames = p->tail_frames,
        .clock = p->blocking ? TAKT_CLOCK_REAL : TAKT_CLOCK_VIRTUAL,
        .seed = p->seed ? p->seed : 1,
        .timeout_ms = TIMEOUT_MS,
        .priority = TAKT_PRIORITY_OFF,
        .fade_ms = TAKT_FADE_OFF, /* each frame is compared with what it was made of */
        .contract_off = p->contract_off};
    if (p->in == TAKT_LAB_FILE || p->out == TAKT_LAB_FILE)
        (p->in == TAKT_LAB_FILE ? &c.in : &c.out)->device = l->path;
    if (p->in == TAKT_LAB_OTHER) {
        snprintf(in, in_size, "sim:tone=1000,ppm=%g", p->other_ppm);
        c.in.device = in;
    }
    return c;
}

/* Without one of the pieces of memory there is no stream, and nothing is left of it. */
static void create_without_memory(struct takt_lab *l, const struct takt_stream_cfg *cfg)
{
    struct takt_stream *s;
    struct takt_error e;
    size_t before = takt_rt_alloc_bytes();
    if (!l->plan.fails_at)
        return;
    takt_rt_alloc_fail(l->plan.fails_at);
    int err = takt_stream_create(cfg, &s, &e);
    takt_rt_alloc_fail(0);
    if (err >= 0) {
        takt_stream_destroy(s); /* it needs fewer pieces than that */
    } else {
        takt_lab_inject(l, TAKT_FAULT_NO_MEMORY);
        if (err != TAKT_ERR_NOMEM || s)
            takt_lab_break(l, "create without memory: %d %.100s", err, e.text);
    }
    if (takt_rt_alloc_bytes() != before)
        takt_lab_break(l, "create without memory kept %lld bytes",
                       (long long)(takt_rt_alloc_bytes() - before));
}

static void run_once(struct takt_lab *l)
{
    l->turn = TAKT_LAB_NOBODY;
    l->ordered = l->disk_failed = false;
    l->order = TAKT_ORDER_RUN;
    l->run_step = 0;
    atomic_store(&l->disk_left, l->plan.disk_fails_after_bytes);
    struct takt_event left; /* of the run before: a disk that failed at its very end */
    while (takt_stream_next_event(l->stream, &left) > 0)
        continue;
    int err = takt_stream_start(l->stream);
    if (err < 0) {
        check_result(l, "start", err);
        return;
    }
    attend(l);
    if (l->stream)
        check_result(l, "wait", takt_stream_wait(l->stream, TIMEOUT_MS));
    if (l->stream)
        check_result(l, "stop", takt_stream_stop(l->stream));
    l->virtual_ns += (uint64_t)l->device.now_ns;
    if (l->plan.out == TAKT_LAB_FILE && !takt_lab_is_broken(l))
        check_recording(l);
}

/* The next descriptor's number, which is the same as long as all are given back. */
static int next_descriptor(void)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd;
}

void takt_lab_run(struct takt_lab *l, uint64_t seed, uint64_t number)
{
    char in[64], text[900];
    takt_lab_plan_draw(&l->plan, seed, number);
    l->step = 0;
    l->tape = l->plan.format == TAKT_U8 ? &l->narrow : &l->wide;
    l->device.chance = takt_random_seed(l->plan.seed);
    if (l->cfg->trace) {
        takt_lab_plan_text(&l->plan, text, sizeof text);
        takt_lab_tell(l, "%s", text);
    }
    size_t memory = takt_rt_alloc_bytes();
    int descriptor = next_descriptor();
    if (l->plan.in == TAKT_LAB_FILE && !make_recording(l))
        takt_lab_break(l, "cannot make a recording in %.100s", l->path);
    struct takt_stream_cfg cfg = settings(l, in, sizeof in);
    disk_of = l;
    takt_file_disk(l->plan.disk_fails_after_bytes ? failing_disk : NULL);
    takt_lab_device_use(l);
    create_without_memory(l, &cfg);
    struct takt_error e;
    int err = takt_stream_create(&cfg, &l->stream, &e);
    if (err < 0)
        takt_lab_break(l, "create: %.120s", e.text);
    for (int run = 0; run < l->plan.runs && l->stream && !takt_lab_is_broken(l); run++)
        run_once(l);
    takt_stream_destroy(l->stream);
    l->stream = NULL;
    takt_file_disk(NULL);
    if (!takt_lab_is_broken(l) && takt_rt_alloc_bytes() != memory)
        takt_lab_break(l, "destroy kept %lld bytes", (long long)(takt_rt_alloc_bytes() - memory));
    if (!takt_lab_is_broken(l) && next_descriptor() != descriptor)
        takt_lab_break(l, "destroy left a descriptor open");
    if (l->cfg->trace)
        takt_lab_tell(l, "  %llu steps, %.3f virtual s", (ull)l->step,
                      (double)l->device.now_ns / 1e9);
}
