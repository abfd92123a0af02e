#include "base/random.h"
#include "fault.h"
#include "net/burg.h"
#include "net/conceal.h"
#include "takt/error.h"
#include "tap.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    RATE_HZ = 48000,
    MS = RATE_HZ / 1000,
    FRAMES = RATE_HZ / 2,
    SILENT = 60 * MS,
    LEAD = 4 * MS
};
static const double pi = 3.14159265358979323846;

static struct takt_conceal *open_conceal(uint32_t rate_hz, uint32_t channels)
{
    struct takt_conceal *c;
    struct takt_conceal_cfg cfg = {.rate_hz = rate_hz, .channels = channels};
    return takt_conceal_create(&cfg, &c) == TAKT_OK ? c : NULL;
}

/* ---- Sounds ------------------------------------------------------------------------------------
 */

enum sound { CHORD, PULSES, TONE, NOISE, SQUARE, DC, ONSET, DYING, IMPULSE, QUIET, SOUNDS };

/* A decaying ring, 130 times a second: what a voice does, roughly. */
static double pulses_at(int i)
{
    double t = (double)(i % 369) / RATE_HZ;
    return exp(-250 * t) * sin(2 * pi * 700 * t) + 0.5 * exp(-400 * t) * sin(2 * pi * 1900 * t);
}

static double sample_of(enum sound kind, int i, struct takt_random *r)
{
    double t = (double)i / RATE_HZ, x = 0;
    switch (kind) {
    case CHORD:
        for (int h = 1; h <= 4; h++)
            x += 0.2 / h * (sin(2 * pi * 220 * h * t + h) + sin(2 * pi * 277.2 * h * t + 2 * h));
        return x;
    case PULSES:
        return 0.5 * pulses_at(i);
    case TONE:
        return 0.9 * sin(2 * pi * 997 * t);
    case NOISE:
        return 0.5 * (2 * takt_random_unit(r) - 1);
    case SQUARE:
        return i / 109 % 2 ? 1 : -1;
    case DC:
        return 1;
    case ONSET: /* every 50 ms */
        return i % 2400 < 1900 ? 0 : 0.8 * sin(2 * pi * 500 * t);
    case DYING:
        return exp(-60 * fmod(t, 0.2)) * sin(2 * pi * 330 * t);
    case IMPULSE:
        return i % 1009 == 0;
    default:
        return 0;
    }
}

static void make_sound(float *x, enum sound kind, int frames)
{
    struct takt_random r = takt_random_seed(7);
    for (int i = 0; i < frames; i++)
        x[i] = (float)sample_of(kind, i, &r);
}

/* The good sound comes in at x, played where it is. */
static void hear(struct takt_conceal *c, float *x, uint32_t frames)
{
    takt_conceal_join(c, &x, frames);
    takt_conceal_heard(c, (const float *[]){x}, frames);
}

static void make(struct takt_conceal *c, float *x, uint32_t frames)
{
    takt_conceal_make(c, &x, frames);
}

/* x is played but for the loss, with the filter found right before it. */
static void lose(struct takt_conceal *c, float *x, uint32_t at, uint32_t loss, uint32_t frames)
{
    hear(c, x, at);
    takt_conceal_prepare(c);
    make(c, x + at, loss);
    hear(c, x + at + loss, frames - at - loss);
}

