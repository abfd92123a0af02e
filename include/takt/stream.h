/*
 * takt/stream.h - the callback stream: sound in, your function, sound out, block after block.
 *
 *     static enum takt_next quieter(const struct takt_block *b, void *arg)
 *     {
 *         for (uint32_t c = 0; c < b->out_channels; c++)
 *             takt_scale(b->out[c], b->in[c], 0.8f, b->frames);
 *         return TAKT_CONTINUE;
 *     }
 *     ...
 *     takt_stream_create(&(struct takt_stream_cfg){.rate_hz = 44100, .block_frames = 256,
 *         .in = {.channels = 1}, .out = {.channels = 1}, .process = quieter}, &s, &e);
 *     takt_stream_start(s);
 *     takt_sleep_ms(10000);
 *     takt_stream_destroy(s);
 *
 * States and what moves between them (docs/ARCHITECTURE.md has the table):
 * STOPPED -start-> RUNNING -stop or TAKT_DRAIN-> DRAINING -> STOPPED, and
 * RUNNING -abort or TAKT_ABORT-> STOPPED. RUNNING and LOST change places as the device goes
 * away and comes back. A stopped stream can be started again.
 *
 * Every control call may come from any thread but the callback's; they exclude one another.
 */
#ifndef TAKT_STREAM_H
#define TAKT_STREAM_H

#include "takt/error.h"
#include "takt/format.h"
#include "takt/guard.h"
#include "takt/thread.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_stream;
struct takt_contract; /* takt/contract.h */
struct takt_chain;    /* takt/chain.h */

/* ---- The block ------------------------------------------------------------------------- */

/* What the callback wants next. */
enum takt_next {
    TAKT_CONTINUE = 0, /* call me again */
    TAKT_DRAIN,        /* play what was written, this block included, then stop */
    TAKT_ABORT         /* stop now; this block is not played */
};

/* Status of a block: what happened since the one before it. */
enum takt_flag {
    TAKT_INPUT_UNDERFLOW = 1 << 0,  /* input held silence because the source had no data in time */
    TAKT_INPUT_OVERFLOW = 1 << 1,   /* input was lost because nobody took it in time */
    TAKT_OUTPUT_UNDERFLOW = 1 << 2, /* the output played silence because we came too late */
    TAKT_OUTPUT_OVERFLOW = 1 << 3,  /* the sink had no room; output was dropped */
    TAKT_PRIMING = 1 << 4,          /* this block fills buffers before the first sound is out */
    TAKT_INPUT_ENDED = 1 << 5,      /* the source ended: only in_frames of this block are real */
    TAKT_DEVICE_AWAY = 1 << 6,      /* the device is lost: input is silence, output goes nowhere */
    TAKT_FREEWHEEL = 1 << 7,        /* the host goes faster than time; no deadline is recorded */
    TAKT_BYPASSED = 1 << 8,         /* you were bypassed: lost_frames counts what you missed, too */
    TAKT_ON_TRIAL = 1 << 9          /* this block's output is not heard, see takt_bypass_cfg */
};

/* Which times of a block are known. */
enum takt_time_valid {
    TAKT_TIME_IN_FIRST = 1 << 0,
    TAKT_TIME_NOW = 1 << 1,
    TAKT_TIME_DEADLINE = 1 << 2,
    TAKT_TIME_OUT_FIRST = 1 << 3
};

/* What one callback carries. Valid only during the call.
 *
 * Planar (the default): in[channel][frame] and out[channel][frame].
 * Interleaved: in[0][frame * in_channels + channel], likewise out[0].
 * With a format other than TAKT_F32, in and out are NULL and in_data and out_data hold the same
 * shapes in that format; with TAKT_F32 all four are set and in_data[c] == in[c].
 * out is silence at entry. A side that the stream lacks has 0 channels and no pointers.
 * Times are CLOCK_MONOTONIC nanoseconds, or virtual ones on a virtual clock. */
struct takt_block {
    const float *const *in;
    float *const *out;
    const void *const *in_data;
    void *const *out_data;
    uint32_t in_channels;
    uint32_t out_channels;
    uint32_t frames;      /* the same in every block when block_frames was asked for */
    uint32_t in_frames;   /* of them, real input; fewer than frames only as the source ends */
    uint32_t flags;       /* enum takt_flag */
    uint32_t times_valid; /* enum takt_time_valid */
    uint64_t position;    /* of the first frame, in frames since start, lost ones included */
    uint64_t lost_frames; /* between the end of the last block you had and this one */
    int64_t in_first_ns;  /* when the first input frame was at the converter */
    int64_t now_ns;       /* when the device thread woke for this block */
    int64_t deadline_ns;  /* when the output has to be ready */
    int64_t out_first_ns; /* when the first output frame will be at the converter */
};

