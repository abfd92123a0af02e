/*
 * Symbols lie in memory filled up with zeros to whole steps of the field's kernel, so that it has
 * no ends to look after and short packets of a block cost what they are long.
 *
 * A sender adds each packet to all sums at once and keeps none. A receiver keeps the newest packets
 * as symbols, each at its number modulo PACKETS, and for each block that lacks some the repair
 * packets that came. As soon as these are as many as the missing packets, what is there is taken
 * out of them; what is left are as many sums of the missing ones alone, and the inverse of their
 * factors gives these.
 *
 * Invariants: a slot is of number n, or of none, and then only n modulo PACKETS says where it lies;
 * no slot is of a number above `newest`. A block that is held lacks at least one packet.
 */
#include "wire/repair.h"

#include "base/assert.h"
#include "wire/bytes.h"
#include "wire/field.h"
#include "wire/rtp.h"

#include <stdlib.h>

enum {
    FORM = 1,
    CHECKED = TAKT_REPAIR_HEADER_BYTES - 2, /* of a repair packet's header */
    FIXED = TAKT_RTP_HEADER_BYTES,          /* of a packet, and of a symbol */
    PACKETS = 256,
    BLOCKS = 16,
    STRAYS = 32 /* packets in a row that are too old: they are not, the numbers begin anew */
};

/* Number n of a source for ever; free of wraps. */
static const int64_t nobody = -1;

static size_t whole_steps(size_t bytes)
{
    return (bytes + TAKT_FIELD_STEP - 1) / TAKT_FIELD_STEP * TAKT_FIELD_STEP;
}

