/*
 * `portaudio:` - whatever PortAudio finds, for systems that have nothing nearer.
 *
 *     portaudio:              its default devices
 *     portaudio:API/NAME      the device NAME of the host API API, such as "ALSA/default"; a part
 *                             of the name will do where only one device has it
 *
 * PortAudio is loaded when the first id asks for it. Its stream is opened with blocks of any size
 * and our adapter makes the callback's of them. Its devices are not listed where takt can reach the
 * same cards and servers itself: the search for them opens every PCM that ALSA has a name for, and
 * takes a third of a second.
 *
 * PortAudio 19.6 tells of times and latencies that cannot be: an input latency of zero over JACK,
 * 89478 seconds over PipeWire's JACK. What cannot be is not passed on.
 *
 * PortAudio is not made for several threads: init, open and close go one at a time here.
 *
 * Sources: portaudio.h of 19.6, and its pa_jack.c and pa_linux_alsa.c.
 */
#include "base/assert.h"
#include "base/fail.h"
#include "device/backends.h"
#include "device/host.h"
#include "device/quiet.h"
#include "rt/memory.h"
#include "takt/thread.h"
#include "takt/time.h"

#include <dlfcn.h>
#include <math.h>
#include <portaudio.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- The library ----------------------------------------------------------------------------- */

#define PORTAUDIO_CALLS(X)                                                                         \
    X(Pa_Initialize)                                                                               \
    X(Pa_Terminate)                                                                                \
    X(Pa_GetDeviceCount)                                                                           \
    X(Pa_GetDeviceInfo)                                                                            \
    X(Pa_GetHostApiInfo)                                                                           \
    X(Pa_GetDefaultInputDevice)                                                                    \
    X(Pa_GetDefaultOutputDevice)                                                                   \
    X(Pa_GetErrorText)                                                                             \
    X(Pa_OpenStream)                                                                               \
    X(Pa_SetStreamFinishedCallback)                                                                \
    X(Pa_StartStream)                                                                              \
    X(Pa_AbortStream)                                                                              \
    X(Pa_CloseStream)                                                                              \
    X(Pa_GetStreamInfo)

static struct {
#define X(name) __typeof__(&name) name;
    PORTAUDIO_CALLS(X)
#undef X
} lib;

static bool lib_is_there;
static pthread_mutex_t lib_lock = PTHREAD_MUTEX_INITIALIZER;

/* PortAudio writes what it thinks of a device to stdio's stderr, and cannot be told not to. While
 * it looks around or opens, that name stands for this stream: its lines become log events, and
 * everybody else's go where they would have gone. Under the lock. */
static FILE *filtered;

static ssize_t filter(void *cookie, const char *text, size_t size)
{
    char line[200];
    if (size > 12 && !strncmp(text, "Expression '", 12)) {
        snprintf(line, sizeof line, "%.*s", (int)(size < 190 ? size : 190), text);
        takt_host_log("portaudio", line);
        return (ssize_t)size;
    }
    return write(STDERR_FILENO, text, size);
}

static FILE *hush(void)
{
    FILE *before = stderr;
    if (filtered)
        stderr = filtered;
    return before;
}

static void unhush(FILE *before)
{
    stderr = before;
}

static void load(void)
{
    void *so = dlopen("libportaudio.so.2", RTLD_NOW | RTLD_LOCAL);
    bool all = so != NULL;
#define X(name)                                                                                    \
    *(void **)&lib.name = so ? dlsym(so, #name) : NULL;                                            \
    all &= lib.name != NULL;
    PORTAUDIO_CALLS(X)
#undef X
    lib_is_there = all;
    filtered = fopencookie(NULL, "w", (cookie_io_functions_t){.write = filter});
    if (filtered)
        setvbuf(filtered, NULL, _IOLBF, 512);
}

/* Ready for use, until leave_lib. */
static int enter_lib(struct takt_error *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (!lib_is_there)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                         "portaudio: libportaudio.so.2 is not installed (libportaudio2)");
    takt_quiet_libraries();
    FILE *before = hush();
    PaError err = lib.Pa_Initialize();
    unhush(before);
    return err == paNoError
               ? 0
               : takt_fail(e, TAKT_ERR_IO, 0, "portaudio: %s", lib.Pa_GetErrorText(err));
}

