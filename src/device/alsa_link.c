/*
 * A stream has one PCM each way, of one card or one name, and a thread that polls both. It wakes
 * when a period has come in and room for a period is free, and moves just that period; where
 * both can be linked they start in one instant. Sound goes through the PCM's own memory (mmap)
 * where it has such, else by read and write.
 *
 * A PCM that ran over or under is prepared and started anew; how long that took is lost. One that
 * is unplugged is left to device/host.c, which tries to open it again.
 *
 * Plugins may be made of anything. ALSA's `null` has no clock at all and always has room, and so
 * has whatever stands on it; the first periods are therefore silence by which the pace is seen.
 *
 * Sources: alsa-lib 1.2.8, alsa/pcm.h and https://www.alsa-project.org/alsa-doc/alsa-lib/pcm.html
 */
#include "device/alsa_link.h"

#include "base/fail.h"
#include "device/quiet.h"
#include "rt/memory.h"
#include "takt/format.h"
#include "takt/thread.h"
#include "takt/time.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { FDS_MAX = 32, LOW_PERIODS = 2, HIGH_PERIODS = 4, LOW_FRAMES = 256, HIGH_FRAMES = 1024 };
enum { TRIAL_PERIODS = 8 }; /* of silence, by which the pace is seen */
static const int64_t ms_ns = 1000000;
static const int64_t silent_ns = 500 * 1000000LL; /* without a period: it is gone */
static const int64_t trial_ns = 1000 * 1000000LL; /* at most, as long as there is a second period */
static const int64_t wait_ms = 100; /* for a wake-up, before we look whether we are still wanted */

/* ---- Opening a PCM --------------------------------------------------------------------------- */

const char *takt_alsa_pcm_name(const char *rest)
{
    return *rest ? rest : "default";
}

static int explain(const char *rest, bool is_input, int err, struct takt_error *e)
{
    const char *way = is_input ? "input" : "output";
    if (err == -ENOENT)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                         "alsa:%.80s: there is no such %s; see takt devices, and aplay -L", rest,
                         way);
    if (err == -EBUSY)
        return takt_fail(e, TAKT_ERR_IO, 0, "alsa:%.80s: another program has this %s", rest, way);
    if (err == -ENODEV || err == -ENXIO || err == -ECONNREFUSED || err == -EHOSTDOWN)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, 0, "alsa:%.80s: this %s is not there now", rest,
                         way);
    return takt_fail(e, TAKT_ERR_IO, -err, "alsa:%.80s: cannot open the %s", rest, way);
}

static int no_clock(const char *rest, struct takt_error *e)
{
    return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                     "alsa:%.80s%sno clock paces it; take a card, or null: and sim:", rest,
                     *rest ? ": " : " ");
}

/* Whether the PCM or one that it is made of is of that kind, as ALSA itself describes it. */
static bool has_part(snd_pcm_t *pcm, const char *kind)
{
    snd_output_t *out;
    char *text, copy[4096];
    if (snd_output_buffer_open(&out) < 0)
        return false;
    snd_pcm_dump(pcm, out);
    size_t size = snd_output_buffer_string(out, &text);
    size = size < sizeof copy ? size : sizeof copy - 1;
    memcpy(copy, text, size);
    copy[size] = 0;
    snd_output_close(out);
    return strstr(copy, kind) != NULL;
}

bool takt_alsa_is_card(snd_pcm_t *pcm)
{
    return has_part(pcm, "Hardware PCM");
}

int takt_alsa_open(const char *rest, bool is_input, snd_pcm_t **out, struct takt_error *e)
{
    takt_quiet_libraries();
    *out = NULL;
    int err =
        snd_pcm_open(out, takt_alsa_pcm_name(rest),
                     is_input ? SND_PCM_STREAM_CAPTURE : SND_PCM_STREAM_PLAYBACK, SND_PCM_NONBLOCK);
    if (err < 0)
        return explain(rest, is_input, err, e);
    if (!has_part(*out, "Null PCM"))
        return 0;
    snd_pcm_close(*out);
    *out = NULL;
    return no_clock(rest, e);
}