static double energy(const float *x, uint32_t frames)
{
    double sum = 0;
    for (uint32_t i = 0; i < frames; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

static double largest(const float *x, uint32_t frames)
{
    double most = 0;
    for (uint32_t i = 0; i < frames; i++)
        most = fmax(most, fabs((double)x[i]));
    return most;
}

static double largest_step(const float *x, uint32_t frames)
{
    double most = 0;
    for (uint32_t i = 1; i < frames; i++)
        most = fmax(most, fabs((double)(x[i] - x[i - 1])));
    return most;
}

/* How far what was played in place of a loss, and in the join, is below the sound, in dB. */
static double snr_db(const float *sound, const float *played, uint32_t at, uint32_t loss)
{
    double wrong = 1e-30;
    for (uint32_t i = at; i < at + loss + LEAD; i++)
        wrong += pow((double)(played[i] - sound[i]), 2);
    return 10 * log10(energy(sound + at, loss) / wrong);
}

/* ---- How it sounds -----------------------------------------------------------------------------
 */

/* Any pure tone is gone on with, for a packet of a millisecond and for ten. */
static void conceal_goes_on_with_tones(void)
{
    static float x[FRAMES], y[FRAMES];
    for (double hz = 50; hz < 20000; hz *= 1.37) {
        struct takt_conceal *c = open_conceal(RATE_HZ, 1);
        for (uint32_t loss = MS; loss <= 10 * MS; loss *= 10) {
            for (int i = 0; i < FRAMES; i++)
                x[i] = (float)(0.5 * sin(2 * pi * hz * i / RATE_HZ));
            memcpy(y, x, sizeof y);
            lose(c, y, FRAMES / 2, loss, FRAMES);
            CHECK(snr_db(x, y, FRAMES / 2, loss) > (loss == MS ? 60 : 20));
        }
        takt_conceal_destroy(c);
    }
}

/* A chord, too, even when the filter is older than the loss; and pulses of a voice somewhat. */
static void conceal_goes_on_with_chords_and_pulses(void)
{
    static float x[FRAMES], y[FRAMES];
    for (uint32_t at = FRAMES / 2; at < FRAMES / 2 + 2000; at += 111) {
        struct takt_conceal *c = open_conceal(RATE_HZ, 1);
        make_sound(x, CHORD, FRAMES);
        memcpy(y, x, sizeof y);
        lose(c, y, at, MS, FRAMES);
        CHECK(snr_db(x, y, at, MS) > 25);
        memcpy(y, x, sizeof y);
        hear(c, y, at - 20 * MS);
        takt_conceal_prepare(c);
        hear(c, y + at - 20 * MS, 20 * MS);
        make(c, y + at, MS);
        hear(c, y + at + MS, 5 * MS);
        CHECK(snr_db(x, y, at, MS) > 25);
        takt_conceal_destroy(c);
    }
}

/* The steps are those of the sound, half as large again at most, and of the fades: where it breaks
 * off, where it sets in again, and in between; be the loss short, long, or two with little between
 * them. */
static void conceal_makes_no_step(void)
{
    static const enum sound kinds[] = {CHORD, PULSES, TONE, DC, DYING, SQUARE, NOISE};
    static float x[FRAMES];
    struct takt_random r = takt_random_seed(3);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        make_sound(x, kinds[k], FRAMES);
        double most = largest_step(x, FRAMES), fade = 1.5 / (40 * MS), join = 2 * 1.5 / (2 * MS);
        for (int round = 0; round < 40; round++) {
            struct takt_conceal *c = open_conceal(RATE_HZ, 1);
            make_sound(x, kinds[k], FRAMES);
            uint32_t at = FRAMES / 2 + (uint32_t)takt_random_below(&r, 2000);
            uint32_t loss = 1 + (uint32_t)takt_random_below(&r, round % 2 ? 4000 : 200);
            uint32_t between = (uint32_t)takt_random_below(&r, 200);
            hear(c, x, at);
            takt_conceal_prepare(c);
            make(c, x + at, loss);
            hear(c, x + at + loss, between);
            make(c, x + at + loss + between, loss);
            hear(c, x + at + 2 * loss + between, FRAMES - at - 2 * loss - between);
            double step = largest_step(x, FRAMES);
            CHECK(step <= 1.5 * most + (0.01 + fade + join) * largest(x, FRAMES));
            takt_conceal_destroy(c);
        }
    }
}

/* Whatever the sound: nothing beyond its largest sample, no more energy than as much of it had,
 * nothing that is not finite; and beyond 60 ms, silence to the bit. */
static void conceal_never_grows(void)
{
    static float x[FRAMES];
    struct takt_random r = takt_random_seed(5);
    for (int kind = 0; kind < SOUNDS; kind++)
        for (int round = 0; round < 20; round++) {
            struct takt_conceal *c = open_conceal(RATE_HZ, 1);
            make_sound(x, (enum sound)kind, FRAMES);
            uint32_t at = FRAMES / 2 + (uint32_t)takt_random_below(&r, 3000), window = 30 * MS;
            hear(c, x, at);
            takt_conceal_prepare(c);
            make(c, x + at, SILENT + 1000);
            CHECK(largest(x + at, SILENT + 1000) <= largest(x + at - window, window) + 1e-6);
            for (uint32_t i = at; i < at + SILENT; i += 5 * MS)
                CHECK(energy(x + i, 5 * MS) <= 1.1 * energy(x + at - window, window) + 1e-9);
            CHECK(largest(x + at + SILENT, 1000) == 0);
            CHECK(isfinite(energy(x + at, SILENT + 1000)));
            takt_conceal_destroy(c);
        }
}

/* Silence stays silence. */
static void conceal_of_silence_is_silence(void)
{
    static float x[FRAMES];
    struct takt_conceal *c = open_conceal(RATE_HZ, 1);
    lose(c, x, FRAMES / 2, 1000, FRAMES);
    CHECK(largest(x, FRAMES) == 0);
    takt_conceal_destroy(c);
}

/* A filter of silence, or none at all, is no click either: the last sample dies away. */
static void conceal_without_a_filter_dies_away(void)
{
    static float x[FRAMES];
    for (int prepared = 0; prepared < 2; prepared++) {
        struct takt_conceal *c = open_conceal(RATE_HZ, 1);
        memset(x, 0, sizeof x);
        hear(c, x, FRAMES / 4);
        if (prepared)
            takt_conceal_prepare(c);
        make_sound(x, TONE, 100);
        hear(c, x, 100);
        make(c, x + 100, 20 * MS);
        CHECK(fabs((double)(x[100] - x[99])) < 0.03);
        for (uint32_t i = 101; i < 100 + 20 * MS; i++)
            CHECK(fabsf(x[i]) <= fabsf(x[i - 1]));
        CHECK(fabsf(x[100 + 10 * MS]) < 1e-4f);
        takt_conceal_destroy(c);
    }
}

/* What comes in is taken as it may come: NaN, infinity and absurd numbers end with themselves. */
static void conceal_survives_what_is_not_finite(void)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f, -1e20f};
    static float x[FRAMES];
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        for (uint32_t every = 1; every < 2000; every *= 3) {
            struct takt_conceal *c = open_conceal(RATE_HZ, 1);
            make_sound(x, CHORD, FRAMES);
            for (uint32_t i = 0; i < FRAMES / 2; i += every)
                x[i] = bad[k];
            hear(c, x, FRAMES / 2);
            takt_conceal_prepare(c);
            make(c, x + FRAMES / 2, 1000);
            CHECK(largest(x + FRAMES / 2, 1000) <= 1.01);
            CHECK(isfinite(energy(x + FRAMES / 2, 1000)));
            x[FRAMES / 2 + 1000] = bad[k];
            hear(c, x + FRAMES / 2 + 1000, 1000);
            CHECK(k > 2 || isfinite(energy(x + FRAMES / 2 + 1000, 1000)));
            takt_conceal_destroy(c);
        }
}

