/*
 * net/source_parts.h - what a source is made of: whose packets are believed (source.c), how late
 * they come and which delay that asks for (source_delay.c), and their sound (source_sound.c).
 *
 * Thread: one at a time. RT: yes (wait-free), all calls.
 */
#ifndef TAKT_NET_SOURCE_PARTS_H
#define TAKT_NET_SOURCE_PARTS_H

#include "net/beat.h"
#include "net/envelope.h"
#include "net/follow.h"
#include "net/jitter.h"
#include "net/playout.h"
#include "net/source.h"
#include "net/target.h"
#include "wire/rtp.h"

enum {
    TAKT_SOURCE_TAIL = 128, /* frames of the slope where a line ends */
    TAKT_SOURCE_PARTS = 4,
    TAKT_SOURCE_LEARNT = 1024,
    TAKT_SOURCE_RECENT = 64, /* packets, of which the beat is learned */
    /* A source is listened to for so long before it is heard, which is as long as two blocks of 512
     * frames; and the delay begins so much above what it took to be in time then. */
    TAKT_SOURCE_LEARN_NS = 20000000,
    TAKT_SOURCE_SPARE_NS = 600000
};

struct takt_source_voice {
    struct takt_playout *playout;
    struct takt_follow *follow;
};

/* When a packet came, and its first frame. */
struct takt_source_arrival {
    bool is_there;
    int64_t arrival_ns, media;
};

struct takt_source {
    struct takt_receiver_cfg cfg;
    struct takt_source_voice voice[TAKT_RECEIVER_FORMATS_MAX];
    struct takt_jitter *jitter;
    struct takt_target *target;
    struct takt_envelope envelope;
    struct takt_rtp_source rtp;

    bool is_live;
    uint32_t ssrc;
    uint32_t format;                  /* index of cfg.formats */
    uint32_t format_next, format_run; /* another one that came last, and how often on end */
    bool has_newest;
    int64_t seq_newest, media_newest, arrival_ns; /* of the newest packet */
    uint32_t frames_newest;
    uint16_t jump_seq; /* the last one that was far from the others, */
    uint32_t jumps;    /* and how many near it there were on end */
    bool has_stray;
    uint32_t stray_timestamp; /* where a stray one would go on, */
    uint32_t stray_run;       /* and how many near it there were on end */

    bool is_learning;                                      /* what the path is like */
    int64_t first_ns;                                      /* when the first packet came */
    struct takt_source_arrival slowest[TAKT_SOURCE_PARTS]; /* of each part of the first moment */
    struct takt_source_arrival
        recent[TAKT_SOURCE_RECENT]; /* packets, the newest at recents - 1, and round */
    uint32_t recents;
    struct takt_beat_pulls pulls; /* those to come; without a beat but while the line is copied */
    uint32_t pull_frames;         /* of the newest pull */
    bool is_even;                 /* and of the one before */
    double saved_ns;              /* what the delay is shorter by, as packets keep their beat */
    bool wants_beat;              /* to be found anew */
    int64_t tight_from_ns;
    uint32_t seen, tight;           /* packets since then; and of these, in time by little */
    double moving_s;                /* for so long the line has not been copied */
    bool is_tight;                  /* so it was in the last second */
    double peak_ns, peak_before_ns; /* the latest ones of now and of the time before */
    int64_t peak_from_ns;
    double wish_before_ns, wish_then_ns; /* what the target wished some time ago, */
    int64_t wish_from_ns;
    double looked_s, missed_s; /* and what of the sound lately would be late by it */
    bool covers_all;           /* as that costs more than a delay by which nothing is late */
    int64_t covered_ns;        /* when that was so last */
    int64_t seq_first;         /* since it began anew */
    int64_t learnt[TAKT_SOURCE_LEARNT]; /* numbers of packets whose lateness has been counted, by
                                           number */
    bool is_out;                        /* packets come that an outage held up */
    int64_t out_ns;
    double late_last_ns,
        late_newest_ns; /* of the one that came last; and of the last two, the less */
    bool is_back;       /* at a longer delay, from a silence, */
    int64_t back_ns;    /* then */
    double was_ns;      /* the delay before, */
    int64_t tardy_ns;   /* and when a packet came last that it would not have covered */
    bool is_pressed;
    int64_t pressed_at_ns; /* when one was late */

    bool has_ended; /* no packet of it comes any more */
    bool is_begun;  /* plays */
    int64_t begun_ns;
    double delay_ns, ahead_ns, error;
    double shrunk_ns; /* how much shorter the delay has become while it was copied */
    double waited_s;  /* for a moment to begin to resample in */
    bool slides;
    int64_t next_play_ns; /* when the next pull should be */
    double latency_ns;
    bool has_latency;

    float *scratch_memory;
    float *scratch[TAKT_CODEC_CHANNELS_MAX];
    float last[TAKT_CODEC_CHANNELS_MAX], tail[TAKT_CODEC_CHANNELS_MAX];
    uint32_t tail_left;

    struct takt_hist hist[TAKT_RECEIVER_HISTS];
    uint64_t broken, strays, resets;
    uint64_t heard_frames, concealed_frames, repaired; /* of lines that have ended */
};

static inline const struct takt_codec_format *takt_source_codec(const struct takt_source *s)
{
    return &s->cfg.formats[s->format].codec;
}

/* ---- Delay ----------------------------------------------------------------------------------- */

/* A source is listened to from arrival_ns on: nothing is known of its path. */
void takt_source_listen(struct takt_source *s, int64_t arrival_ns);

/* When the sound of a packet was there for the first time, by itself or by a copy: a delay that is
 * enough for that is enough. What does not come by any way is lost, and says nothing. */
void takt_source_learn_late(struct takt_source *s, int64_t seq, int64_t arrival_ns, int64_t media,
                            uint32_t frames);

/* The longest delay: packets have to have room for as long as they wait. */
double takt_source_delay_most_ns(const struct takt_source *s);

/* Whether packets have come in each place that they have in a pull. */
bool takt_source_has_places(const struct takt_source *s);

/* The delay to begin with, and the one to come to. */
double takt_source_first_delay_ns(const struct takt_source *s);
double takt_source_goal_ns(const struct takt_source *s);

/* Whether no packet has been late for long. */
bool takt_source_is_calm(const struct takt_source *s);

/* What the beat of the newest packets saves of that delay; pulls: as they are with it. */
double takt_source_beat_saves_ns(const struct takt_source *s, const struct takt_beat_pulls *pulls,
                                 double delay_ns);

/* One was too late, or nearly: it takes a longer delay, or another beat. That is work, so it is
 * done once a pull, however many were. */
void takt_source_find_beat(struct takt_source *s);

/* After a pull that lasts dt_s: whether there still is a beat; and where the next pull begins. */
void takt_source_keep_beat(struct takt_source *s, double dt_s);
void takt_source_note_beat(struct takt_source *s);

#endif