/* ---- The link -------------------------------------------------------------------------------- */

struct side {
    bool used, is_input, is_mapped, is_card;
    char rest[128];
    uint32_t channels, pcm_channels; /* ours; the PCM may only take more */
    snd_pcm_t *pcm;
    enum takt_sample format;
    snd_pcm_uframes_t period, buffer;
    float *planes[TAKT_CHANNELS_MAX]; /* of a period */
    uint8_t *packed;                  /* a period, where it is not mapped */
    struct takt_encode_state encode[TAKT_CHANNELS_MAX];
};

struct alsa {
    struct takt_link base;
    struct side in, out;
    uint32_t rate_hz, block_frames;
    double latency_s;
    bool latency_high, is_linked;
    int priority;
    int64_t timeout_ns;
    float *memory;
    uint8_t *bytes;
    struct takt_thread *thread;
    int quit_fd;
    _Atomic bool quit;
    /* The pace, and the delay of the output, as the trial has shown them. */
    _Atomic int trial; /* enum trial */
    _Atomic uint32_t out_delay;
    /* The device thread's. */
    uint32_t seen_delay;
    uint64_t periods;          /* since the last start */
    int64_t begun_ns, last_ns; /* of the first of them; when the next is due */
    int long_waits;            /* of the trial: for more than the buffer holds */
    int64_t woken_ns;          /* before the last wait */
    bool counts;
};

enum trial { TRIAL_RUNS = 0, TRIAL_PASSED, TRIAL_FAST, TRIAL_SLOW };

static uint32_t period_of(const struct alsa *a)
{
    return (uint32_t)(a->out.used ? a->out.period : a->in.period);
}

static uint32_t buffer_of(const struct alsa *a)
{
    return (uint32_t)(a->out.used ? a->out.buffer : a->in.buffer);
}

/* ---- Settings -------------------------------------------------------------------------------- */

static const struct {
    snd_pcm_format_t alsa;
    enum takt_sample ours;
} formats[] = {
    {SND_PCM_FORMAT_FLOAT_LE, TAKT_F32},
    {SND_PCM_FORMAT_S32_LE, TAKT_S32},
    {SND_PCM_FORMAT_S24_3LE, TAKT_S24},
    {SND_PCM_FORMAT_S16_LE, TAKT_S16},
};

static int choose_format(struct side *s, snd_pcm_hw_params_t *hw, struct takt_error *e)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (snd_pcm_hw_params_set_format(s->pcm, hw, formats[i].alsa) == 0) {
            s->format = formats[i].ours;
            return 0;
        }
    return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                     "alsa:%.80s: none of float, s32, s24 and s16; try plug%.40s", s->rest,
                     s->rest);
}

static int choose_access(struct side *s, snd_pcm_hw_params_t *hw, struct takt_error *e)
{
    static const snd_pcm_access_t ways[] = {SND_PCM_ACCESS_MMAP_NONINTERLEAVED,
                                            SND_PCM_ACCESS_MMAP_INTERLEAVED,
                                            SND_PCM_ACCESS_RW_INTERLEAVED};
    for (int i = 0; i < 3; i++)
        if (snd_pcm_hw_params_set_access(s->pcm, hw, ways[i]) == 0) {
            s->is_mapped = i < 2;
            return 0;
        }
    return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "alsa:%.80s: no way to move sound", s->rest);
}

static int choose_channels(struct side *s, snd_pcm_hw_params_t *hw, struct takt_error *e)
{
    unsigned most = 0;
    for (unsigned n = s->channels; n <= TAKT_CHANNELS_MAX; n++)
        if (snd_pcm_hw_params_set_channels(s->pcm, hw, n) == 0) {
            s->pcm_channels = n;
            return 0;
        }
    snd_pcm_hw_params_get_channels_max(hw, &most);
    return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "alsa:%.80s: %u channels: it has %u", s->rest,
                     s->channels, most);
}

