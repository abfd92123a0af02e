/*
 * takt_pitch says which note it is, takt_partials how exactly; here is when one note ends and the
 * next begins. A note begins with a voice, with a jump of level, when the pitch has been another
 * for some hops, or when the phases of its partials break off: then nothing older is looked at.
 * Until the partials have filled two windows the reading is that of the pitch, with an error that
 * says so.
 *
 * The sound is worked through in half hops, so blocks of any size give the same.
 *
 * Invariants: the newest `filled` frames of the past end at past[end]; x before `from` belongs to
 * another note or to none.
 */
#include "takt/tuner.h"

#include "analysis/partials.h"
#include "analysis/sane.h"
#include "base/fail.h"
#include "base/touched.h"
#include "takt/kernel.h"
#include "takt/level.h"
#include "takt/pitch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Half hops: STRANGE of another pitch are another note, where the old one's partials cannot be
 * followed any more; else the pitch may be wrong for as long as LONG_STRANGE. */
enum { RECENT = 8, STRANGE = 3, LONG_STRANGE = 10, SILENT = 18 };
static const double lowest_hz = 26, octave_cents = 1200;
static const double onset_rise = 4;   /* of a half hop's energy over all RECENT before it */
static const double attack_s = 0.004; /* which is not looked at */
static const double stranger_cents = 35;
static const double near_cents = 15;  /* within which the pitch bears out what is held */
static const double begin_dbfs = -62; /* no note begins below, since even hum has a pitch */
static const double end_dbfs = -80;   /* and none is heard below */
static const double hold_s = 0.35;    /* how long the last exact reading stands for the same note */
static const double held_cents = 3;   /* its error, then */

struct takt_tuner {
    double rate_hz, a4_hz, faster; /* faster: true frequency over the one that the card sees */
    bool has_tuning;
    struct takt_tuning tuning;
    struct takt_pitch *pitch;
    struct takt_partials *partials;
    size_t half, hop, window_most;
    float *past;
    size_t end, size, pending; /* pending: frames of a half hop that is not whole yet */
    uint64_t position, filled;
    bool begun, odd;
    /* The note. */
    bool sounds, follows;       /* follows: its partials were found in the newest window */
    uint64_t from, next, notes; /* positions: of the note, of its next window's end */
    int strange, silent;        /* half hops in a row */
    double energy[RECENT];
    int energy_at;
    struct takt_partials_reading exact;
    uint64_t exact_at;
    struct takt_pitch_reading heard;
    int multiple;    /* by which the pitch was found too low, as a rule 1 */
    double heard_hz; /* the pitch with that; 0: no voice */
};

/* ---- Life ------------------------------------------------------------------------------------ */

static int refuse(const struct takt_tuner_cfg *cfg, struct takt_error *e)
{
    if (cfg->rate_hz && (cfg->rate_hz < 8000 || cfg->rate_hz > 192000))
        return takt_fail(e, TAKT_ERR_ARG, 0, "a tuner at %u Hz: 8000 to 192000", cfg->rate_hz);
    if (cfg->a4_hz != 0 && !(cfg->a4_hz >= 380 && cfg->a4_hz <= 480))
        return takt_fail(e, TAKT_ERR_ARG, 0, "A4 of %g Hz: 380 to 480", cfg->a4_hz);
    if (!(fabs(cfg->clock_ppm) <= 1000))
        return takt_fail(e, TAKT_ERR_ARG, 0, "a clock of %g ppm: -1000 to 1000", cfg->clock_ppm);
    if (cfg->tuning && (cfg->tuning->count < 1 || cfg->tuning->count > TAKT_STRINGS_MAX))
        return takt_fail(e, TAKT_ERR_ARG, 0, "a tuning of %d strings: 1 to %d", cfg->tuning->count,
                         TAKT_STRINGS_MAX);
    return 0;
}

