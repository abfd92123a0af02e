/*
 * lab/net_ends.h - the two ends of a stream in simulation: a sender that may begin anew, and a
 * receiver; datagrams go from one to the other, and back, as the caller likes.
 *
 * Thread: one at a time.
 */
#ifndef TAKT_LAB_NET_ENDS_H
#define TAKT_LAB_NET_ENDS_H

#include "lab/net_plan.h"
#include "net/inlet.h"
#include "net/receiver.h"

struct takt_lab_ends;

/* Take a datagram that a sender (there) or the receiver (back) sends; its memory is used again.
 * is_sound: no report and no repair. */
typedef void takt_lab_ends_there(void *arg, bool is_sound, const uint8_t *datagram, size_t bytes);
typedef void takt_lab_ends_back(void *arg, const uint8_t *datagram, size_t bytes);

struct takt_lab_ends_cfg {
    const struct takt_lab_net_plan *plan;
    takt_lab_ends_there *there;
    takt_lab_ends_back *back;
    void *arg;
};

/* Without a sender yet. Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM, TAKT_ERR_UNSUPPORTED. */
int takt_lab_ends_create(const struct takt_lab_ends_cfg *cfg, struct takt_lab_ends **out,
                         struct takt_error *e);
void takt_lab_ends_destroy(struct takt_lab_ends *x);

/* A sender begins in place of the one before, if there was one. Errors: as create. */
int takt_lab_ends_begin(struct takt_lab_ends *x, uint64_t seed, int64_t now_ns,
                        struct takt_error *e);
uint32_t takt_lab_ends_ssrc(const struct takt_lab_ends *x);

/* How often memory was taken or given back, with a sender or a source; and what went wrong when a
 * source began: 0, or an error. */
uint64_t takt_lab_ends_moves(const struct takt_lab_ends *x);
int takt_lab_ends_error(const struct takt_lab_ends *x);

/* What the wall clocks say, less the clock of now_ns. */
void takt_lab_ends_set_clocks(struct takt_lab_ends *x, int64_t sender_ns, int64_t receiver_ns);

/* A block of the sender's device, captured at capture_ns, and sent now. */
void takt_lab_ends_push(struct takt_lab_ends *x, const float *const *planes, uint32_t frames,
                        int64_t capture_ns, int64_t now_ns);
/* The sender says that it ends. */
void takt_lab_ends_bye(struct takt_lab_ends *x, int64_t now_ns);

/* A datagram arrives at the receiver; at the sender. They are changed. */
void takt_lab_ends_take(struct takt_lab_ends *x, uint8_t *datagram, size_t bytes,
                        int64_t arrival_ns);
void takt_lab_ends_take_back(struct takt_lab_ends *x, uint8_t *datagram, size_t bytes,
                             int64_t arrival_ns);
/* A block of the receiver's device. */
void takt_lab_ends_pull(struct takt_lab_ends *x, int64_t now_ns, int64_t play_ns,
                        float *const *out);

/* As of the last pull; valid until the next. */
const struct takt_receiver_stats *takt_lab_ends_stats(const struct takt_lab_ends *x);
/* Packets that came and were handed to a receiver; where datagrams went; below 0: not known. */
uint64_t takt_lab_ends_handed(const struct takt_lab_ends *x);
/* Whether the sender, by its clock, began no later than one before it, which a key shows. */
bool takt_lab_ends_is_old(const struct takt_lab_ends *x);
/* Whether a sender that is gone is still heard. */
bool takt_lab_ends_fades(const struct takt_lab_ends *x);
void takt_lab_ends_read_inlet(const struct takt_lab_ends *x, struct takt_inlet_counts *out);
int64_t takt_lab_ends_round_trip_ns(const struct takt_lab_ends *x);

/* The same as takt recv tells it, but for what needs to be gathered over time. */
void takt_lab_ends_show(const struct takt_lab_ends *x, struct takt_recv_stats *out);

/* What the receiver's heart was given: a packet that arrived, free of what is around it. It is
 * called during takt_lab_ends_take(). */
typedef void takt_lab_ends_heard(void *arg, const struct takt_net_packet *p);
void takt_lab_ends_listen(struct takt_lab_ends *x, takt_lab_ends_heard *heard);

#endif