/* ---- What it promises --------------------------------------------------------------------------
 */

static uint32_t some(struct takt_random *r, uint32_t left)
{
    uint32_t n = (uint32_t)takt_random_below(r, takt_random_below(r, 2) ? 300 : 5);
    return n < left ? n : left;
}

/* The same bits, however heard, made and joined are cut. */
static void conceal_is_the_same_however_it_is_cut(void)
{
    static float x[FRAMES], y[FRAMES];
    struct takt_random r = takt_random_seed(11);
    for (int kind = 0; kind < SOUNDS; kind++)
        for (int round = 0; round < 10; round++) {
            struct takt_conceal *whole = open_conceal(RATE_HZ, 1), *cut = open_conceal(RATE_HZ, 1);
            make_sound(x, (enum sound)kind, FRAMES);
            memcpy(y, x, sizeof y);
            uint32_t at = 10000, loss = 1 + (uint32_t)takt_random_below(&r, 4000);
            for (int again = 0; again < 2; again++, at += loss + 50) {
                uint32_t from = again ? at - 50 : 0;
                hear(whole, x + from, at - from);
                for (uint32_t i = from, n; i < at; i += n)
                    hear(cut, y + i, n = some(&r, at - i));
                takt_conceal_prepare(whole);
                takt_conceal_prepare(cut);
                make(whole, x + at, loss);
                for (uint32_t i = 0, n; i < loss; i += n)
                    make(cut, y + at + i, n = some(&r, loss - i));
            }
            hear(whole, x + at - 50, 1000);
            for (uint32_t i = 0, n; i < 1000; i += n)
                hear(cut, y + at - 50 + i, n = some(&r, 1000 - i));
            CHECK(!memcmp(x, y, sizeof y));
            takt_conceal_destroy(whole);
            takt_conceal_destroy(cut);
        }
}