int takt_tuner_create(const struct takt_tuner_cfg *cfg, struct takt_tuner **out,
                      struct takt_error *e)
{
    *out = NULL;
    int err = refuse(cfg, e);
    if (err < 0)
        return err;
    struct takt_tuner *t = takt_calloc_touched(1, sizeof *t);
    if (!t)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    uint32_t rate_hz = cfg->rate_hz ? cfg->rate_hz : 48000;
    t->rate_hz = rate_hz;
    t->a4_hz = cfg->a4_hz != 0 ? cfg->a4_hz : 440;
    t->faster = 1 + cfg->clock_ppm * 1e-6;
    t->has_tuning = cfg->tuning != NULL;
    if (cfg->tuning)
        t->tuning = *cfg->tuning;
    err = takt_partials_create(t->rate_hz, lowest_hz, &t->partials, e);
    if (err == 0) {
        t->hop = takt_partials_hop(t->partials);
        t->half = t->hop / 2;
        t->window_most = takt_partials_window_most(t->partials);
        t->size = 2 * t->window_most + t->hop;
        t->past = takt_calloc_touched(t->size, sizeof *t->past);
        struct takt_pitch_cfg pitch = {
            .rate_hz = rate_hz, .hop_frames = (uint32_t)t->half, .min_hz = lowest_hz};
        err = t->past ? takt_pitch_create(&pitch, &t->pitch, e)
                      : takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    if (err < 0) {
        takt_tuner_destroy(t);
        return err;
    }
    *out = t;
    return 0;
}

void takt_tuner_destroy(struct takt_tuner *t)
{
    if (!t)
        return;
    takt_pitch_destroy(t->pitch);
    takt_partials_destroy(t->partials);
    free(t->past);
    free(t);
}

void takt_tuner_reset(struct takt_tuner *t)
{
    takt_pitch_reset(t->pitch);
    t->end = t->pending = 0;
    t->filled = t->from = t->next = 0;
    t->begun = t->odd = t->sounds = false;
    t->strange = t->silent = 0;
    memset(t->energy, 0, sizeof t->energy);
    t->exact = (struct takt_partials_reading){.known = false};
    t->heard = (struct takt_pitch_reading){.voiced = false};
    t->heard_hz = 0;
    t->multiple = 1;
}

size_t takt_tuner_hop_frames(const struct takt_tuner *t)
{
    return t->hop;
}

double takt_tuner_bound_cents(double hz, double snr_db, double seconds, uint32_t rate_hz)
{
    static const double pi = 3.14159265358979323846;
    double n = seconds * rate_hz, snr = pow(10, snr_db / 10);
    double sigma_hz = sqrt(6 / (snr * n * (n * n - 1))) * rate_hz / (2 * pi);
    return octave_cents * log2(1 + sigma_hz / hz);
}

/* ---- Notes ----------------------------------------------------------------------------------- */

static double cents_between(double hz, double other_hz)
{
    return octave_cents * log2(hz / other_hz);
}

/* Looks at nothing before `from` any more. */
static void measure_from(struct takt_tuner *t, double hz, uint64_t from)
{
    takt_partials_begin(t->partials, hz);
    t->from = from;
    t->next = from + takt_partials_window(t->partials);
    t->strange = 0;
    t->follows = false;
}

static void begin_note(struct takt_tuner *t, double hz, uint64_t from)
{
    measure_from(t, hz, from);
    t->sounds = true;
    t->multiple = 1;
    t->silent = 0;
    t->notes++;
    t->exact = (struct takt_partials_reading){.known = false};
}

/* Is this half hop much louder than all of the last RECENT, which hold a period of the lowest note?
 */
static bool is_onset(struct takt_tuner *t, const float *x)
{
    double now = takt_sum_squares(x, t->half), most = 0;
    for (int i = 0; i < RECENT; i++)
        most = fmax(most, t->energy[i]);
    t->energy[t->energy_at] = now;
    t->energy_at = (t->energy_at + 1) % RECENT;
    return now > onset_rise * most && now > 1e-10 * (double)t->half;
}

static bool is_far(double hz, double other_hz, double cents)
{
    return fabs(cents_between(hz, other_hz)) > cents;
}

/* The pitch that is heard, put right by what its partials have shown before. */
static void take_pitch(struct takt_tuner *t)
{
    bool loud = t->heard.level_dbfs > (t->sounds ? end_dbfs : begin_dbfs);
    double now_hz = takt_partials_hz(t->partials),
           hz = t->heard.voiced && loud ? t->heard.f0_hz : 0;
    if (hz > 0 && t->sounds && t->multiple > 1) {
        if (!is_far(hz, now_hz, stranger_cents))
            t->multiple = 1; /* it has found it itself */
        else if (!is_far(hz * t->multiple, now_hz, stranger_cents))
            hz *= t->multiple;
    }
    t->heard_hz = hz;
}

/* What the newest pitch and level mean for the note. */
static void follow(struct takt_tuner *t, bool onset)
{
    double hz = t->heard_hz;
    uint64_t half_ago = t->position - t->half;
    uint64_t attack = (uint64_t)(attack_s * t->rate_hz);
    if (t->sounds && onset) { /* plucked anew, perhaps another note: the pitch will tell */
        measure_from(t, hz > 0 ? hz : takt_partials_hz(t->partials), half_ago + attack);
        t->notes++;
    }
    if (hz <= 0) {
        t->silent += t->silent < SILENT;
        t->sounds &= t->silent < SILENT;
        return;
    }
    t->silent = 0;
    /* Two periods of the new pitch were heard already. */
    uint64_t heard = (uint64_t)(2.2 * t->rate_hz / hz);
    uint64_t since = t->position > heard ? t->position - heard : 0;
    if (!t->sounds) {
        begin_note(t, hz, onset && half_ago + attack > since ? half_ago + attack : since);
        return;
    }
    bool strange = is_far(hz, takt_partials_hz(t->partials), stranger_cents);
    t->strange = strange ? t->strange + 1 : 0;
    if (t->strange >= (t->follows ? LONG_STRANGE : STRANGE))
        begin_note(t, hz, since > t->from ? since : t->from);
}

/* One window more, when there is one. */
static void measure(struct takt_tuner *t)
{
    size_t window = takt_partials_window(t->partials);
    if (!t->sounds || t->position < t->next || t->filled < window)
        return;
    if (!takt_partials_step(t->partials, t->past + t->end - window)) {
        double was = takt_partials_hz(t->partials);
        double hz = t->heard_hz > 0 ? t->heard_hz : was;
        uint64_t from = t->position - t->hop;
        if (is_far(hz, was, stranger_cents))
            begin_note(t, hz, from);
        else
            measure_from(t, hz, from);
        return;
    }
    int multiple = takt_partials_multiple(t->partials);
    if (multiple > 1) {
        t->multiple *= multiple;
        t->heard_hz *= multiple;
        measure_from(t, multiple * takt_partials_hz(t->partials), t->from);
        t->exact = (struct takt_partials_reading){.known = false};
        return;
    }
    struct takt_partials_reading now;
    takt_partials_read(t->partials, &now);
    t->follows = now.fresh;
    if (now.fresh) {
        t->exact = now;
        t->exact_at = t->position;
    }
}

/* ---- Readings -------------------------------------------------------------------------------- */

static void show(const struct takt_tuner *t, struct takt_tuner_reading *r)
{
    const struct takt_partials_reading *exact = &t->exact;
    *r = (struct takt_tuner_reading){.position = t->position,
                                     .level_dbfs = t->heard.level_dbfs,
                                     .string = -1,
                                     .notes = t->notes};
    double heard_hz = t->heard_hz;
    double age_s = (double)(t->position - t->exact_at) / t->rate_hz;
    bool held = exact->known && age_s > 0;
    bool stands =
        exact->known && (!held || (age_s < hold_s && heard_hz > 0 &&
                                   fabs(cents_between(heard_hz, exact->hz)) < near_cents));
    if (!t->sounds || (!stands && heard_hz <= 0))
        return;
    r->voiced = true;
    r->confidence = t->heard.confidence;
    r->f0_hz = (stands ? exact->hz : heard_hz) * t->faster;
    if (stands) {
        r->precise = true;
        r->sigma_cents = held ? fmax(exact->sigma_cents, held_cents) : exact->sigma_cents;
        r->stretch = exact->stretch;
        r->stretch_sigma = exact->stretch_sigma;
        r->partials = exact->partials;
        r->span_s = exact->span_s;
    } else {
        r->sigma_cents = 10 + 20 * (1 - r->confidence); /* a period of stretched partials is off */
    }
    double note = takt_note_at(r->f0_hz, t->a4_hz);
    if (t->has_tuning) {
        r->string = takt_tuning_nearest(&t->tuning, note);
        r->note = t->tuning.note[r->string];
    } else {
        r->note = (int)lrint(fmin(fmax(note, 0), TAKT_NOTE_MAX));
    }
    r->cents = 100 * (note - r->note);
}

/* ---- Frames ---------------------------------------------------------------------------------- */

/* A half hop is whole, and lies at the end of the past. True when a reading is due. */
static bool take_half(struct takt_tuner *t)
{
    const float *x = t->past + t->end - t->half;
    takt_pitch_process(t->pitch, x, t->half, t->position - t->half, &t->heard, 1);
    take_pitch(t);
    follow(t, is_onset(t, x));
    t->odd = !t->odd;
    if (t->odd)
        return false;
    measure(t);
    return true;
}

static void make_room(struct takt_tuner *t)
{
    if (t->end + t->half <= t->size)
        return;
    size_t keep = t->window_most + t->pending;
    memmove(t->past, t->past + t->end - keep, keep * sizeof *t->past);
    t->end = keep;
}

size_t takt_tuner_process(struct takt_tuner *t, const float *x, size_t frames, uint64_t position,
                          struct takt_tuner_reading *out, size_t out_max)
{
    size_t made = 0;
    if (!t->begun || position != t->position) {
        takt_tuner_reset(t);
        t->begun = true;
        t->position = position;
    }
    while (frames) {
        size_t n = t->half - t->pending < frames ? t->half - t->pending : frames;
        make_room(t);
        for (size_t i = 0; i < n; i++)
            t->past[t->end + i] = takt_sane(x[i]);
        t->end += n;
        t->pending += n;
        t->position += n;
        t->filled += n;
        x += n;
        frames -= n;
        if (t->pending < t->half)
            continue;
        t->pending = 0;
        if (take_half(t) && made < out_max)
            show(t, &out[made++]);
    }
    return made;
}