static void leave_lib(void)
{
    lib.Pa_Terminate();
}

/* ---- Devices --------------------------------------------------------------------------------- */

enum { DEVICES_MAX = 64 };
static const int64_t ask_ns = 3000 * 1000000LL; /* its search is slow where servers are */

static const char *name_of(PaDeviceIndex i, char *to, size_t size)
{
    const PaDeviceInfo *d = lib.Pa_GetDeviceInfo(i);
    snprintf(to, size, "%.40s/%.70s", lib.Pa_GetHostApiInfo(d->hostApi)->name, d->name);
    return to;
}

static bool serves(PaDeviceIndex i, bool is_input)
{
    const PaDeviceInfo *d = lib.Pa_GetDeviceInfo(i);
    return (is_input ? d->maxInputChannels : d->maxOutputChannels) > 0;
}

/* The device that an id's rest names, or paNoDevice. */
static PaDeviceIndex find(const char *rest, bool is_input)
{
    PaDeviceIndex found = paNoDevice;
    int parts = 0;
    if (!*rest)
        return is_input ? lib.Pa_GetDefaultInputDevice() : lib.Pa_GetDefaultOutputDevice();
    for (PaDeviceIndex i = 0; i < lib.Pa_GetDeviceCount(); i++) {
        char name[128];
        if (!serves(i, is_input))
            continue;
        if (!strcmp(name_of(i, name, sizeof name), rest))
            return i;
        if (strcasestr(name, rest)) {
            found = i;
            parts++;
        }
    }
    return parts == 1 ? found : paNoDevice;
}

struct answer {
    char rest[128];
    bool wants_all;
    int count;
    struct takt_device_info found[DEVICES_MAX];
    struct takt_error error;
};

static void describe(const char *rest, PaDeviceIndex in, PaDeviceIndex out,
                     struct takt_device_info *to)
{
    const PaDeviceInfo *i = in == paNoDevice ? NULL : lib.Pa_GetDeviceInfo(in);
    const PaDeviceInfo *o = out == paNoDevice ? NULL : lib.Pa_GetDeviceInfo(out), *d = o ? o : i;
    char name[128];
    TAKT_ASSERT(d);
    *to = (struct takt_device_info){.backend = "portaudio",
                                    .rate_hz_default = (uint32_t)d->defaultSampleRate,
                                    .rate_hz_min = 8000,
                                    .rate_hz_max = 384000,
                                    .block_frames_default = 256,
                                    .block_frames_min = 1,
                                    .block_frames_max = TAKT_BLOCK_FRAMES_MAX,
                                    .latency_low_s = d->defaultLowOutputLatency,
                                    .latency_high_s = d->defaultHighOutputLatency,
                                    .format = TAKT_F32};
    to->in_channels_max = i ? (uint32_t)i->maxInputChannels : 0;
    to->out_channels_max = o ? (uint32_t)o->maxOutputChannels : 0;
    to->in_channels_max = to->in_channels_max < 64 ? to->in_channels_max : 64;
    to->out_channels_max = to->out_channels_max < 64 ? to->out_channels_max : 64;
    snprintf(to->id, sizeof to->id, "portaudio:%.110s", rest);
    snprintf(to->description, sizeof to->description, "%s%s",
             *rest ? "" : "PortAudio's default: ", name_of(o ? out : in, name, sizeof name));
}

static int look_with_lib(struct answer *a)
{
    char name[128];
    if (!a->wants_all) {
        PaDeviceIndex in = find(a->rest, true), out = find(a->rest, false);
        if (in == paNoDevice && out == paNoDevice)
            return takt_fail(&a->error, TAKT_ERR_NOT_FOUND, 0,
                             *a->rest ? "portaudio:%.80s: there is no such device, or more than one"
                                      : "portaudio:%s PortAudio finds no device",
                             a->rest);
        describe(a->rest, in, out, &a->found[a->count++]);
        return 0;
    }
    if (find("", true) != paNoDevice || find("", false) != paNoDevice)
        describe("", find("", true), find("", false), &a->found[a->count++]);
    for (PaDeviceIndex i = 0; i < lib.Pa_GetDeviceCount() && a->count < DEVICES_MAX; i++)
        describe(name_of(i, name, sizeof name), serves(i, true) ? i : paNoDevice,
                 serves(i, false) ? i : paNoDevice, &a->found[a->count++]);
    return 0;
}