static int choose_rate(struct side *s, snd_pcm_hw_params_t *hw, uint32_t rate_hz,
                       struct takt_error *e)
{
    unsigned least = 0, most = 0;
    int direction;
    if (snd_pcm_hw_params_set_rate(s->pcm, hw, rate_hz, 0) == 0)
        return 0;
    snd_pcm_hw_params_get_rate_min(hw, &least, &direction);
    snd_pcm_hw_params_get_rate_max(hw, &most, &direction);
    return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "alsa:%.80s: %u Hz: it takes %u to %u", s->rest,
                     rate_hz, least, most);
}

/* The period that comes nearest to the callback's block or to the latency asked for. */
static void choose_sizes(const struct alsa *a, struct side *s, snd_pcm_hw_params_t *hw,
                         snd_pcm_uframes_t fixed_period)
{
    unsigned periods = a->latency_high ? HIGH_PERIODS : LOW_PERIODS;
    snd_pcm_uframes_t wish = a->latency_high ? HIGH_FRAMES : LOW_FRAMES;
    int direction = 0;
    if (fixed_period)
        wish = fixed_period;
    else if (a->latency_s > 0 && !a->block_frames)
        wish = (snd_pcm_uframes_t)fmax(a->latency_s * a->rate_hz / periods, 16);
    else if (a->block_frames)
        wish = a->block_frames;
    if (a->latency_s > 0)
        periods = (unsigned)fmax(ceil(a->latency_s * a->rate_hz / (double)wish), LOW_PERIODS);
    snd_pcm_hw_params_set_period_size_near(s->pcm, hw, &wish, &direction);
    snd_pcm_uframes_t buffer = wish * periods;
    snd_pcm_hw_params_set_buffer_size_near(s->pcm, hw, &buffer);
}

static int set_software(struct side *s, struct takt_error *e)
{
    snd_pcm_sw_params_t *sw;
    snd_pcm_uframes_t boundary;
    snd_pcm_sw_params_alloca(&sw);
    snd_pcm_sw_params_current(s->pcm, sw);
    snd_pcm_sw_params_get_boundary(sw, &boundary);
    snd_pcm_sw_params_set_start_threshold(s->pcm, sw, boundary); /* only when we say so */
    snd_pcm_sw_params_set_stop_threshold(s->pcm, sw, s->buffer);
    snd_pcm_sw_params_set_avail_min(s->pcm, sw, s->period);
    snd_pcm_sw_params_set_tstamp_mode(s->pcm, sw, SND_PCM_TSTAMP_ENABLE);
    snd_pcm_sw_params_set_tstamp_type(s->pcm, sw, SND_PCM_TSTAMP_TYPE_MONOTONIC);
    int err = snd_pcm_sw_params(s->pcm, sw);
    return err < 0 ? takt_fail(e, TAKT_ERR_IO, -err, "alsa:%.80s: refuses its settings", s->rest)
                   : 0;
}

static int open_side(struct alsa *a, struct side *s, snd_pcm_uframes_t fixed_period,
                     struct takt_error *e)
{
    snd_pcm_hw_params_t *hw;
    int direction = 0, err = takt_alsa_open(s->rest, s->is_input, &s->pcm, e);
    if (err < 0)
        return err;
    s->is_card = takt_alsa_is_card(s->pcm);
    snd_pcm_hw_params_alloca(&hw);
    if ((err = snd_pcm_hw_params_any(s->pcm, hw)) < 0)
        return explain(s->rest, s->is_input, err, e);
    if ((err = choose_access(s, hw, e)) < 0 || (err = choose_format(s, hw, e)) < 0 ||
        (err = choose_channels(s, hw, e)) < 0 || (err = choose_rate(s, hw, a->rate_hz, e)) < 0)
        return err;
    choose_sizes(a, s, hw, fixed_period);
    if ((err = snd_pcm_hw_params(s->pcm, hw)) < 0)
        return takt_fail(e, TAKT_ERR_IO, -err, "alsa:%.80s: refuses its settings", s->rest);
    snd_pcm_hw_params_get_period_size(hw, &s->period, &direction);
    snd_pcm_hw_params_get_buffer_size(hw, &s->buffer);
    if (fixed_period && s->period != fixed_period)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                         "alsa:%.80s: periods of %lu frames one way and %lu the other", s->rest,
                         s->period, fixed_period);
    if (s->period < 1 || s->period > TAKT_BLOCK_FRAMES_MAX || s->buffer < s->period)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                         "alsa:%.80s: grants periods of %lu frames, and a cycle has at most %d; "
                         "ask for less latency or a smaller block",
                         s->rest, s->period, TAKT_BLOCK_FRAMES_MAX);
    return set_software(s, e);
}