/* Runs on the device thread. It must not allocate, lock, wait or do I/O. */
typedef enum takt_next takt_process_fn(const struct takt_block *b, void *arg);

/* ---- Settings --------------------------------------------------------------------------- */

enum takt_layout { TAKT_PLANAR = 0, TAKT_INTERLEAVED };

enum takt_latency {
    TAKT_LATENCY_LOW = 0, /* for playing live */
    TAKT_LATENCY_HIGH,    /* for safe playback */
    TAKT_LATENCY_SECONDS  /* as latency_s says, as near as the device can */
};

enum takt_clock {
    TAKT_CLOCK_REAL = 0, /* the device's pace */
    TAKT_CLOCK_VIRTUAL   /* as fast as the machine can, the same on every run; sim, file, null */
};

enum { TAKT_CHANNELS_MAX = 64, TAKT_BLOCK_FRAMES_MAX = 16384 };

/* One side. It is used when device or channels is set. A zero field takes its default. */
struct takt_side_cfg {
    const char *device;  /* "sim:voice", "file:x.wav", "null:", …; default takt_defaults() */
    uint32_t channels;   /* 1..64; default: the device's own, at most 2 for live ones */
    const uint16_t *map; /* [channels]: the device channel of each; default 0, 1, 2 … */
    enum takt_latency latency;      /* default low */
    double latency_s;               /* with TAKT_LATENCY_SECONDS: this side's, > 0 */
    enum takt_sample device_format; /* what a file sink stores; default: its own choice */
    /* For how long a file sink's disk may stall and nothing is lost, 0.1..600 s; default 8. Its
     * ring takes so many seconds of 32-bit samples (3.1 MB at 48 kHz stereo), touched at create and
     * locked at start where the limit allows. stop waits so long for the disk, too. */
    double buffer_s;
};

/* What is heard instead of a callback that keeps overrunning. */
enum takt_bypass_mode {
    TAKT_BYPASS_OFF = 0, /* nothing: it is called and heard whatever it does */
    TAKT_BYPASS_SILENCE,
    TAKT_BYPASS_DRY /* the input; as many channels there as on the output */
};

/* A callback that uses more than a host block's time, by itself, in `misses` of the last
 * `of_blocks` host blocks, or once more than overrun_periods times of it, is bypassed: its output
 * fades away and it is not called for retry_ms. Then it is called on trial, unheard; once it kept
 * its deadline in trial_blocks host blocks in a row it fades back in. The wait doubles with each
 * failure up to retry_ms_max, and halves with good behaviour. Time off its CPU is not its own,
 * where the contract can tell. Not for blocking streams. A zero field takes its default. */
struct takt_bypass_cfg {
    enum takt_bypass_mode mode;
    uint32_t misses, of_blocks; /* default 3 of 8; of_blocks is at most 64 */
    uint32_t overrun_periods;   /* default 4 */
    uint32_t retry_ms;          /* default 250 */
    uint32_t retry_ms_max;      /* default 4000 */
    uint32_t trial_blocks;      /* default 8 */
};

#define TAKT_FADE_OFF (-1.0)