static int look(void *arg)
{
    struct answer *a = arg;
    pthread_mutex_lock(&lib_lock);
    int err = enter_lib(&a->error);
    if (!err) {
        err = look_with_lib(a);
        leave_lib();
    }
    pthread_mutex_unlock(&lib_lock);
    return err;
}

static int query(const char *rest, struct takt_device_info *out, struct takt_error *e)
{
    struct answer a = {.wants_all = false};
    if (strlen(rest) >= sizeof a.rest)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, 0, "portaudio:%.40s…: too long a name", rest);
    snprintf(a.rest, sizeof a.rest, "%s", rest);
    int err = takt_host_ask(look, &a, sizeof a, ask_ns);
    if (err == TAKT_ERR_TIMEOUT)
        return takt_fail(e, err, 0, "portaudio: it does not answer");
    if (err < 0 && e)
        *e = a.error;
    if (err >= 0)
        *out = a.found[0];
    return err;
}

static int list(struct takt_device_info *out, int max)
{
#if defined TAKT_HAVE_ALSA || defined TAKT_HAVE_JACK
    return 0;
#else
    struct answer a = {.wants_all = true};
    if (takt_host_ask(look, &a, sizeof a, ask_ns) < 0)
        return 0;
    for (int i = 0; i < a.count && i < max; i++)
        out[i] = a.found[i];
    return a.count;
#endif
}

/* ---- The link -------------------------------------------------------------------------------- */

enum { SETTLED_CYCLES = 4 };
static const double sane_s = 2; /* no latency is longer */

struct portaudio {
    struct takt_link base;
    char in_rest[128], out_rest[128];
    bool has_in, has_out, latency_high;
    uint32_t ins, outs, rate_hz, block_frames;
    double latency_s;
    int priority;
    int64_t timeout_ns;
    PaStream *stream;
    _Atomic int cycles;       /* so far, up to SETTLED_CYCLES */
    _Atomic uint32_t longest; /* of their blocks */
    _Atomic bool begun, quit;
};

static uint32_t our_flags(PaStreamCallbackFlags theirs)
{
    return (theirs & paInputUnderflow ? TAKT_INPUT_UNDERFLOW : 0u) |
           (theirs & paInputOverflow ? TAKT_INPUT_OVERFLOW : 0u) |
           (theirs & paOutputUnderflow ? TAKT_OUTPUT_UNDERFLOW : 0u) |
           (theirs & paOutputOverflow ? TAKT_OUTPUT_OVERFLOW : 0u);
}

/* A time that lies so far from now, by PortAudio's clock, can be true. */
static bool can_be(double ahead_s)
{
    return ahead_s > 0 && ahead_s < sane_s;
}

/* One piece of a block, no longer than what was granted. False: nobody is to be heard. */
static bool pass_on(struct portaudio *p, const float *const *in, float *const *out, uint32_t at,
                    uint32_t frames, const PaStreamCallbackTimeInfo *t, uint32_t flags)
{
    const float *from[TAKT_CHANNELS_MAX];
    float *to[TAKT_CHANNELS_MAX];
    int64_t now = takt_now_ns(), later = (int64_t)(at * 1e9 / p->rate_hz);
    double behind = t ? t->currentTime - t->inputBufferAdcTime : 0;
    double ahead = t ? t->outputBufferDacTime - t->currentTime : 0;
    for (uint32_t c = 0; c < p->ins; c++)
        from[c] = in[c] + at;
    for (uint32_t c = 0; c < p->outs; c++)
        to[c] = out[c] + at;
    struct takt_cycle c = {
        .frames = frames,
        .in = p->has_in ? from : NULL,
        .out = p->has_out ? to : NULL,
        .flags = flags,
        .valid = TAKT_TIME_NOW | (can_be(behind) ? TAKT_TIME_IN_FIRST : 0u) |
                 (can_be(ahead) ? TAKT_TIME_OUT_FIRST : 0u),
        .due_ns = now,
        .now_ns = now,
        .deadline_ns = now + (int64_t)(frames * 1e9 / p->rate_hz),
        .in_first_ns = now + later - (int64_t)(behind * 1e9),
        .out_first_ns = now + later + (int64_t)(ahead * 1e9),
    };
    return takt_link_cycle(&p->base, &c);
}