/* Of one period each: planes for both sides, and packed sound where it is not mapped. */
static int take_memory(struct alsa *a, struct takt_error *e)
{
    size_t period = period_of(a), planes = a->in.pcm_channels + a->out.pcm_channels;
    a->memory = takt_rt_alloc(planes * period * sizeof(float));
    a->bytes = takt_rt_alloc(planes * period * sizeof(float));
    if (!a->memory || !a->bytes)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    float *plane = a->memory;
    for (uint32_t c = 0; c < a->in.pcm_channels; c++, plane += period)
        a->in.planes[c] = plane;
    for (uint32_t c = 0; c < a->out.pcm_channels; c++, plane += period)
        a->out.planes[c] = plane;
    /* One channel is heard from all; others than ours are silent. */
    for (uint32_t c = 1; a->out.channels == 1 && c < a->out.pcm_channels; c++)
        a->out.planes[c] = a->out.planes[0];
    a->in.packed = a->bytes;
    a->out.packed = a->bytes + a->in.pcm_channels * period * sizeof(float);
    for (uint32_t c = 0; c < a->out.pcm_channels; c++)
        takt_encode_init(&a->out.encode[c], TAKT_DITHER_OFF, TAKT_CLIP_INTEGERS, c + 1);
    return 0;
}

/* ---- Moving sound: on the device thread ------------------------------------------------------ */

static void convert_part(struct side *s, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t at,
                         uint32_t from, uint32_t frames)
{
    size_t bytes = takt_sample_bytes(s->format);
    for (uint32_t c = 0; c < s->pcm_channels; c++) {
        uint8_t *to = (uint8_t *)areas[c].addr + (areas[c].first + at * areas[c].step) / 8;
        size_t stride = areas[c].step / 8 / bytes;
        if (s->is_input)
            takt_decode(s->planes[c] + from, to, s->format, stride, frames);
        else
            takt_encode(to, s->format, stride, s->planes[c] + from, frames, &s->encode[c]);
    }
}

static int move_mapped(struct side *s, uint32_t period)
{
    for (uint32_t done = 0; done < period;) {
        const snd_pcm_channel_area_t *areas;
        snd_pcm_uframes_t at, frames = period - done;
        int err = snd_pcm_mmap_begin(s->pcm, &areas, &at, &frames);
        if (err < 0)
            return err;
        if (!frames)
            return -EPIPE;
        convert_part(s, areas, at, done, (uint32_t)frames);
        snd_pcm_sframes_t moved = snd_pcm_mmap_commit(s->pcm, at, frames);
        if (moved < 0)
            return (int)moved;
        done += (uint32_t)moved;
    }
    return 0;
}