/* A zero field takes its default. A stream without process is for takt_stream_read/write. */
struct takt_stream_cfg {
    struct takt_side_cfg in, out;
    uint32_t rate_hz;        /* 8000..384000; default: the source's own, else 48000 */
    uint32_t block_frames;   /* 1..16384, kept exactly; default: the host's block, which may vary */
    enum takt_layout layout; /* of the callback's buffers; default planar */
    enum takt_sample format; /* of the callback's buffers; default TAKT_F32 */
    enum takt_clip clip;     /* of what leaves for the device; default: where it becomes integers */
    enum takt_dither dither; /* when samples lose bits; default off */
    takt_process_fn *process; /* default none: blocking read and write, on a real clock only */
    void *arg;
    /* Called behind process, with the same block and the same rules, for work that need not delay
     * the sound, such as handing the block to analyses: where the block is the host's, when its
     * output is on its way already and its deadline record is closed; else at once. out then holds
     * what is heard, fades included. Not called for a block that process aborted or was not called
     * for. Not for blocking streams. May be NULL. */
    void (*after)(const struct takt_block *b, void *arg);
    /* Called once, as the last thing the stream does on the device thread; last_frame is the
     * position after the last frame that was played or captured. May be NULL. */
    void (*finished)(uint64_t last_frame, void *arg);
    uint64_t length_frames; /* end by itself after so many frames, to the frame; default never */
    uint64_t tail_frames;   /* go on for so long after the source ended; default 0 */
    enum takt_clock clock;  /* default real */
    uint64_t seed;          /* of all chance in sim and dither; default 1 */
    uint32_t timeout_ms; /* bounds start, stop and abort; default 2000. The last of a recording is
                            waited for as long as its buffer_s, where that is longer */
    enum takt_guard_mode guard; /* what watches the callback; default: TAKT_GUARD's word, or off */
    int priority; /* SCHED_FIFO 1..98 of the device thread; default 70; or TAKT_PRIORITY_OFF */
    uint32_t buffer_frames; /* blocking mode: frames held for read and write; default 4 blocks */
    bool contract_off;      /* leave the deadline record out; for measuring its cost */
    const char *name;       /* what other programs see; default "takt" */
    /* Where sound breaks off or sets in again (frames lost, input starved, device away, stopped in
     * the middle) it fades, for so many ms up to 50; default 2; or TAKT_FADE_OFF. No other sample
     * is touched and nothing is delayed. */
    double fade_ms;
    bool fade_input_off; /* give the callback its input as it is around a gap, steps and all */
    struct takt_bypass_cfg bypass; /* of a callback that keeps overrunning; default off */
    /* Its state shows in the stream's health and events; planar TAKT_F32 only. Without process the
     * chain is the callback. It has to outlive the stream. Default none. */
    struct takt_chain *chain;
};

/* What was granted, as of now: a sound server may change its block and its latencies. Latencies
 * are in frames. */
struct takt_stream_actual {
    uint32_t rate_hz;
    uint32_t source_hz;         /* of a file that is converted to rate_hz; else rate_hz */
    uint32_t block_frames;      /* of the callback; 0 when it varies with the host */
    uint32_t block_frames_max;  /* never more than this */
    uint32_t host_block_frames; /* what the device moves at once (its longest) */
    uint32_t in_channels, out_channels;
    uint32_t latency_in_frames;  /* converter to host block */
    uint32_t latency_out_frames; /* host block to converter */
    uint32_t adapter_frames;     /* added by us; 0 whenever the block is the host's */
    double latency_in_s, latency_out_s;
    /* When the input has a clock of its own, other than the output's: what of latency_in_frames
     * is for bridging the two, by how much the input's clock is faster than nominal against the
     * output's, and how often the queue between them ran empty. Else 0. */
    uint32_t bridge_frames;
    double bridge_drift_ppm;
    uint64_t bridge_gaps;
    bool bridge_settled; /* the drift is known; before, and for 8 s after each gap, it is a guess */
    enum takt_sample format;
    enum takt_layout layout;
    enum takt_clock clock;
    const char *in_device, *out_device; /* "" for a side not used; owned by the stream */
};

/* ---- Life ------------------------------------------------------------------------------- */

/* Checks the settings, opens the devices and takes all the memory there will be. cfg may not be
 * NULL: a stream needs at least one side. Errors: TAKT_ERR_ARG, _NOMEM, _NOT_FOUND, _UNSUPPORTED,
 * _IO, _FORMAT; *out is NULL then. cfg and what it points to, map included, are copied. Thread:
 * any. RT: no. */
TAKT_API int takt_stream_create(const struct takt_stream_cfg *cfg, struct takt_stream **out,
                                struct takt_error *e);

/* Would create succeed? The same checks and errors; nothing stays open and no file is made or
 * changed. Thread: any. RT: no. */
TAKT_API int takt_stream_check(const struct takt_stream_cfg *cfg, struct takt_error *e);

/* Starts the device; the first callback may come before this returns. Position starts at 0.
 * Errors: TAKT_ERR_STATE when not stopped, TAKT_ERR_TIMEOUT, what the device reports.
 * takt_stream_error() has the text. RT: no. */
TAKT_API int takt_stream_start(struct takt_stream *s);

/* No more callbacks; plays out what was written and returns when the last frame was heard.
 * On a stopped stream: 0. Errors: TAKT_ERR_TIMEOUT when the device or the callback hangs; the
 * stream is then STUCK and only destroy is left. RT: no. */
TAKT_API int takt_stream_stop(struct takt_stream *s);

/* The same, but drops what was written; what sounds dies away within fade_ms. RT: no. */
TAKT_API int takt_stream_abort(struct takt_stream *s);