/* As long after a loss as that lasted, but 2 ms at least and 4 ms at most, the sound is as it came,
 * bit for bit; and where nothing is missing, it always is. */
static void conceal_join_gives_the_sound_back(void)
{
    static const uint32_t losses[] = {1, MS, 3 * MS, 4 * MS, 50 * MS, 100 * MS};
    static const uint32_t leads[] = {2 * MS, 2 * MS, 3 * MS, 4 * MS, 4 * MS, 4 * MS};
    static float x[FRAMES], y[FRAMES];
    for (size_t k = 0; k < sizeof losses / sizeof *losses; k++) {
        struct takt_conceal *c = open_conceal(RATE_HZ, 1);
        make_sound(x, NOISE, FRAMES);
        memcpy(y, x, sizeof y);
        lose(c, y, FRAMES / 2, losses[k], FRAMES);
        uint32_t back = FRAMES / 2 + losses[k] + leads[k];
        CHECK(!memcmp(x, y, FRAMES / 2 * sizeof *x));
        CHECK(x[back - 2] != y[back - 2]);
        CHECK(!memcmp(x + back, y + back, (FRAMES - back) * sizeof *x));
        takt_conceal_destroy(c);
    }
}

/* Each channel is as if it were alone. */
static void conceal_channels_are_independent(void)
{
    enum { CHANNELS = 5 };
    static float x[CHANNELS][4000], y[4000];
    float *at[CHANNELS], *lost[CHANNELS], *back[CHANNELS];
    struct takt_conceal *all = open_conceal(RATE_HZ, CHANNELS);
    for (int i = 0; i < CHANNELS; i++) {
        make_sound(x[i], (enum sound)i, 4000);
        at[i] = x[i], lost[i] = x[i] + 2000, back[i] = x[i] + 3000;
    }
    takt_conceal_heard(all, (const float *const *)at, 2000);
    takt_conceal_prepare(all);
    takt_conceal_make(all, lost, 1000);
    takt_conceal_join(all, back, 1000);
    for (int i = 0; i < CHANNELS; i++) {
        struct takt_conceal *one = open_conceal(RATE_HZ, 1);
        make_sound(y, (enum sound)i, 4000);
        lose(one, y, 2000, 1000, 4000);
        CHECK(!memcmp(y, x[i], sizeof y));
        takt_conceal_destroy(one);
    }
    takt_conceal_destroy(all);
}

/* After a reset all is as at first, even if somebody is still at work on the sound before. */
static void conceal_reset_forgets(void)
{
    static float x[FRAMES], y[FRAMES];
    for (int at_work = 0; at_work < 3; at_work++) {
        struct takt_conceal *used = open_conceal(RATE_HZ, 1), *fresh = open_conceal(RATE_HZ, 1);
        make_sound(x, CHORD, FRAMES);
        lose(used, x, 5000, 100, 5150);
        if (at_work)
            CHECK(takt_conceal_ask(used));
        if (at_work == 1)
            CHECK(!takt_conceal_work(used));
        takt_conceal_reset(used);
        if (at_work == 2)
            CHECK(!takt_conceal_work(used));
        for (int prepared = 0; prepared < 2; prepared++) {
            make_sound(x, PULSES, FRAMES);
            memcpy(y, x, sizeof y);
            for (int k = 0; k < 2; k++) {
                struct takt_conceal *c = k ? fresh : used;
                hear(c, k ? y : x, 9000);
                if (prepared)
                    takt_conceal_prepare(c);
                make(c, (k ? y : x) + 9000, 3000);
                hear(c, (k ? y : x) + 12000, 3000);
            }
            CHECK(!memcmp(x, y, sizeof x));
        }
        takt_conceal_destroy(used);
        takt_conceal_destroy(fresh);
    }
}

/* A channel at a time, with sound coming in meanwhile, finds what all at once would have; it is
 * used when the last one is done, and not within a loss. */