/* What comes before the stream begins only shows how long blocks are. */
static bool is_first(struct portaudio *p, uint32_t frames)
{
    if (atomic_load_explicit(&p->begun, memory_order_acquire))
        return false;
    int n = atomic_load_explicit(&p->cycles, memory_order_relaxed);
    if (n == 0 && p->priority != TAKT_PRIORITY_OFF)
        takt_thread_promote(p->priority, NULL);
    if (frames > atomic_load_explicit(&p->longest, memory_order_relaxed))
        atomic_store_explicit(&p->longest, frames, memory_order_relaxed);
    if (n < SETTLED_CYCLES)
        atomic_store_explicit(&p->cycles, n + 1, memory_order_release);
    return true;
}

static int process(const void *input, void *output, unsigned long frames,
                   const PaStreamCallbackTimeInfo *times, PaStreamCallbackFlags flags, void *arg)
{
    struct portaudio *p = arg;
    const float *const *in = input;
    float *const *out = (float *const *)output;
    bool goes_on = !is_first(p, (uint32_t)frames);
    uint32_t most = p->base.granted.block_frames, at = 0;
    for (; goes_on && at < frames; at += most) {
        uint32_t n = frames - at < most ? (uint32_t)frames - at : most;
        goes_on = pass_on(p, in, out, at, n, times, at ? 0 : our_flags(flags));
        if (!goes_on)
            break;
    }
    for (uint32_t c = 0; !goes_on && c < p->outs; c++)
        memset(out[c] + at, 0, (frames - at) * sizeof(float));
    return paContinue;
}

static void finished(void *arg)
{
    struct portaudio *p = arg;
    if (!atomic_load(&p->quit))
        takt_link_lost(&p->base);
}

static int parameters(const struct portaudio *p, bool is_input, PaStreamParameters *to,
                      struct takt_error *e)
{
    const char *rest = is_input ? p->in_rest : p->out_rest;
    PaDeviceIndex i = find(rest, is_input);
    if (i == paNoDevice)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, 0, "portaudio:%.80s: there is no such %s", rest,
                         is_input ? "input" : "output");
    const PaDeviceInfo *d = lib.Pa_GetDeviceInfo(i);
    double low = is_input ? d->defaultLowInputLatency : d->defaultLowOutputLatency;
    double high = is_input ? d->defaultHighInputLatency : d->defaultHighOutputLatency;
    double wish = p->latency_s > 0  ? p->latency_s
                  : p->latency_high ? high
                  : p->block_frames ? fmin(low, 2.0 * p->block_frames / p->rate_hz)
                                    : low;
    *to = (PaStreamParameters){.device = i,
                               .channelCount = (int)(is_input ? p->ins : p->outs),
                               .sampleFormat = paFloat32 | paNonInterleaved,
                               .suggestedLatency = wish};
    return 0;
}

static int open_stream(struct portaudio *p, struct takt_error *e)
{
    PaStreamParameters in, out;
    int err = p->has_in ? parameters(p, true, &in, e) : 0;
    if (!err && p->has_out)
        err = parameters(p, false, &out, e);
    if (err < 0)
        return err;
    FILE *before = hush();
    PaError pa =
        lib.Pa_OpenStream(&p->stream, p->has_in ? &in : NULL, p->has_out ? &out : NULL, p->rate_hz,
                          paFramesPerBufferUnspecified, paClipOff | paDitherOff, process, p);
    if (pa == paNoError) {
        lib.Pa_SetStreamFinishedCallback(p->stream, finished);
        pa = lib.Pa_StartStream(p->stream);
    }
    unhush(before);
    return pa == paNoError
               ? 0
               : takt_fail(e, pa == paInvalidSampleRate ? TAKT_ERR_UNSUPPORTED : TAKT_ERR_IO, 0,
                           "portaudio: %s", lib.Pa_GetErrorText(pa));
}