/* Waits until the stream has stopped by itself (TAKT_DRAIN, TAKT_ABORT, length, end of source).
 * timeout_ms < 0: without end. Returns 0 when stopped, TAKT_ERR_TIMEOUT when not, and the error
 * that ended the stream if one did. RT: no. */
TAKT_API int takt_stream_wait(struct takt_stream *s, int64_t timeout_ms);

/* Aborts if need be and frees everything, within the timeout also when the device hangs (what a
 * hanging callback still uses is then freed once it returns). NULL is fine. RT: no. */
TAKT_API void takt_stream_destroy(struct takt_stream *s);

/* ---- Questions, from any thread, the callback included. RT: yes (wait-free) but for two --- */

enum takt_state {
    TAKT_STATE_STOPPED = 0,
    TAKT_STATE_STARTING,
    TAKT_STATE_RUNNING,
    TAKT_STATE_LOST, /* running in silence until the device is back */
    TAKT_STATE_DRAINING,
    TAKT_STATE_ABORTING,
    TAKT_STATE_STUCK /* stop ran out of time */
};
TAKT_API enum takt_state takt_stream_state(const struct takt_stream *s);
TAKT_API const char *takt_state_name(enum takt_state state); /* "running" */

TAKT_API void takt_stream_actual(const struct takt_stream *s, struct takt_stream_actual *out);

/* The deadline record. Lives as long as the stream; start clears it. */
TAKT_API const struct takt_contract *takt_stream_contract(const struct takt_stream *s);

/* Policy and priority in force on the device thread; known once started. RT: no. */
TAKT_API void takt_stream_sched(const struct takt_stream *s, struct takt_sched *out);

/* The stream's clock now, ns: CLOCK_MONOTONIC, or the virtual time. */
TAKT_API int64_t takt_stream_time_ns(const struct takt_stream *s);

/* Frames since start, up to the end of the last block that was processed. */
TAKT_API uint64_t takt_stream_position(const struct takt_stream *s);

/* Smoothed share of the block's time that the callback used, 0..1 and above when overrunning. */
TAKT_API double takt_stream_cpu_load(const struct takt_stream *s);

/* How the stream bore what went wrong, since start. */
struct takt_health {
    bool is_bypassed;         /* the callback is not heard: it is waiting or on trial */
    uint64_t bypassed_since;  /* position; 0 when it is heard */
    uint64_t bypasses;        /* how often it was bypassed */
    uint64_t retries;         /* trials that have begun */
    uint64_t bypassed_frames; /* for which it was not heard, in all */
    uint64_t fades;           /* gaps at the device or in the input that were softened */
    uint64_t shed;            /* stages of the chain that are shed now: bit k is stage k */
    uint64_t sheds;           /* how often one was */
};

/* Each number is whole; two may be from neighbouring blocks. RT: yes (wait-free). */
TAKT_API void takt_stream_health(const struct takt_stream *s, struct takt_health *out);

/* The last error of a control call or of the running stream; code TAKT_OK if none. RT: no. */
TAKT_API void takt_stream_error(const struct takt_stream *s, struct takt_error *out);

/* ---- Recordings ---------------------------------------------------------------------------- */

enum { TAKT_GAPS_KEPT = 16 };

/* In frames of the recording: where silence stands for sound that was lost, and for how long. */
struct takt_gap {
    uint64_t position, frames;
};

/* How a file sink's disk keeps up. */
struct takt_recording {
    double buffer_s;        /* for so long the disk may stall */
    uint64_t buffer_frames; /* a little more, for the blocks on their way */
    uint64_t buffer_bytes;
    bool buffer_locked;       /* stays in RAM, see takt/memory.h; known once started */
    uint64_t fullest_frames;  /* of the buffer, the most that ever waited for the disk */
    uint64_t recorded_frames; /* handed to the disk; those of a finished recording are all there */
    uint64_t lost_frames;     /* found no room in the buffer; all of them, since start */
    uint64_t gap_count;       /* how many gaps they make */
    struct takt_gap gaps[TAKT_GAPS_KEPT]; /* the last of them, oldest first */
};

/* Returns false, and all zeros, when the output is no recording. Thread: any. RT: yes (bounded). */
TAKT_API bool takt_stream_recording(const struct takt_stream *s, struct takt_recording *out);

/* ---- Events ------------------------------------------------------------------------------ */

