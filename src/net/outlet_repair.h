/*
 * net/outlet_repair.h - repair packets of a stream as it goes out, and how many of them it takes.
 *
 *     if (takt_outlet_repair_add(r, packet, bytes, now_ns))     // before it is encrypted
 *         for (uint32_t i = 0; i < r->block_repair; i++)
 *             send(takt_outlet_repair_write(r, i, note, out, sizeof out));
 *     takt_outlet_repair_end(r);
 *     takt_outlet_repair_follow(r, loss, spread, overtakes, now_ns); // what the receivers say
 *
 * Thread: one at a time, all calls. RT: yes (wait-free), all calls but init and fini.
 */
#ifndef TAKT_NET_OUTLET_REPAIR_H
#define TAKT_NET_OUTLET_REPAIR_H

#include "net/listeners.h"
#include "wire/repair.h"
#include "wire/srtp.h"

enum {
    /* Of a repair packet: its own header with a note, and that of repair. */
    TAKT_OUTLET_REPAIR_AROUND = TAKT_RTP_HEADER_BYTES + 20 + TAKT_REPAIR_HEADER_BYTES,
    TAKT_OUTLET_REPAIR_BYTES_MAX = TAKT_OUTLET_REPAIR_AROUND + TAKT_REPAIR_PACKET_BYTES_MAX
};

struct takt_outlet_repair_cfg {
    uint32_t ssrc; /* of repair packets; and seq: of the first one */
    uint16_t seq;
    uint8_t type;       /* their payload type */
    uint32_t data;      /* packets a block, 1..TAKT_REPAIR_DATA_MAX; 0: by what there is to mend */
    uint64_t packet_ns; /* how long they are */
    uint32_t least, most; /* repair packets a block: least <= most <= TAKT_REPAIR_MAX */
    uint8_t note_id;      /* 0: there are no notes */
    size_t packet_bytes_max;
};

/* What there is to mend, each harder than the one before. */
enum takt_outlet_harm { TAKT_HARM_LOSS, TAKT_HARM_BURSTS, TAKT_HARM_OVERTAKING };

struct takt_outlet_repair {
    struct takt_outlet_repair_cfg cfg;
    struct takt_repair_encoder *encoder;
    struct takt_held harm;             /* enum takt_outlet_harm */
    struct takt_held held;             /* repair packets a block */
    uint32_t data;                     /* packets a block, from the next one on */
    uint32_t block_data, block_repair; /* of the block that has begun */
    int64_t block_ns;                  /* when it did */
    uint32_t timestamp;                /* of its newest packet */
    uint16_t seq;                      /* of the next repair packet */
};

/* How many repair packets a block of `data` packets needs so that less than 0.006 % of the packets
 * stay lost, when each one of the block is lost with the chance `loss`; most `most`.
 * O(most^2). */
uint32_t takt_outlet_repair_depth(double loss, uint32_t data, uint32_t most);

/* Takes all the memory there will be. Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM. RT: no. */
int takt_outlet_repair_init(struct takt_outlet_repair *r, const struct takt_outlet_repair_cfg *cfg);

/* Zeros are fine. RT: no. */
void takt_outlet_repair_fini(struct takt_outlet_repair *r);

/* What blocks are from the next one on: stronger at once, weaker when that would have done for
 * 20 s. loss, loss_spread, overtakes: as in struct takt_sender_stats. */
void takt_outlet_repair_follow(struct takt_outlet_repair *r, double loss, double loss_spread,
                               bool overtakes, int64_t now_ns);

/* The longest that a block becomes, in packets. */
uint32_t takt_outlet_repair_data_most(const struct takt_outlet_repair *r);

/* Adds a packet to the block. Returns whether the block is full. While no repair is wanted there
 * are no blocks. */
bool takt_outlet_repair_add(struct takt_outlet_repair *r, const uint8_t *packet, size_t bytes,
                            int64_t now_ns);

/* Whether a block has begun. */
bool takt_outlet_repair_has_begun(const struct takt_outlet_repair *r);

/* Repair packet i of the block as an RTP packet. note: NULL without notes. Returns its bytes; room:
 * TAKT_OUTLET_REPAIR_BYTES_MAX will do. */
size_t takt_outlet_repair_write(struct takt_outlet_repair *r, uint32_t i,
                                const struct takt_srtp_note *note, uint8_t *out, size_t room);

/* The next packet begins another block. */
void takt_outlet_repair_end(struct takt_outlet_repair *r);

#endif