static int move_by_calls(struct side *s, uint32_t period)
{
    size_t bytes = takt_sample_bytes(s->format), frame = bytes * s->pcm_channels;
    for (uint32_t c = 0; !s->is_input && c < s->pcm_channels; c++)
        takt_encode(s->packed + c * bytes, s->format, s->pcm_channels, s->planes[c], period,
                    &s->encode[c]);
    for (uint32_t done = 0; done < period;) {
        uint8_t *at = s->packed + done * frame;
        snd_pcm_sframes_t moved = s->is_input ? snd_pcm_readi(s->pcm, at, period - done)
                                              : snd_pcm_writei(s->pcm, at, period - done);
        if (moved <= 0)
            return moved < 0 && moved != -EAGAIN ? (int)moved : -EPIPE;
        done += (uint32_t)moved;
    }
    for (uint32_t c = 0; s->is_input && c < s->pcm_channels; c++)
        takt_decode(s->planes[c], s->packed + c * bytes, s->format, s->pcm_channels, period);
    return 0;
}

static int move(struct side *s, uint32_t period)
{
    return s->is_mapped ? move_mapped(s, period) : move_by_calls(s, period);
}

static void silence(const struct side *s)
{
    for (uint32_t c = 0; c < s->channels; c++)
        memset(s->planes[c], 0, s->period * sizeof(float));
}

/* From prepared to running, with the output full of silence. */
static int start(struct alsa *a)
{
    int err = 0;
    if (a->out.used) {
        silence(&a->out);
        for (snd_pcm_uframes_t n = 0; n + a->out.period <= a->out.buffer && !err;
             n += a->out.period)
            err = move(&a->out, (uint32_t)a->out.period);
        if (!err && (err = snd_pcm_start(a->out.pcm)) < 0)
            return err;
    }
    if (!err && a->in.used && !(a->out.used && a->is_linked))
        err = snd_pcm_start(a->in.pcm);
    return err;
}

static int start_anew(struct alsa *a)
{
    int err = 0;
    if (a->in.used)
        snd_pcm_drop(a->in.pcm);
    if (a->out.used)
        snd_pcm_drop(a->out.pcm);
    if (a->out.used)
        err = snd_pcm_prepare(a->out.pcm);
    if (!err && a->in.used && !(a->out.used && a->is_linked))
        err = snd_pcm_prepare(a->in.pcm);
    return err < 0 ? err : start(a);
}

/* ---- Cycles: on the device thread ------------------------------------------------------------ */

static bool is_gone(int err)
{
    return err == -ENODEV || err == -ENXIO || err == -EBADFD || err == -EIO || err == -ENOTCONN;
}

/* Frames that may be moved at once, or an error. */
static snd_pcm_sframes_t available(const struct side *s)
{
    snd_pcm_sframes_t n = snd_pcm_avail_update(s->pcm);
    snd_pcm_state_t state = n < 0 ? SND_PCM_STATE_RUNNING : snd_pcm_state(s->pcm);
    if (state == SND_PCM_STATE_DISCONNECTED)
        return -ENODEV;
    return state == SND_PCM_STATE_XRUN || state == SND_PCM_STATE_SUSPENDED ? -EPIPE : n;
}

/* 1: a period is there both ways; 0: not yet; or an error. */
static int is_ready(const struct alsa *a)
{
    const struct side *sides[] = {&a->in, &a->out};
    for (int i = 0; i < 2; i++) {
        snd_pcm_sframes_t n = sides[i]->used ? available(sides[i]) : 0;
        if (n < 0)
            return (int)n;
        if (sides[i]->used && n < (snd_pcm_sframes_t)sides[i]->period)
            return 0;
    }
    return 1;
}

/* Sleeps until one of the PCMs that are not ready has something. */
static int wait_for(const struct alsa *a)
{
    struct pollfd fds[FDS_MAX] = {{.fd = a->quit_fd, .events = POLLIN}};
    int count = 1;
    const struct side *sides[] = {&a->in, &a->out};
    for (int i = 0; i < 2; i++) {
        const struct side *s = sides[i];
        if (!s->used || snd_pcm_avail_update(s->pcm) >= (snd_pcm_sframes_t)s->period)
            continue;
        int n = snd_pcm_poll_descriptors(s->pcm, fds + count, (unsigned)(FDS_MAX - count));
        unsigned short events = 0;
        if (n < 0)
            return n;
        count += n;
        poll(fds, (nfds_t)count, (int)wait_ms);
        snd_pcm_poll_descriptors_revents(s->pcm, fds + count - n, (unsigned)n, &events);
        return 0; /* the other may be ready by now, too */
    }
    return 0;
}