static uint32_t check_of(uint64_t seed, const uint8_t *p, size_t bytes)
{
    uint64_t h = seed;
    for (; bytes >= 8; bytes -= 8, p += 8) {
        h = (h ^ takt_be64(p)) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    if (bytes) {
        uint8_t last[8] = {0};
        memcpy(last, p, bytes);
        h = (h ^ takt_be64(last)) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return (uint32_t)(h * 0xbf58476d1ce4e5b9u >> 32);
}

/* What packet i adds to repair packet `index` is its symbol times this. */
static uint8_t factor_of(uint32_t index, uint32_t i)
{
    uint8_t y = (uint8_t)(i + TAKT_REPAIR_MAX);
    return takt_field_divide(y, (uint8_t)(index ^ y));
}

/* Zeroed, and where the kernel likes it. */
static void *take_memory(size_t bytes)
{
    size_t whole = whole_steps(bytes);
    void *p = aligned_alloc(TAKT_FIELD_STEP, whole);
    return p ? memset(p, 0, whole) : NULL;
}

/* ---- Symbols --------------------------------------------------------------------------------- */

static bool is_packet(const uint8_t *p, size_t bytes, size_t bytes_max)
{
    return bytes >= FIXED && bytes <= bytes_max && p[0] >> 6 == 2;
}

static uint32_t symbol_check(const uint8_t *symbol, size_t bytes, uint32_t ssrc, uint16_t seq)
{
    return check_of((uint64_t)ssrc << 16 | seq, symbol + 4, bytes - 4);
}

/* Fills whole steps. */
static void make_symbol(uint8_t *to, const uint8_t *packet, size_t bytes)
{
    struct takt_pen pen = takt_pen_at(to, whole_steps(bytes));
    takt_pen_u32(&pen, 0);
    takt_pen_u16(&pen, (unsigned)(bytes - FIXED));
    takt_pen_bytes(&pen, packet, 2);
    takt_pen_bytes(&pen, packet + 4, 4);
    takt_pen_bytes(&pen, packet + FIXED, bytes - FIXED);
    takt_pen_zeros(&pen, pen.room - pen.used);
    struct takt_pen first = takt_pen_at(to, 4);
    takt_pen_u32(&first, symbol_check(to, bytes, takt_be32(packet + 8), takt_be16(packet + 2)));
}

/* How long the packet is, of which a symbol was brought back; 0 where it cannot be right. */
static size_t check_symbol(const uint8_t *symbol, size_t symbol_bytes, uint32_t ssrc, uint16_t seq)
{
    size_t bytes = FIXED + takt_be16(symbol + 4);
    if (bytes > symbol_bytes || symbol[6] >> 6 != 2 ||
        takt_be32(symbol) != symbol_check(symbol, bytes, ssrc, seq))
        return 0;
    for (size_t i = bytes; i < symbol_bytes; i++)
        if (symbol[i])
            return 0;
    return bytes;
}

/* ---- Repair packets -------------------------------------------------------------------------- */

static uint16_t repair_check(const uint8_t *header, const uint8_t *symbol, size_t bytes)
{
    return (uint16_t)check_of(check_of(0, header, CHECKED), symbol, bytes);
}

int takt_repair_parse(const uint8_t *in, size_t bytes, struct takt_repair *out)
{
    if (bytes < TAKT_REPAIR_HEADER_BYTES + FIXED || in[0] != FORM)
        return TAKT_ERR_FORMAT;
    *out = (struct takt_repair){
        .data = in[1],
        .repair = in[2],
        .index = in[3],
        .ssrc = takt_be32(in + 4),
        .block = takt_be16(in + 8),
        .first_seq = takt_be16(in + 10),
        .symbol_bytes = takt_be16(in + 12),
        .symbol = in + TAKT_REPAIR_HEADER_BYTES,
    };
    bool is_counted = out->data >= 1 && out->data <= TAKT_REPAIR_DATA_MAX && out->repair >= 1 &&
                      out->repair <= TAKT_REPAIR_MAX && out->index < out->repair;
    if (!is_counted || out->symbol_bytes > TAKT_REPAIR_PACKET_BYTES_MAX ||
        out->symbol_bytes != bytes - TAKT_REPAIR_HEADER_BYTES ||
        takt_be16(in + CHECKED) != repair_check(in, out->symbol, out->symbol_bytes))
        return TAKT_ERR_FORMAT;
    return 0;
}

/* ---- Sender ---------------------------------------------------------------------------------- */

struct takt_repair_encoder {
    size_t packet_bytes_max, stride;
    uint32_t repair, added;
    uint32_t ssrc;
    uint16_t block, first_seq, symbol_bytes;
    _Alignas(TAKT_FIELD_STEP) uint8_t bytes[]; /* TAKT_REPAIR_MAX sums, and the newest symbol */
};

int takt_repair_encoder_create(size_t packet_bytes_max, struct takt_repair_encoder **out)
{
    *out = NULL;
    if (packet_bytes_max < FIXED || packet_bytes_max > TAKT_REPAIR_PACKET_BYTES_MAX)
        return TAKT_ERR_ARG;
    size_t stride = whole_steps(packet_bytes_max);
    struct takt_repair_encoder *e = take_memory(sizeof *e + (TAKT_REPAIR_MAX + 1) * stride);
    if (!e)
        return TAKT_ERR_NOMEM;
    e->packet_bytes_max = packet_bytes_max;
    e->stride = stride;
    *out = e;
    return TAKT_OK;
}

void takt_repair_encoder_destroy(struct takt_repair_encoder *e)
{
    free(e);
}

int takt_repair_begin(struct takt_repair_encoder *e, uint32_t repair)
{
    if (repair > TAKT_REPAIR_MAX)
        return TAKT_ERR_ARG;
    e->block = (uint16_t)(e->block + (e->added > 0));
    e->repair = repair;
    e->added = 0;
    e->symbol_bytes = 0;
    memset(e->bytes, 0, repair * e->stride);
    return TAKT_OK;
}

int takt_repair_add(struct takt_repair_encoder *e, const uint8_t *packet, size_t bytes)
{
    if (!is_packet(packet, bytes, e->packet_bytes_max))
        return TAKT_ERR_FORMAT;
    uint16_t seq = takt_be16(packet + 2);
    uint32_t ssrc = takt_be32(packet + 8);
    if (e->added && (ssrc != e->ssrc || seq != (uint16_t)(e->first_seq + e->added)))
        return TAKT_ERR_STATE;
    if (e->added == TAKT_REPAIR_DATA_MAX)
        return TAKT_ERR_FULL;
    if (!e->added) {
        e->ssrc = ssrc;
        e->first_seq = seq;
    }
    uint8_t *symbol = e->bytes + TAKT_REPAIR_MAX * e->stride;
    make_symbol(symbol, packet, bytes);
    for (uint32_t r = 0; r < e->repair; r++)
        takt_field_add(e->bytes + r * e->stride, symbol, factor_of(r, e->added),
                       whole_steps(bytes));
    e->symbol_bytes = bytes > e->symbol_bytes ? (uint16_t)bytes : e->symbol_bytes;
    return (int)++e->added;
}

uint32_t takt_repair_added(const struct takt_repair_encoder *e)
{
    return e->added;
}

int takt_repair_write(const struct takt_repair_encoder *e, uint32_t index, uint8_t *out,
                      size_t room)
{
    if (index >= e->repair)
        return TAKT_ERR_ARG;
    if (!e->added)
        return TAKT_ERR_STATE;
    const uint8_t *symbol = e->bytes + index * e->stride;
    uint8_t header[CHECKED];
    struct takt_pen head = takt_pen_at(header, sizeof header);
    takt_pen_u8(&head, FORM);
    takt_pen_u8(&head, e->added);
    takt_pen_u8(&head, e->repair);
    takt_pen_u8(&head, index);
    takt_pen_u32(&head, e->ssrc);
    takt_pen_u16(&head, e->block);
    takt_pen_u16(&head, e->first_seq);
    takt_pen_u16(&head, e->symbol_bytes);
    struct takt_pen pen = takt_pen_at(out, room);
    takt_pen_bytes(&pen, header, sizeof header);
    takt_pen_u16(&pen, repair_check(header, symbol, e->symbol_bytes));
    takt_pen_bytes(&pen, symbol, e->symbol_bytes);
    return takt_pen_done(&pen);
}

/* ---- Receiver -------------------------------------------------------------------------------- */

struct slot {
    int64_t number;
    size_t bytes; /* of the packet, and so of its symbol without zeros */
};

struct block {
    bool is_held;
    struct takt_repair head; /* without index and symbol */
    int64_t first;
    uint32_t here; /* bit i: repair packet i came */
};

struct takt_repair_decoder {
    size_t packet_bytes_max, stride;
    uint32_t ssrc;
    bool is_started;
    uint32_t strays;
    int64_t newest;
    struct slot slots[PACKETS];
    struct block blocks[BLOCKS];
    int64_t found[TAKT_REPAIR_MAX];
    uint32_t found_count;
    struct takt_repair_counts counts;
    _Alignas(
        TAKT_FIELD_STEP) uint8_t bytes[]; /* of all slots, and of each block's repair packets */
};

static uint8_t *slot_bytes(struct takt_repair_decoder *d, int64_t number)
{
    return d->bytes + (size_t)(number % PACKETS) * d->stride;
}

static uint8_t *repair_bytes(struct takt_repair_decoder *d, const struct block *b, uint32_t index)
{
    size_t at = PACKETS + (size_t)(b - d->blocks) * TAKT_REPAIR_MAX + index;
    return d->bytes + at * d->stride;
}

static struct slot *slot_of(struct takt_repair_decoder *d, int64_t number)
{
    return &d->slots[number % PACKETS];
}

static bool is_here(struct takt_repair_decoder *d, int64_t number)
{
    return slot_of(d, number)->number == number;
}

static bool is_too_old(const struct takt_repair_decoder *d, int64_t number)
{
    return number <= d->newest - PACKETS;
}

static void begin_at(struct takt_repair_decoder *d, uint16_t seq)
{
    takt_repair_restart(d, d->ssrc);
    d->is_started = true;
    d->newest = (1 << 16) + seq - 1; /* so that no number is below 0 */
}

int takt_repair_decoder_create(size_t packet_bytes_max, struct takt_repair_decoder **out)
{
    *out = NULL;
    if (packet_bytes_max < FIXED || packet_bytes_max > TAKT_REPAIR_PACKET_BYTES_MAX)
        return TAKT_ERR_ARG;
    size_t stride = whole_steps(packet_bytes_max);
    struct takt_repair_decoder *d =
        take_memory(sizeof *d + (PACKETS + BLOCKS * TAKT_REPAIR_MAX) * stride);
    if (!d)
        return TAKT_ERR_NOMEM;
    d->packet_bytes_max = packet_bytes_max;
    d->stride = stride;
    takt_repair_restart(d, 0);
    *out = d;
    return TAKT_OK;
}

void takt_repair_decoder_destroy(struct takt_repair_decoder *d)
{
    free(d);
}

void takt_repair_restart(struct takt_repair_decoder *d, uint32_t ssrc)
{
    d->ssrc = ssrc;
    d->is_started = false;
    d->strays = 0;
    d->found_count = 0;
    for (int i = 0; i < PACKETS; i++)
        d->slots[i].number = nobody;
    for (int i = 0; i < BLOCKS; i++)
        d->blocks[i].is_held = false;
}

struct takt_repair_counts takt_repair_counts(const struct takt_repair_decoder *d)
{
    return d->counts;
}

int takt_repair_found(const struct takt_repair_decoder *d, uint32_t i, uint8_t *out, size_t room)
{
    if (i >= d->found_count)
        return TAKT_ERR_ARG;
    size_t at = (size_t)(d->found[i] % PACKETS);
    const uint8_t *symbol = d->bytes + at * d->stride;
    struct takt_pen pen = takt_pen_at(out, room);
    takt_pen_bytes(&pen, symbol + 6, 2);
    takt_pen_u16(&pen, (uint16_t)d->found[i]);
    takt_pen_bytes(&pen, symbol + 8, 4);
    takt_pen_u32(&pen, d->ssrc);
    takt_pen_bytes(&pen, symbol + FIXED, d->slots[at].bytes - FIXED);
    return takt_pen_done(&pen);
}

/* ---- Solving --------------------------------------------------------------------------------- */

/* Which packets of a block are missing, and which repair packets stand in for them. */
struct puzzle {
    uint32_t n;
    uint32_t missing[TAKT_REPAIR_MAX], row[TAKT_REPAIR_MAX];
    uint8_t inverse[TAKT_REPAIR_MAX][TAKT_REPAIR_MAX]; /* of the rows' factors of the missing */
};

static uint32_t count_missing(struct takt_repair_decoder *d, const struct block *b)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->head.data; i++)
        count += !is_here(d, b->first + i);
    return count;
}