static void conceal_work_in_parts_is_the_same(void)
{
    enum { CHANNELS = 3 };
    static float x[CHANNELS][FRAMES], y[CHANNELS][FRAMES];
    float *xs[CHANNELS], *ys[CHANNELS];
    struct takt_conceal *once = open_conceal(RATE_HZ, CHANNELS);
    struct takt_conceal *parts = open_conceal(RATE_HZ, CHANNELS);
    CHECK(!takt_conceal_ask(parts));
    CHECK(!takt_conceal_work(parts));
    for (int i = 0; i < CHANNELS; i++) {
        make_sound(x[i], (enum sound)i, FRAMES);
        memcpy(y[i], x[i], sizeof x[i]);
        xs[i] = x[i], ys[i] = y[i];
    }
    takt_conceal_heard(once, (const float *const *)xs, 4000);
    takt_conceal_heard(parts, (const float *const *)ys, 4000);
    takt_conceal_prepare(once);
    CHECK(takt_conceal_ask(parts));
    for (int i = 0; i < CHANNELS; i++) {
        xs[i] += 4000, ys[i] += 4000;
        CHECK(!takt_conceal_ask(parts));
        CHECK(takt_conceal_work(parts) == (i < CHANNELS - 1));
    }
    CHECK(!takt_conceal_work(parts));
    takt_conceal_heard(once, (const float *const *)xs, 700);
    takt_conceal_heard(parts, (const float *const *)ys, 700);
    takt_conceal_make(once, xs, 1000);
    takt_conceal_make(parts, ys, 400);
    takt_conceal_prepare(parts);
    for (int i = 0; i < CHANNELS; i++)
        ys[i] += 400;
    takt_conceal_make(parts, ys, 600);
    CHECK(!memcmp(x, y, sizeof x));
    takt_conceal_destroy(once);
    takt_conceal_destroy(parts);
}

/* What faded is not the sound: no filter is found from it, and none goes on from it, before there
 * is enough good sound again. */
static void conceal_after_a_fade_waits_for_sound(void)
{
    static float x[FRAMES];
    struct takt_conceal *c = open_conceal(RATE_HZ, 1);
    make_sound(x, CHORD, FRAMES);
    hear(c, x, 5000);
    takt_conceal_prepare(c);
    make(c, x + 5000, 50 * MS);
    hear(c, x + 5000 + 50 * MS, 5 * MS);
    CHECK(!takt_conceal_ask(c));
    make(c, x + 5000 + 55 * MS, 10 * MS);
    CHECK(largest(x + 5000 + 64 * MS, MS) < 1e-3);
    hear(c, x + 5000 + 65 * MS, 10 * MS);
    CHECK(takt_conceal_ask(c));
    takt_conceal_destroy(c);
}

struct helper {
    struct takt_conceal *c;
    _Atomic bool done;
};

static void *work(void *arg)
{
    struct helper *w = arg;
    while (!atomic_load(&w->done))
        takt_conceal_work(w->c);
    return NULL;
}

/* A thread that works while the sound goes on takes nothing from it. */
static void conceal_worker_works_beside_the_owner(void)
{
    static float x[FRAMES];
    struct helper w = {.c = open_conceal(RATE_HZ, 1)};
    pthread_t thread;
    CHECK(!pthread_create(&thread, NULL, work, &w));
    double most = 0;
    make_sound(x, CHORD, FRAMES);
    for (uint32_t i = 0; i + MS <= FRAMES; i += MS) {
        if (i / MS % 7 == 6)
            make(w.c, x + i, MS);
        else
            hear(w.c, x + i, MS);
        most = fmax(most, largest(x + i, MS));
        takt_conceal_ask(w.c);
    }
    atomic_store(&w.done, true);
    pthread_join(thread, NULL);
    CHECK(most < 1);
    takt_conceal_destroy(w.c);
}

static void conceal_create_refuses_what_cannot_be(void)
{
    static const struct takt_conceal_cfg bad[] = {
        {0, 1}, {7999, 1}, {384001, 1}, {48000, 0}, {48000, 65}};
    struct takt_conceal *c;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(takt_conceal_create(&bad[i], &c), TAKT_ERR_ARG);
        CHECK(!c);
    }
    for (uint32_t rate_hz = 8000; rate_hz <= 384000; rate_hz *= 2) {
        static float x[FRAMES];
        CHECK(c = open_conceal(rate_hz, 1));
        make_sound(x, CHORD, FRAMES);
        lose(c, x, FRAMES / 4, FRAMES / 2, FRAMES);
        CHECK(largest(x, FRAMES) < 1);
        takt_conceal_destroy(c);
    }
    takt_conceal_destroy(NULL);
}