/* When the period was there, by the PCM's own word; false when it has none that can be true. */
static bool due_of(const struct side *s, int64_t now, double frame_ns, int64_t *due)
{
    snd_pcm_uframes_t avail;
    snd_htimestamp_t at;
    if (!s->is_card || snd_pcm_htimestamp(s->pcm, &avail, &at) < 0 || avail < s->period)
        return false;
    int64_t seen = at.tv_sec * INT64_C(1000000000) + at.tv_nsec;
    *due = seen - (int64_t)((double)(avail - s->period) * frame_ns);
    return seen <= now && *due > now - 1000 * ms_ns;
}

/* How long the next frame out will be on its way. With an input it is what both ways are together,
 * less the period of the input: sides that could not start in one instant keep a distance, and a
 * plugin may move one of them alone. The two are not read in one instant either, so only what is
 * seen twice counts. */
static void note_delay(struct alsa *a)
{
    snd_pcm_sframes_t delay = 0, waiting = 0;
    if (!a->out.used || snd_pcm_delay(a->out.pcm, &delay) < 0)
        return;
    if (a->in.used)
        waiting = snd_pcm_avail_update(a->in.pcm);
    if (waiting < 0 || delay + waiting <= 0)
        return;
    uint32_t seen = (uint32_t)(delay + waiting);
    bool is_sure = seen == a->seen_delay;
    a->seen_delay = seen;
    if (!is_sure || seen == atomic_load(&a->out_delay))
        return;
    atomic_store(&a->out_delay, seen);
    if (atomic_load(&a->trial) == TRIAL_PASSED)
        takt_link_latency(&a->base, a->base.granted.latency_in_frames, seen);
}

/* What a buffer holds may be moved in one moment; four of them may not. */
static uint64_t trial_periods(const struct alsa *a)
{
    uint32_t four = 4 * buffer_of(a) / period_of(a);
    return four > TRIAL_PERIODS ? four : TRIAL_PERIODS;
}

/* A period that takes so long by itself shows its pace at once. */
static bool is_long(const struct alsa *a)
{
    return 1e9 * period_of(a) / a->rate_hz >= (double)trial_ns;
}

/* Silence until the pace is known. True: it is the engine's turn. */
static bool try_pace(struct alsa *a, int64_t now)
{
    if (++a->periods == 1)
        a->begun_ns = now;
    if (a->periods > TRIAL_PERIODS - 2 || now - a->begun_ns > trial_ns / 2)
        note_delay(a);
    if (atomic_load_explicit(&a->trial, memory_order_relaxed) != TRIAL_RUNS)
        return true;
    a->long_waits += a->woken_ns && now - a->woken_ns > 1.5e9 * buffer_of(a) / a->rate_hz;
    a->woken_ns = now;
    uint64_t all = trial_periods(a);
    if (is_long(a)) {
        atomic_store(&a->trial, TRIAL_PASSED);
        return false;
    }
    if (a->periods <= all && now - a->begun_ns < trial_ns)
        return false;
    all = a->periods - 1;
    double took = (double)(now - a->begun_ns) * a->rate_hz / 1e9;
    atomic_store(&a->trial, took < (double)all * period_of(a) / 4.0 ? TRIAL_FAST
                            : a->long_waits > (int)all / 2          ? TRIAL_SLOW
                                                                    : TRIAL_PASSED);
    return false;
}

static uint32_t out_delay(const struct alsa *a)
{
    uint32_t delay = atomic_load_explicit(&a->out_delay, memory_order_relaxed);
    return delay ? delay : a->base.granted.latency_out_frames;
}