enum takt_event_type {
    TAKT_EVENT_STARTED = 1,
    TAKT_EVENT_FINISHED,    /* position: after the last frame */
    TAKT_EVENT_INPUT_ENDED, /* position: after the last real frame */
    TAKT_EVENT_XRUN,        /* value: frames lost */
    TAKT_EVENT_DEVICE_LOST,
    TAKT_EVENT_DEVICE_BACK, /* value: how many frames it was away */
    TAKT_EVENT_SINK_FAILED, /* code, os_errno, text: a recording ended early; the sound goes on */
    TAKT_EVENT_LOG,         /* text: what a host library had to say; with a code: what takt has to
                               say of the host */
    TAKT_EVENT_HOST_BLOCK,  /* value: the host's block is so many frames from now on */
    TAKT_EVENT_SINK_LOST, /* value: frames that a recording lost, since its disk stalled for longer
                             than its buffer; text says where, takt_stream_recording() as well */
    TAKT_EVENT_BYPASSED,  /* the callback is not heard; value: frames until it is tried again */
    TAKT_EVENT_RESTORED,  /* the callback is heard again; value: frames for which it was not */
    TAKT_EVENT_SHED,      /* value: the stages that are shed from now on, as in takt_health */
    TAKT_EVENT_TYPES      /* how many there are, and 0 for none */
};

struct takt_event {
    enum takt_event_type type;
    enum takt_err code;
    int os_errno;
    int64_t time_ns;
    uint64_t position;
    uint64_t value;
    char text[200];
};

/* A descriptor that polls readable while events wait. Owned by the stream: do not close or read
 * it. When nobody takes them, 192 xruns, sink losses and logs wait at most and 256 events in all;
 * further ones are dropped. So a flood of xruns keeps out neither the end nor a loss. RT: no. */
TAKT_API int takt_stream_event_fd(const struct takt_stream *s);

/* Takes the oldest event. Returns 1, or 0 when there is none. One thread at a time. RT: no. */
TAKT_API int takt_stream_next_event(struct takt_stream *s, struct takt_event *out);

/* How often it happened since start, those that were dropped included. RT: yes (wait-free). */
TAKT_API uint64_t takt_stream_event_count(const struct takt_stream *s, enum takt_event_type type);

/* "device_lost". Never NULL. RT: yes. */
TAKT_API const char *takt_event_name(enum takt_event_type type);

/* ---- Blocking read and write: a stream created without process --------------------------- */

/* Takes exactly `frames` frames of input in the stream's layout and format, waiting for them.
 * Shape: interleaved data[frames * channels]; planar: data is an array of `channels` pointers.
 * timeout_ms < 0: without end. Returns the frames read: fewer than asked when the stream stopped
 * or the source ended, or when the time ran out; 0 frames then give TAKT_ERR_END or
 * TAKT_ERR_TIMEOUT. *overflowed (may be NULL) says that input was lost before this data.
 * Thread: one reader at a time, beside one writer. RT: no. */
TAKT_API int64_t takt_stream_read(struct takt_stream *s, void *data, uint32_t frames,
                                  int64_t timeout_ms, bool *overflowed);

/* Gives exactly `frames` frames of output, waiting for room; otherwise like read.
 * *underflowed (may be NULL) says that silence was played because no data was there. RT: no. */
TAKT_API int64_t takt_stream_write(struct takt_stream *s, const void *data, uint32_t frames,
                                   int64_t timeout_ms, bool *underflowed);

/* Frames that read or write would move without waiting. RT: yes (wait-free). */
TAKT_API uint32_t takt_stream_read_available(const struct takt_stream *s);
TAKT_API uint32_t takt_stream_write_available(const struct takt_stream *s);

/* ---- Whole sounds at once ---------------------------------------------------------------- */

/* Plays, records, or both, from and into the caller's memory, which must stay until the stream
 * has stopped: takt_stream_wait(*out, -1), then takt_stream_destroy. cfg as for create, without
 * process and length; NULL means all defaults with one channel.
 * Shape: interleaved (frames, channels) of cfg->format, whatever cfg->layout says.
 * Returns once started. RT: no. */
TAKT_API int takt_play(const struct takt_stream_cfg *cfg, const void *data, uint64_t frames,
                       struct takt_stream **out, struct takt_error *e);
TAKT_API int takt_rec(const struct takt_stream_cfg *cfg, void *data, uint64_t frames,
                      struct takt_stream **out, struct takt_error *e);
TAKT_API int takt_playrec(const struct takt_stream_cfg *cfg, const void *play, void *rec,
                          uint64_t frames, struct takt_stream **out, struct takt_error *e);

#ifdef __cplusplus
}
#endif
#endif