static void link_close(struct takt_link *base)
{
    struct portaudio *p = (struct portaudio *)base;
    atomic_store(&p->quit, true);
    pthread_mutex_lock(&lib_lock);
    if (p->stream) {
        lib.Pa_AbortStream(p->stream);
        lib.Pa_CloseStream(p->stream);
    }
    p->stream = NULL;
    leave_lib();
    pthread_mutex_unlock(&lib_lock);
}

/* A latency as PortAudio says it, where it can be true; else the block, which it is at least. */
static uint32_t frames_of(double latency_s, uint32_t rate_hz, uint32_t block)
{
    return can_be(latency_s) ? (uint32_t)lround(latency_s * rate_hz) : block;
}

static int link_open(struct takt_link *base, struct takt_error *e)
{
    struct portaudio *p = (struct portaudio *)base;
    atomic_store(&p->begun, false);
    atomic_store(&p->quit, false);
    atomic_store(&p->cycles, 0);
    atomic_store(&p->longest, 0);
    pthread_mutex_lock(&lib_lock);
    int err = enter_lib(e);
    if (!err && (err = open_stream(p, e)) < 0 && !p->stream)
        leave_lib();
    pthread_mutex_unlock(&lib_lock);
    if (err < 0) {
        if (p->stream)
            link_close(base);
        return err;
    }
    int64_t until = takt_now_ns() + p->timeout_ns - p->timeout_ns / 8;
    while (atomic_load(&p->cycles) < SETTLED_CYCLES && takt_now_ns() < until)
        takt_sleep_ms(2);
    uint32_t block = atomic_load(&p->longest);
    const PaStreamInfo *info = lib.Pa_GetStreamInfo(p->stream);
    if (atomic_load(&p->cycles) < SETTLED_CYCLES || !info || block > TAKT_BLOCK_FRAMES_MAX) {
        link_close(base);
        return takt_fail(e, TAKT_ERR_TIMEOUT, 0, "portaudio: the device gives no blocks");
    }
    base->granted = (struct takt_granted){
        .rate_hz = p->rate_hz,
        .block_frames = block,
        .block_varies = true,
        .latency_in_frames = p->has_in ? frames_of(info->inputLatency, p->rate_hz, block) : 0,
        .latency_out_frames = p->has_out ? frames_of(info->outputLatency, p->rate_hz, block) : 0};
    return 0;
}

static int link_begin(struct takt_link *base, struct takt_error *e)
{
    atomic_store_explicit(&((struct portaudio *)base)->begun, true, memory_order_release);
    return 0;
}

static void link_free(struct takt_link *base)
{
    takt_rt_free(base);
}

static const struct takt_link_ops link_ops = {
    .open = link_open, .begin = link_begin, .close = link_close, .free = link_free};

static int make_link(const struct takt_driver_cfg *cfg, struct takt_link **out,
                     struct takt_error *e)
{
    struct portaudio *p = takt_rt_alloc(sizeof *p);
    if (!p)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    p->base.ops = &link_ops;
    p->has_in = cfg->in_rest != NULL;
    p->has_out = cfg->out_rest != NULL;
    p->ins = p->has_in ? cfg->in_channels : 0;
    p->outs = p->has_out ? cfg->out_channels : 0;
    p->rate_hz = cfg->rate_hz;
    p->block_frames = cfg->block_frames;
    p->latency_s = cfg->latency_s;
    p->latency_high = cfg->latency_high;
    p->priority = cfg->priority;
    p->timeout_ns = cfg->timeout_ns;
    snprintf(p->in_rest, sizeof p->in_rest, "%s", p->has_in ? cfg->in_rest : "");
    snprintf(p->out_rest, sizeof p->out_rest, "%s", p->has_out ? cfg->out_rest : "");
    *out = &p->base;
    return 0;
}

static int open_driver(const struct takt_driver_cfg *cfg, struct takt_driver **out,
                       struct takt_error *e)
{
    return takt_host_open(cfg, make_link, "portaudio", out, e);
}

const struct takt_backend takt_backend_portaudio = {.scheme = "portaudio",
                                                    .has_clock = true,
                                                    .list = list,
                                                    .query = query,
                                                    .open_driver = open_driver};