static void set_up(struct puzzle *p, struct takt_repair_decoder *d, const struct block *b)
{
    uint32_t rows = 0;
    p->n = 0;
    for (uint32_t i = 0; i < b->head.data; i++)
        if (!is_here(d, b->first + i))
            p->missing[p->n++] = i;
    for (uint32_t r = 0; rows < p->n; r++)
        if (b->here >> r & 1)
            p->row[rows++] = r;
}

/* Gauss and Jordan, in the field. All square parts of the matrix can be inverted, so the pivots are
 * never 0 and stay where they are. */
static void invert(struct puzzle *p)
{
    uint8_t a[TAKT_REPAIR_MAX][TAKT_REPAIR_MAX];
    for (uint32_t r = 0; r < p->n; r++)
        for (uint32_t c = 0; c < p->n; c++) {
            a[r][c] = factor_of(p->row[r], p->missing[c]);
            p->inverse[r][c] = r == c;
        }
    for (uint32_t k = 0; k < p->n; k++) {
        TAKT_ASSERT(a[k][k] != 0);
        uint8_t scale = takt_field_divide(1, a[k][k]);
        for (uint32_t c = 0; c < p->n; c++) {
            a[k][c] = takt_field_multiply(a[k][c], scale);
            p->inverse[k][c] = takt_field_multiply(p->inverse[k][c], scale);
        }
        for (uint32_t r = 0; r < p->n; r++) {
            uint8_t times = a[r][k];
            for (uint32_t c = 0; c < p->n && r != k; c++) {
                a[r][c] ^= takt_field_multiply(times, a[k][c]);
                p->inverse[r][c] ^= takt_field_multiply(times, p->inverse[k][c]);
            }
        }
    }
}

