/*
 * wire/repair.h - packets that bring back lost ones: of a block of k RTP packets and m repair
 * packets, any k are enough (Reed-Solomon over GF(256)).
 *
 *     takt_repair_add(e, packet, bytes);                   // each packet, as it is sent
 *     if (takt_repair_added(e) == 8) {
 *         for (uint32_t i = 0; i < 2; i++)
 *             send(takt_repair_write(e, i, out, sizeof out)); // as the payload of a packet
 *         takt_repair_begin(e, 2);                          // the next block
 *     }
 *
 *     int found = takt_repair_take(d, packet, bytes);      // each packet, as it arrives;
 *     found = takt_repair_take_repair(d, payload, bytes);  // … or repair packet's payload
 *     for (int i = 0; i < found; i++)
 *         play(takt_repair_found(d, i, out, sizeof out));
 *
 * What is brought back is the whole packet, header, extension and padding included, as it was given
 * to takt_repair_add(). So with SRTP the sender adds it before it is encrypted and the receiver
 * takes it after it was decrypted, and repair packets, the payload of RTP packets of a payload type
 * and a port of their own, are encrypted like any others. The packets of a block are of one source
 * and their numbers follow each other. A receiver that knows nothing of all this loses nothing.
 *
 * A repair packet (numbers with the big end first):
 *
 *     byte  0     1, the form that is described here
 *           1     k, how many packets the block has: 1..32
 *           2     m, how many repair packets are made of it: 1..12
 *           3     which of these it is: 0..m-1
 *           4..7  SSRC of the packets
 *           8..9  number of the block
 *          10..11 sequence number of the block's first packet
 *          12..13 bytes of the symbol
 *          14..15 a check of all this and the symbol
 *          16..   the symbol: sum over the block's packets i = 0..k-1 of c * (symbol of packet i)
 *                 with c = y / (index + y), y = i + 12, in GF(2^8) modulo x^8+x^4+x^3+x^2+1
 *
 * The symbol of a packet is as long as the packet, zeros follow up to the longest of the block:
 *
 *     byte  0..3  a check of the rest, which knows SSRC and sequence number as well
 *           4..5  how many bytes follow byte 11
 *           6..7  the first two of the packet: version, padding, extension, CSRCs, marker, type
 *           8..11 its timestamp
 *          12..   all that follows its first 12 bytes
 *
 * A check of bytes: h begins with a seed; for each 8 bytes w, the last ones filled up with zeros,
 * h = (h xor w) * 0x9e3779b97f4a7c15 and then h = h xor h >> 29; in the end the upper 32 bits of
 * h * 0xbf58476d1ce4e5b9. A symbol's begins with SSRC * 2^16 + sequence number and covers its bytes
 * from 4 on, as many as there are of the packet. A repair packet's begins with 0 for bytes 0..13,
 * with the outcome of that for the symbol, and the lower 16 bits of that are sent.
 *
 * c makes a Cauchy matrix whose columns are scaled so that index 0 is the plain sum: all its square
 * parts can be inverted, whatever k and m, so neither has to be known when a block begins. The
 * checks find what was damaged, mixed up or cut, all but one time in 2^32, but nothing that was
 * made to deceive: that is for SRTP to find. What does not fit gives nothing rather than a wrong
 * packet.
 *
 * Thread: one at a time for an encoder or decoder. RT: yes (wait-free), all calls but create and
 * destroy.
 */
#ifndef TAKT_WIRE_REPAIR_H
#define TAKT_WIRE_REPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TAKT_REPAIR_DATA_MAX = 32,
    TAKT_REPAIR_MAX = 12,
    TAKT_REPAIR_PACKET_BYTES_MAX = 1472, /* of the RTP packets */
    TAKT_REPAIR_HEADER_BYTES = 16        /* more than the longest of the block's packets */
};

/* What stands before the symbol. */
struct takt_repair {
    uint8_t data;   /* k */
    uint8_t repair; /* m */
    uint8_t index;
    uint16_t block;
    uint16_t first_seq;
    uint32_t ssrc;
    uint16_t symbol_bytes;
    const uint8_t *symbol;
};

/* Reads a whole repair packet; the symbol points into it. Returns 0.
 * Errors: TAKT_ERR_FORMAT: another form, damaged, cut, or beyond the limits above; out is undefined
 * then. RT: yes, O(bytes). */
int takt_repair_parse(const uint8_t *in, size_t bytes, struct takt_repair *out);

