/*
 * net/playout.h - the sound of one source as a line of frames without end: packets are decoded at
 * the last moment, and what is not there is concealed.
 *
 *     takt_playout_begin(p, media);                // the line goes on with this frame of the
 * sender takt_playout_fill(p, jitter, line + frames, wish); // the line is there up to that place
 *     in = takt_playout_line(p, channel, line);
 *
 * A place on the line and the sender's frame there differ by `shift`, which moves only where nobody
 * hears it: in concealment, and in silence, whose length nobody knows. So whoever reads the line
 * never jumps.
 *
 * Thread: one at a time.
 */
#ifndef TAKT_NET_PLAYOUT_H
#define TAKT_NET_PLAYOUT_H

#include "codec/codec.h"
#include "net/jitter.h"

enum {
    TAKT_PLAYOUT_KEPT = 64,        /* frames that stay on the line behind what was read */
    TAKT_PLAYOUT_PACKET_MAX = 5760 /* the longest packet: 120 ms of Opus */
};

struct takt_playout;

struct takt_playout_cfg {
    const struct takt_codec_format *format;
    uint32_t frames_max; /* the most that one fill adds, but for the last packet's rest */
    uint32_t bytes_max;  /* of a payload */
    bool is_helped;      /* takt_playout_help() is called; else a gap costs what it does */
};

struct takt_playout_counts {
    /* The sender's frames, and what stood in for them; a gap of more than a second is counted once
     * it is over. */
    uint64_t heard_frames, concealed_frames;
    uint64_t repaired_packets; /* out of the next one's copy */
    uint64_t capture_line;     /* the place of the frame that was captured … */
    int64_t capture_ns;        /* … then; 0: not known */
};

/* The only call that allocates. Errors: those of takt_decoder_create(); *out is NULL then.
 * Thread: any. RT: no. */
int takt_playout_create(const struct takt_playout_cfg *cfg, struct takt_playout **out,
                        struct takt_error *e);

/* p may be NULL. RT: no. */
void takt_playout_destroy(struct takt_playout *p);

/* As just made: an empty line, silent before its place 0, where the sender's frame `media` will be.
 * RT: yes (wait-free), O(frames_max). */
void takt_playout_begin(struct takt_playout *p, int64_t media);

/* The sender has ended: what stands in for sound after its last frame stands in for nothing. It is
 * silent within 5 ms, and not counted as concealed. RT: yes (wait-free), O(1). */
void takt_playout_end(struct takt_playout *p);

/* From here on the line goes on `frames` frames further on; good sound fades in when it comes.
 * RT: yes, as takt_playout_fill(). */
void takt_playout_jump(struct takt_playout *p, int64_t frames);

/* Makes the line reach up to `until`. keep: the first place that will be read from now on; what is
 * more than TAKT_PLAYOUT_KEPT before it is forgotten. wish: by how many frames the shift should
 * grow (above 0: skip) or shrink, as far as nobody hears it. Returns by how much it has.
 * RT: yes (wait-free): O(frames), and what the codec takes. */
int64_t takt_playout_fill(struct takt_playout *p, struct takt_jitter *j, int64_t keep,
                          int64_t until, int64_t wish);

/* Whether a fill up to there would find all packets in place. RT: yes (wait-free), O(packets
 * waiting and missing). */
bool takt_playout_reaches(const struct takt_playout *p, const struct takt_jitter *j, int64_t until);

/* How PCM would go on, were there a gap, is found here instead of at the gap. Returns whether there
 * is more to do at once. Thread: one at a time, beside the one for the other calls. RT: yes
 * (wait-free), O(what takt_conceal_work() is). */
bool takt_playout_help(struct takt_playout *p);

/* What is on the line from that place on: up to what was filled. Valid until the next fill.
 * RT: yes (wait-free), O(1). */
const float *takt_playout_line(const struct takt_playout *p, uint32_t channel, int64_t at);

/* The sender's frame up to which the line is there; and at its place 0, were it straight.
 * RT: yes (wait-free), O(1). */
int64_t takt_playout_head(const struct takt_playout *p);
int64_t takt_playout_shift(const struct takt_playout *p);

/* For how many frames up to the head nothing was there. RT: yes (wait-free), O(1). */
int64_t takt_playout_hidden(const struct takt_playout *p);

/* RT: yes (wait-free), O(1). */
struct takt_playout_counts takt_playout_counts(const struct takt_playout *p);

#endif