static void conceal_create_without_memory_gives_all_back(void)
{
    long before = fault_held();
    for (int n = 1;; n++) {
        fault_at(n);
        struct takt_conceal *c;
        int code = takt_conceal_create(&(struct takt_conceal_cfg){RATE_HZ, 2}, &c);
        bool happened = fault_happened();
        fault_at(0);
        CHECK_INT(code, happened ? TAKT_ERR_NOMEM : TAKT_OK);
        CHECK(happened == !c);
        takt_conceal_destroy(c);
        CHECK_INT(fault_held(), before);
        if (!happened)
            break;
    }
}

/* ---- The filter --------------------------------------------------------------------------------
 */

/* Burg's method as it is written, in doubles. */
static void burg_as_written(const float *x, int frames, int lag, int order, double *c)
{
    static double f[2000], b[2000], old[TAKT_BURG_ORDER_MOST];
    for (int i = 0; i < frames; i++)
        f[i] = b[i] = (double)x[i];
    for (int m = 1; m <= order; m++) {
        double products = 0, squares = 0;
        for (int n = m * lag; n < frames; n++) {
            double w = (n - m * lag + 1.0) * (frames - n);
            products += w * f[n] * b[n - lag];
            squares += w * (f[n] * f[n] + b[n - lag] * b[n - lag]);
        }
        double k = 2 * products / squares;
        for (int n = frames - 1; n >= m * lag; n--) {
            double forward = f[n];
            f[n] -= k * b[n - lag];
            b[n] = b[n - lag] - k * forward;
        }
        memcpy(old, c, sizeof old);
        for (int i = 1; i < m; i++)
            c[i - 1] = old[i - 1] - k * old[m - i - 1];
        c[m - 1] = k;
    }
}

/* Any length, any lag, any order: the same filter, within what floats allow. */
static void burg_is_its_formula(void)
{
    struct takt_random r = takt_random_seed(2);
    for (int round = 0; round < 60; round++) {
        static float x[2000], y[2000], scratch[2000], c[TAKT_BURG_ORDER_MOST];
        double want[TAKT_BURG_ORDER_MOST] = {0}, last = 0, before = 0;
        int lag = 1 + (int)takt_random_below(&r, 5);
        int order = 1 + (int)takt_random_below(&r, TAKT_BURG_ORDER_MOST);
        int frames = lag * order + 1 + (int)takt_random_below(&r, 1000);
        for (int i = 0; i < frames; i++) {
            double next = 1.6 * last - 0.8 * before + takt_random_unit(&r) - 0.5;
            x[i] = y[i] = (float)(0.1 * next);
            before = last, last = next;
        }
        burg_as_written(x, frames, lag, order, want);
        CHECK(takt_burg(y, scratch, (uint32_t)frames, (uint32_t)lag, (uint32_t)order, c));
        for (int i = 0; i < order; i++)
            CHECK_NEAR(c[order - 1 - i], want[i], 1e-3);
    }
}

int main(void)
{
    RUN(conceal_goes_on_with_tones);
    RUN(conceal_goes_on_with_chords_and_pulses);
    RUN(conceal_makes_no_step);
    RUN(conceal_never_grows);
    RUN(conceal_of_silence_is_silence);
    RUN(conceal_without_a_filter_dies_away);
    RUN(conceal_survives_what_is_not_finite);
    RUN(conceal_is_the_same_however_it_is_cut);
    RUN(conceal_join_gives_the_sound_back);
    RUN(conceal_channels_are_independent);
    RUN(conceal_reset_forgets);
    RUN(conceal_work_in_parts_is_the_same);
    RUN(conceal_after_a_fade_waits_for_sound);
    RUN(conceal_worker_works_beside_the_owner);
    RUN(conceal_create_refuses_what_cannot_be);
    RUN(conceal_create_without_memory_gives_all_back);
    RUN(burg_is_its_formula);
    return tap_done();
}