/* ---- Sender ---------------------------------------------------------------------------------- */

struct takt_repair_encoder;

/* Takes all the memory there will be, for packets of packet_bytes_max at most: 12 to
 * TAKT_REPAIR_PACKET_BYTES_MAX. A block without repair packets has begun: see takt_repair_begin().
 * Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; *out is NULL then. Thread: any. RT: no. */
int takt_repair_encoder_create(size_t packet_bytes_max, struct takt_repair_encoder **out);

/* e may be NULL. RT: no. */
void takt_repair_encoder_destroy(struct takt_repair_encoder *e);

/* Forgets what was added and begins the next block, of which `repair` packets can be made:
 * 0..TAKT_REPAIR_MAX. Errors: TAKT_ERR_ARG; nothing has changed. RT: yes, O(repair * bytes). */
int takt_repair_begin(struct takt_repair_encoder *e, uint32_t repair);

/* Adds a packet, which takes the work of all repair packets for it. Returns how many there are in
 * the block now. Errors, and nothing has changed: TAKT_ERR_FORMAT: no RTP, or too long;
 * TAKT_ERR_STATE: not of the block's source, or not the number after its last; TAKT_ERR_FULL: there
 * are 32 already. RT: yes, O(repair * bytes). */
int takt_repair_add(struct takt_repair_encoder *e, const uint8_t *packet, size_t bytes);

/* How many packets the block has now. RT: yes, O(1). */
uint32_t takt_repair_added(const struct takt_repair_encoder *e);

/* Writes repair packet 0..repair-1 of the block as it is now. All of a block are written between
 * the same two packets, or the receiver refuses them. Returns how many bytes.
 * Errors: TAKT_ERR_ARG: no such index; TAKT_ERR_STATE: the block is empty; TAKT_ERR_FULL.
 * RT: yes, O(bytes). */
int takt_repair_write(const struct takt_repair_encoder *e, uint32_t index, uint8_t *out,
                      size_t room);

/* ---- Receiver -------------------------------------------------------------------------------- */

struct takt_repair_decoder;

/* Since create. */
struct takt_repair_counts {
    uint64_t found;   /* packets brought back */
    uint64_t repairs; /* repair packets that were taken */
    uint64_t
        refused;    /* repair packets that were damaged, foreign, or not as others of their block */
    uint64_t wrong; /* blocks whose packets did not fit together, so nothing came of them */
};

/* Takes all the memory there will be, some 300 times packet_bytes_max, which is as above. It
 * remembers the newest 256 packets of one source and up to 4 blocks that lack some.
 * Errors: TAKT_ERR_ARG, TAKT_ERR_NOMEM; *out is NULL then. Thread: any. RT: no. */
int takt_repair_decoder_create(size_t packet_bytes_max, struct takt_repair_decoder **out);

/* d may be NULL. RT: no. */
void takt_repair_decoder_destroy(struct takt_repair_decoder *d);

/* Forgets all packets; the next ones are of this source. To be called first.
 * RT: yes, O(packets remembered). */
void takt_repair_restart(struct takt_repair_decoder *d, uint32_t ssrc);

/* A packet of the source arrived. Returns how many others could be brought back by it, 0 to
 * TAKT_REPAIR_MAX; they stay until the next packet or repair packet is taken. One that is there
 * already, or older than what is remembered, is passed over.
 * Errors, and nothing has changed: TAKT_ERR_FORMAT: no RTP, too long; TAKT_ERR_STATE: of another
 * source. RT: yes, O(bytes), and when a block can be completed O(k * missing * bytes). */
int takt_repair_take(struct takt_repair_decoder *d, const uint8_t *packet, size_t bytes);

/* The same for a repair packet. Errors: TAKT_ERR_FORMAT also where it says other things than those
 * of its block before it. RT: yes, the same. */
int takt_repair_take_repair(struct takt_repair_decoder *d, const uint8_t *payload, size_t bytes);

/* Packet 0..n-1 of the n that the last take returned, by rising sequence number, as it was sent.
 * Returns how many bytes. Errors: TAKT_ERR_ARG: no such packet; TAKT_ERR_FULL.
 * RT: yes, O(bytes). */
int takt_repair_found(const struct takt_repair_decoder *d, uint32_t i, uint8_t *out, size_t room);

/* RT: yes, O(1). */
struct takt_repair_counts takt_repair_counts(const struct takt_repair_decoder *d);

#endif