/* Leaves in each row what the missing packets alone would have made of it. False: a packet is
 * longer than the block says. */
static bool take_out_present(struct takt_repair_decoder *d, const struct block *b,
                             const struct puzzle *p)
{
    for (uint32_t i = 0; i < b->head.data; i++) {
        int64_t number = b->first + i;
        if (!is_here(d, number))
            continue;
        size_t bytes = slot_of(d, number)->bytes;
        if (bytes > b->head.symbol_bytes)
            return false;
        for (uint32_t r = 0; r < p->n; r++)
            takt_field_add(repair_bytes(d, b, p->row[r]), slot_bytes(d, number),
                           factor_of(p->row[r], i), whole_steps(bytes));
    }
    return true;
}

/* Into the slots where the missing packets belong, which are of nobody until all are right. */
static bool make_missing(struct takt_repair_decoder *d, const struct block *b,
                         const struct puzzle *p)
{
    size_t whole = whole_steps(b->head.symbol_bytes);
    bool is_right = true;
    for (uint32_t k = 0; k < p->n; k++) {
        int64_t number = b->first + p->missing[k];
        uint8_t *to = slot_bytes(d, number);
        struct slot *slot = slot_of(d, number);
        slot->number = nobody;
        memset(to, 0, whole);
        for (uint32_t r = 0; r < p->n; r++)
            takt_field_add(to, repair_bytes(d, b, p->row[r]), p->inverse[k][r], whole);
        slot->bytes = check_symbol(to, b->head.symbol_bytes, d->ssrc, (uint16_t)number);
        is_right = is_right && slot->bytes;
    }
    return is_right;
}

