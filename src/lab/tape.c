#include "lab/tape.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

enum { PERIOD_16 = 32749, PERIOD_8 = 127 }; /* primes, so that no block size hides in them */

/* One number in one format, as takt/format.h defines it. */
static void put(unsigned char *to, enum takt_sample format, uint32_t number, bool eight_bits)
{
    uint32_t bits = eight_bits ? 8 : 16;
    if (format == TAKT_F32) {
        float value = (float)number / (float)(1u << (bits - 1));
        memcpy(to, &value, sizeof value);
    } else if (format == TAKT_U8) {
        *to = (unsigned char)(number + 128);
    } else {
        uint32_t bytes = (uint32_t)takt_sample_bytes(format);
        uint32_t value = number << (8 * bytes - bits);
        for (uint32_t i = 0; i < bytes; i++)
            to[i] = (unsigned char)(value >> (8 * i));
    }
}

bool takt_lab_tape_init(struct takt_lab_tape *t, bool eight_bits)
{
    static const enum takt_sample wide[] = {TAKT_F32, TAKT_S16, TAKT_S24, TAKT_S32, 0};
    static const enum takt_sample narrow[] = {TAKT_F32, TAKT_U8, 0};
    *t = (struct takt_lab_tape){.period = eight_bits ? PERIOD_8 : PERIOD_16};
    for (const enum takt_sample *f = eight_bits ? narrow : wide; *f; f++) {
        size_t bytes = takt_sample_bytes(*f), length = t->period + TAKT_LAB_FRAMES_MAX;
        if (!(t->as[*f] = malloc(length * bytes)))
            return false;
        for (size_t i = 0; i < length; i++)
            put(t->as[*f] + i * bytes, *f, (uint32_t)(i % t->period) + 1, eight_bits);
    }
    return true;
}

void takt_lab_tape_fini(struct takt_lab_tape *t)
{
    for (int f = 0; f <= TAKT_U8; f++)
        free(t->as[f]);
}

const void *takt_lab_tape_at(const struct takt_lab_tape *t, enum takt_sample format, uint64_t frame,
                             uint32_t channel)
{
    uint64_t at = (frame + (uint64_t)channel * (t->period / TAKT_LAB_CHANNELS)) % t->period;
    return t->as[format] + at * takt_sample_bytes(format);
}

/* ---- Queues ---------------------------------------------------------------------------------- */

void takt_lab_queue_clear(struct takt_lab_queue *q)
{
    q->frames = 0;
    q->head = q->count = 0;
}

static bool follows(const struct takt_lab_piece *last, uint64_t first, bool silent)
{
    return last->silent == silent && (silent || last->first + last->frames == first);
}

void takt_lab_queue_push(struct takt_lab_queue *q, uint64_t first, uint64_t frames, bool silent)
{
    if (!frames)
        return;
    q->frames += frames;
    struct takt_lab_piece *last = &q->pieces[(q->head + q->count - 1) % TAKT_LAB_PIECES];
    if (q->count && follows(last, first, silent)) {
        last->frames += frames;
        return;
    }
    q->overran |= q->count == TAKT_LAB_PIECES;
    if (q->overran)
        return;
    q->pieces[(q->head + q->count++) % TAKT_LAB_PIECES] =
        (struct takt_lab_piece){first, frames, silent};
}

struct takt_lab_piece takt_lab_queue_take(struct takt_lab_queue *q, uint64_t most)
{
    TAKT_ASSERT(q->count && most);
    struct takt_lab_piece *head = &q->pieces[q->head], taken = *head;
    if (taken.frames > most) {
        taken.frames = most;
        head->first += most;
        head->frames -= most;
    } else {
        q->head = (q->head + 1) % TAKT_LAB_PIECES;
        q->count--;
    }
    q->frames -= taken.frames;
    return taken;
}