static int cycle(struct alsa *a, uint32_t flags)
{
    uint32_t period = period_of(a);
    double frame_ns = 1e9 / a->rate_hz;
    int64_t now = takt_now_ns(), due = now;
    bool known = due_of(a->out.used ? &a->out : &a->in, now, frame_ns, &due);
    int64_t span = (int64_t)((buffer_of(a) - period) * frame_ns);
    int err = a->in.used ? move(&a->in, period) : 0;
    if (err < 0)
        return err;
    struct takt_cycle c = {
        .frames = period,
        .in = a->in.used ? (const float *const *)a->in.planes : NULL,
        .out = a->out.used ? a->out.planes : NULL,
        .flags = flags,
        .valid = TAKT_TIME_NOW | TAKT_TIME_DEADLINE |
                 (known ? TAKT_TIME_IN_FIRST | TAKT_TIME_OUT_FIRST : 0u),
        .due_known = known,
        .due_ns = due,
        .now_ns = now,
        .deadline_ns = due + (span > 0 ? span : (int64_t)(period * frame_ns)),
        .in_first_ns = due - (int64_t)(period * frame_ns),
        .out_first_ns = due + (int64_t)(out_delay(a) * frame_ns),
    };
    if (flags && a->counts && now > a->last_ns)
        c.lost_frames = (uint64_t)((double)(now - a->last_ns) / frame_ns);
    a->counts = true;
    a->last_ns = now + (int64_t)(period * frame_ns);
    if (!try_pace(a, now) || !takt_link_cycle(&a->base, &c))
        silence(&a->out);
    return a->out.used ? move(&a->out, period) : 0;
}

/* Since the last cycle; before the first, since the start. */
static bool is_silent(const struct alsa *a, int64_t since_ns)
{
    int64_t patience = (int64_t)(4e9 * buffer_of(a) / a->rate_hz);
    return takt_now_ns() - since_ns > (patience > silent_ns ? patience : silent_ns);
}

static void run(void *arg)
{
    struct alsa *a = arg;
    uint32_t flags = 0;
    int64_t since = takt_now_ns();
    takt_quiet_here();
    int err = start(a);
    while (!atomic_load_explicit(&a->quit, memory_order_acquire)) {
        int ready = err < 0 ? err : is_ready(a);
        if (ready == 0) {
            err = wait_for(a);
            if (is_silent(a, since))
                break;
            continue;
        }
        if (ready > 0) {
            err = cycle(a, flags);
            flags = err < 0 ? flags : 0;
            since = err < 0 ? since : takt_now_ns();
            continue;
        }
        if (is_gone(ready) || is_silent(a, since) || (err = start_anew(a)) < 0)
            break;
        a->periods = 0;
        flags =
            (a->in.used ? TAKT_INPUT_OVERFLOW : 0u) | (a->out.used ? TAKT_OUTPUT_UNDERFLOW : 0u);
    }
    if (!atomic_load(&a->quit))
        takt_link_lost(&a->base);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void link_close(struct takt_link *base)
{
    struct alsa *a = (struct alsa *)base;
    struct side *sides[] = {&a->in, &a->out};
    atomic_store(&a->quit, true);
    if (a->thread) {
        eventfd_write(a->quit_fd, 1);
        takt_thread_join(a->thread, -1); /* it may hang in a plugin's server; then so do we */
        a->thread = NULL;
    }
    if (a->is_linked)
        snd_pcm_unlink(a->in.pcm);
    a->is_linked = false;
    for (int i = 0; i < 2; i++) {
        if (sides[i]->pcm)
            snd_pcm_close(sides[i]->pcm);
        sides[i]->pcm = NULL;
    }
    takt_rt_free(a->memory);
    takt_rt_free(a->bytes);
    a->memory = NULL;
    a->bytes = NULL;
    if (a->quit_fd >= 0)
        close(a->quit_fd);
    a->quit_fd = -1;
}

static int open_sides(struct alsa *a, struct takt_error *e)
{
    int err = a->out.used ? open_side(a, &a->out, 0, e) : 0;
    if (!err && a->in.used)
        err = open_side(a, &a->in, a->out.used ? a->out.period : 0, e);
    if (!err)
        err = take_memory(a, e);
    if (!err && a->in.used && a->out.used)
        a->is_linked = snd_pcm_link(a->out.pcm, a->in.pcm) == 0;
    a->quit_fd = err ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!err && a->quit_fd < 0)
        err = takt_fail(e, TAKT_ERR_SYSTEM, errno, "alsa: no eventfd");
    return err;
}