/* Brings back what the block lacks, if it can be done. Returns how many. */
static uint32_t complete(struct takt_repair_decoder *d, struct block *b)
{
    uint32_t missing = count_missing(d, b);
    if (missing > (uint32_t)__builtin_popcount(b->here))
        return 0;
    b->is_held = false; /* whatever comes of it, its repair packets are used up */
    if (!missing)
        return 0;
    struct puzzle p;
    set_up(&p, d, b);
    invert(&p);
    if (!take_out_present(d, b, &p) || !make_missing(d, b, &p)) {
        d->counts.wrong++;
        return 0;
    }
    for (uint32_t k = 0; k < p.n; k++) {
        int64_t number = b->first + p.missing[k];
        slot_of(d, number)->number = number;
        d->newest = number > d->newest ? number : d->newest;
        d->found[k] = number;
    }
    d->found_count = p.n;
    d->counts.found += p.n;
    return p.n;
}

/* ---- What arrives ---------------------------------------------------------------------------- */

static void drop_old_blocks(struct takt_repair_decoder *d)
{
    for (int i = 0; i < BLOCKS; i++)
        if (is_too_old(d, d->blocks[i].first))
            d->blocks[i].is_held = false;
}

int takt_repair_take(struct takt_repair_decoder *d, const uint8_t *packet, size_t bytes)
{
    if (!is_packet(packet, bytes, d->packet_bytes_max))
        return TAKT_ERR_FORMAT;
    if (takt_be32(packet + 8) != d->ssrc)
        return TAKT_ERR_STATE;
    d->found_count = 0;
    uint16_t seq = takt_be16(packet + 2);
    int64_t number = takt_unwrap16(d->newest, seq);
    bool is_stray = d->is_started && is_too_old(d, number);
    d->strays = is_stray ? d->strays + 1 : 0;
    if (!d->is_started || d->strays == STRAYS) {
        begin_at(d, seq);
        number = d->newest + 1;
    } else if (is_stray || is_here(d, number))
        return 0;
    make_symbol(slot_bytes(d, number), packet, bytes);
    *slot_of(d, number) = (struct slot){number, bytes};
    d->newest = number > d->newest ? number : d->newest;
    drop_old_blocks(d);
    for (int i = 0; i < BLOCKS; i++) {
        struct block *b = &d->blocks[i];
        bool is_of_it = b->is_held && number >= b->first && number < b->first + b->head.data;
        uint32_t found = is_of_it ? complete(d, b) : 0;
        if (found)
            return (int)found;
    }
    return 0;
}

static bool is_same_block(const struct block *b, const struct takt_repair *r)
{
    return b->head.data == r->data && b->head.repair == r->repair &&
           b->head.first_seq == r->first_seq && b->head.symbol_bytes == r->symbol_bytes;
}

/* Where the repair packet belongs, a new place included; NULL when all are of newer blocks. */
static struct block *find_block(struct takt_repair_decoder *d, const struct takt_repair *r,
                                int64_t first)
{
    struct block *best = &d->blocks[0];
    for (int i = 0; i < BLOCKS; i++) {
        struct block *b = &d->blocks[i];
        if (b->is_held && b->head.block == r->block)
            return b;
        if (best->is_held && (!b->is_held || b->first < best->first))
            best = b;
    }
    if (best->is_held && best->first >= first)
        return NULL;
    *best = (struct block){.head = *r, .first = first};
    return best;
}

int takt_repair_take_repair(struct takt_repair_decoder *d, const uint8_t *payload, size_t bytes)
{
    struct takt_repair r;
    bool is_one = takt_repair_parse(payload, bytes, &r) == 0;
    if (!is_one || r.ssrc != d->ssrc || r.symbol_bytes > d->packet_bytes_max) {
        d->counts.refused++;
        return is_one && r.ssrc != d->ssrc ? TAKT_ERR_STATE : TAKT_ERR_FORMAT;
    }
    d->found_count = 0;
    if (!d->is_started)
        begin_at(d, r.first_seq);
    drop_old_blocks(d);
    int64_t first = takt_unwrap16(d->newest, r.first_seq);
    struct block *b = is_too_old(d, first) ? NULL : find_block(d, &r, first);
    if (b && !is_same_block(b, &r)) {
        d->counts.refused++;
        return TAKT_ERR_FORMAT;
    }
    d->counts.repairs++;
    if (!b || b->here >> r.index & 1)
        return 0;
    uint8_t *to = repair_bytes(d, b, r.index);
    memcpy(to, r.symbol, r.symbol_bytes);
    memset(to + r.symbol_bytes, 0, whole_steps(r.symbol_bytes) - r.symbol_bytes);
    b->here |= 1u << r.index;
    b->is_held = true;
    return (int)complete(d, b);
}