static int link_open(struct takt_link *base, struct takt_error *e)
{
    struct alsa *a = (struct alsa *)base;
    a->quit_fd = -1;
    atomic_store(&a->quit, false);
    int err = open_sides(a, e);
    if (err < 0) {
        link_close(base);
        return err;
    }
    uint32_t period = period_of(a);
    a->base.granted =
        (struct takt_granted){.rate_hz = a->rate_hz,
                              .block_frames = period,
                              .latency_in_frames = a->in.used ? period : 0,
                              .latency_out_frames = a->out.used ? buffer_of(a) - period : 0};
    return 0;
}

static int link_begin(struct takt_link *base, struct takt_error *e)
{
    struct alsa *a = (struct alsa *)base;
    atomic_store(&a->trial, TRIAL_RUNS);
    a->periods = 0;
    a->long_waits = 0;
    a->woken_ns = 0;
    a->counts = false;
    int err = takt_thread_start(
        &(struct takt_thread_cfg){
            .name = "takt-alsa", .entry = run, .arg = a, .priority = a->priority},
        &a->thread, e);
    if (err < 0)
        return err;
    int64_t until = takt_now_ns() + a->timeout_ns;
    while (atomic_load(&a->trial) == TRIAL_RUNS && !atomic_load(&base->lost) &&
           takt_now_ns() < until)
        takt_sleep_ms(1);
    const char *rest = a->out.used ? a->out.rest : a->in.rest;
    if (atomic_load(&a->trial) == TRIAL_FAST)
        return no_clock(rest, e);
    if (atomic_load(&a->trial) == TRIAL_SLOW)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                         "alsa:%.80s: moves more at once than its buffer of %u frames holds; take "
                         "larger blocks, or --latency high",
                         rest, buffer_of(a));
    if (atomic_load(&base->lost))
        return takt_fail(e, TAKT_ERR_IO, 0, "alsa:%.80s: it does not start", rest);
    uint32_t delay = atomic_load(&a->out_delay);
    if (delay)
        takt_link_latency(base, base->granted.latency_in_frames, delay);
    return 0;
}

static void link_free(struct takt_link *base)
{
    takt_rt_free(base);
}

static const struct takt_link_ops link_ops = {
    .open = link_open, .begin = link_begin, .close = link_close, .free = link_free};

int takt_alsa_link_make(const struct takt_driver_cfg *cfg, struct takt_link **out,
                        struct takt_error *e)
{
    struct alsa *a = takt_rt_alloc(sizeof *a);
    if (!a)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    a->base.ops = &link_ops;
    a->rate_hz = cfg->rate_hz;
    a->block_frames = cfg->block_frames;
    a->latency_s = cfg->latency_s;
    a->latency_high = cfg->latency_high;
    a->priority = cfg->priority;
    a->timeout_ns = cfg->timeout_ns;
    a->quit_fd = -1;
    a->in = (struct side){.used = cfg->in_rest != NULL,
                          .is_input = true,
                          .channels = cfg->in_rest ? cfg->in_channels : 0};
    a->out = (struct side){.used = cfg->out_rest != NULL,
                           .channels = cfg->out_rest ? cfg->out_channels : 0};
    snprintf(a->in.rest, sizeof a->in.rest, "%s", cfg->in_rest ? cfg->in_rest : "");
    snprintf(a->out.rest, sizeof a->out.rest, "%s", cfg->out_rest ? cfg->out_rest : "");
    *out = &a->base;
    return 0;
}
