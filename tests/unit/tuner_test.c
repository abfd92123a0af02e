/* How true the tuner is, and how true what it says of its own error: with tones of known pitch,
 * steady, stretched, dying away, in noise, and changing. */

#include "takt/tuner.h"

#include "base/random.h"
#include "fault.h"
#include "tap.h"

#include <math.h>
#include <string.h>

enum { RATE = 48000, PARTIALS = 12, LONGEST = 3 * RATE, READINGS = 320 };
static const double pi = 3.14159265358979323846;

static struct takt_random chance = {1};
static float sound[LONGEST];
static struct takt_tuner_reading reading[READINGS];

static double between(double low, double high)
{
    return low + (high - low) * takt_random_unit(&chance);
}

/* Of variance 1, near enough to Gauss. */
static double noise(void)
{
    double sum = 0;
    for (int i = 0; i < 12; i++)
        sum += takt_random_unit(&chance);
    return sum - 6;
}

struct tone {
    double hz;      /* of the first partial */
    int partials;   /* 0: PARTIALS */
    double stretch; /* B */
    double fall_s;  /* of the first partial, by e; 0: it stays */
    double snr_db;  /* of the beginning, against white noise; 0: none */
    double level;   /* of the first partial; 0: 0.2 */
    bool no_first;  /* the first partial is missing */
};

/* Adds a tone to sound[at .. at + frames), each partial by a phasor that turns, with random phase
 * and a strength of about 1/k. */
static void add_tone(const struct tone *t, size_t at, size_t frames)
{
    double power = 0;
    int partials = t->partials ? t->partials : PARTIALS;
    double level = t->level > 0 ? t->level : 0.2;
    for (int k = 1; k <= partials; k++) {
        double hz = k * t->hz * sqrt((1 + t->stretch * k * k) / (1 + t->stretch));
        if (hz > 0.45 * RATE || (k == 1 && t->no_first))
            continue;
        double loud = level / k * between(0.6, 1.4), phase = between(0, 2 * pi);
        double fall = t->fall_s > 0 ? exp(-(0.6 + 0.4 * k) / (t->fall_s * RATE)) : 1;
        double re = loud * cos(phase), im = loud * sin(phase);
        double turn_re = fall * cos(2 * pi * hz / RATE), turn_im = fall * sin(2 * pi * hz / RATE);
        power += loud * loud / 2;
        for (size_t i = 0; i < frames; i++) {
            sound[at + i] += (float)im;
            double next = re * turn_re - im * turn_im;
            im = re * turn_im + im * turn_re;
            re = next;
        }
    }
    double hiss = t->snr_db > 0 ? sqrt(power) * pow(10, -t->snr_db / 20) : 0;
    for (size_t i = 0; i < frames && hiss > 0; i++)
        sound[at + i] += (float)(hiss * noise());
}

static void be_silent(size_t frames)
{
    memset(sound, 0, frames * sizeof *sound);
}

static struct takt_tuner *open_tuner(const struct takt_tuner_cfg *cfg)
{
    static const struct takt_tuner_cfg usual = {.rate_hz = RATE};
    struct takt_tuner *t = NULL;
    takt_tuner_create(cfg ? cfg : &usual, &t, NULL);
    return t;
}

/* Reads the first frames of sound; how many readings there are. */
static size_t hear(const struct takt_tuner_cfg *cfg, size_t frames)
{
    struct takt_tuner *t = open_tuner(cfg);
    size_t n = t ? takt_tuner_process(t, sound, frames, 0, reading, READINGS) : 0;
    takt_tuner_destroy(t);
    return n;
}

static size_t hear_tone(const struct tone *t, double seconds)
{
    size_t frames = (size_t)(seconds * RATE);
    be_silent(frames);
    add_tone(t, 0, frames);
    return hear(NULL, frames);
}

static double cents_off(const struct takt_tuner_reading *r, double hz)
{
    return 1200 * log2(r->f0_hz / hz);
}

static double time_of(const struct takt_tuner_reading *r)
{
    return (double)r->position / RATE;
}

/* Of the readings after since_s, all precise: the worst error; infinite where one is missing. */
static double worst_off(size_t n, double hz, double since_s)
{
    double worst = n ? 0 : HUGE_VAL;
    for (size_t i = 0; i < n; i++)
        if (time_of(&reading[i]) > since_s)
            worst = reading[i].precise ? fmax(worst, fabs(cents_off(&reading[i], hz))) : HUGE_VAL;
    return worst;
}

/* ---- How true ----------------------------------------------------------------------------------
 */

static const double pitches_hz[] = {40.1,  41.2, 55,    82.4,   123.5, 196,
                                    329.6, 440,  659.3, 1046.5, 2093,  3520};
enum { PITCHES = sizeof pitches_hz / sizeof *pitches_hz };

static void steady_tones_are_told_within_a_tenth_of_a_cent_at_40_db(void)
{
    for (int i = 0; i < PITCHES; i++) {
        struct tone t = {.hz = pitches_hz[i] * between(1, 1.05), .snr_db = 40};
        size_t n = hear_tone(&t, 0.8);

        CHECK(worst_off(n, t.hz, 0.35) <= 0.1);
        CHECK(reading[n - 1].sigma_cents < 0.05);
    }
}

static void the_needle_stands_still_on_a_steady_tone(void)
{
    for (int i = 0; i < PITCHES; i++) {
        struct tone t = {.hz = pitches_hz[i] * between(1, 1.05), .snr_db = 40};
        size_t n = hear_tone(&t, 1.0);
        for (size_t k = n / 2; k + 1 < n; k++)
            CHECK_NEAR(reading[k].cents, reading[k + 1].cents, 0.05);
    }
}

static void stretched_strings_are_told_with_their_stretch(void)
{
    for (int i = 0; i < 8; i++) {
        struct tone t = {.hz = between(40, 350), .stretch = between(2e-5, 4e-4), .snr_db = 40};
        size_t n = hear_tone(&t, 0.8);
        const struct takt_tuner_reading *last = &reading[n - 1];
        CHECK(worst_off(n, t.hz, 0.4) <= 0.1);
        CHECK(fabs(last->stretch - t.stretch) <= 4 * last->stretch_sigma + 1e-3 * t.stretch);
    }
}

static void plucks_that_die_away_are_told_as_long_as_they_sound(void)
{
    for (int i = 0; i < 8; i++) {
        struct tone t = {.hz = between(41, 350), .stretch = 1e-4, .fall_s = 0.6, .snr_db = 50};
        size_t n = hear_tone(&t, 1.2);
        CHECK(worst_off(n, t.hz, 0.4) <= 0.3);
    }
}

static void a_missing_first_partial_is_told_by_the_others(void)
{
    for (int i = 0; i < 6; i++) {
        struct tone t = {.hz = between(50, 400), .no_first = true, .snr_db = 40};
        size_t n = hear_tone(&t, 0.8);
        CHECK(worst_off(n, t.hz, 0.4) <= 0.1);
    }
}

static void other_rates_are_as_true(void)
{
    static const uint32_t rates[] = {8000, 22050, 44100, 96000, 192000};
    for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
        size_t frames = rates[r] / 2 < LONGEST ? rates[r] / 2 : LONGEST;
        struct takt_tuner_cfg cfg = {.rate_hz = rates[r]};
        struct tone t = {.hz = 110.3 * RATE / rates[r], .snr_db = 40}; /* 110.3 Hz at that rate */
        be_silent(frames);
        add_tone(&t, 0, frames);
        size_t n = hear(&cfg, frames);
        CHECK(n > 30 && reading[n - 1].precise);
        CHECK_NEAR(cents_off(&reading[n - 1], 110.3), 0, 0.1);
    }
}

/* ---- How honest ------------------------------------------------------------------------------ */

/* Counts readings within three sigmas of the truth. */
static void errors_are_what_sigma_says(void)
{
    int within = 0, all = 0, loose = 0;
    for (int i = 0; i < ROUNDS(30); i++) {
        struct tone t = {.hz = between(41, 700),
                         .stretch = i % 3 ? between(0, 2e-4) : 0,
                         .fall_s = i % 2 ? between(0.5, 2) : 0,
                         .snr_db = between(15, 50)};
        size_t n = hear_tone(&t, 1.0);
        for (size_t k = 0; k < n; k++) {
            if (!reading[k].precise)
                continue;
            double off = fabs(cents_off(&reading[k], t.hz));
            all++;
            within += off <= 3 * reading[k].sigma_cents;
            loose += time_of(&reading[k]) > 0.5 && reading[k].sigma_cents > 0.5;
        }
    }
    CHECK(all > ROUNDS(30) * 40);
    CHECK(within >= 0.985 * all);
    CHECK(loose <= 0.02 * all); /* and it does not say so by promising nothing */
}

/* In noise that is far above what leaks, the spread of many results is that of the bound, nearly.
 */
static void errors_are_near_the_bound(void)
{
    double squares = 0, sigma = 0, span = 0;
    int rounds = ROUNDS(24);
    for (int i = 0; i < rounds; i++) {
        struct tone t = {.hz = between(58, 62), .partials = 1, .snr_db = 10};
        size_t n = hear_tone(&t, 1.0);
        CHECK(n && reading[n - 1].precise);
        double off = cents_off(&reading[n - 1], t.hz);
        squares += off * off;
        sigma += reading[n - 1].sigma_cents;
        span += reading[n - 1].span_s;
    }
    double bound = takt_tuner_bound_cents(60, 10, span / rounds, RATE);
    CHECK(sqrt(squares / rounds) < 2.5 * bound + 0.01);
    CHECK(sigma / rounds > 0.6 * bound && sigma / rounds < 2.5 * bound + 0.01);
}

static void the_bound_is_that_of_rife_and_boorstyn(void)
{
    /* 41.2 Hz in 85 ms, twelve times the variance of a complex tone's at 40 dB: 0.04 cents and 0.4.
     */
    CHECK_NEAR(takt_tuner_bound_cents(41.2, 40, 0.085, RATE), 0.04, 0.02);
    CHECK_NEAR(takt_tuner_bound_cents(41.2, 20, 0.085, RATE), 0.4, 0.2);
    CHECK_NEAR(takt_tuner_bound_cents(440, 20, 0.4, RATE) /
                   takt_tuner_bound_cents(440, 20, 0.1, RATE),
               0.125, 1e-3);
}

/* ---- How soon -------------------------------------------------------------------------------- */

static void a_new_note_is_let_go_for_at_once(void)
{
    for (int i = 0; i < 10; i++) {
        double hz = between(45, 500), next_hz = hz * exp2((i % 2 ? 1 : -1) * between(1, 14) / 12);
        struct tone first = {.hz = hz, .fall_s = 1.5, .snr_db = 50}, second = first;
        second.hz = next_hz = fmax(next_hz, 42);
        be_silent(RATE * 7 / 5);
        add_tone(&first, 0, RATE * 7 / 10);
        add_tone(&second, RATE * 7 / 10, RATE * 7 / 10);
        size_t n = hear(NULL, RATE * 7 / 5);
        uint64_t before = 0;
        for (size_t k = 0; k < n; k++) {
            double after = time_of(&reading[k]) - 0.7;
            if (after < 0)
                before = reading[k].notes;
            if (after > 0.14) {
                CHECK(reading[k].voiced && fabs(cents_off(&reading[k], next_hz)) < 20);
                CHECK(reading[k].notes > before);
            }
            if (after > 0.3)
                CHECK(reading[k].precise && fabs(cents_off(&reading[k], next_hz)) < 0.5);
        }
    }
}

/* A peg that is turned by some cents: the average of before is dropped. */
static void a_small_change_is_not_averaged_away(void)
{
    for (int i = 0; i < 8; i++) {
        double hz = between(60, 400), step = (i % 2 ? 1 : -1) * between(2, 25);
        double angle = 0, next_hz = hz * exp2(step / 1200);
        for (int k = 0; k < RATE * 13 / 10; k++) {
            double x = 0;
            for (int p = 1; p <= 6; p++)
                x += 0.1 / p * sin(p * angle);
            sound[k] = (float)(x + 1e-4 * noise());
            angle += 2 * pi * (k < RATE * 7 / 10 ? hz : next_hz) / RATE;
        }
        size_t n = hear(NULL, RATE * 13 / 10);
        CHECK(worst_off(n, next_hz, 0.7 + 0.3) <= 0.2);
    }
}

static void a_slow_glide_is_followed(void)
{
    double angle = 0, worst = 0;
    for (int k = 0; k < 2 * RATE; k++) {
        double hz = 110 * exp2(30.0 * k / RATE / 1200); /* 30 cents a second */
        double x = 0;
        for (int p = 1; p <= 6; p++)
            x += 0.1 / p * sin(p * angle);
        sound[k] = (float)(x + 1e-4 * noise());
        angle += 2 * pi * hz / RATE;
    }
    size_t n = hear(NULL, 2 * RATE);
    for (size_t k = n / 4; k < n; k++) {
        double now_hz = 110 * exp2(30 * time_of(&reading[k]) / 1200);
        worst = fmax(worst, fabs(cents_off(&reading[k], now_hz)));
    }
    CHECK(worst < 3); /* a tenth of a second behind */
}

static void nothing_sounds_in_silence_and_in_hiss(void)
{
    be_silent(RATE);
    size_t n = hear(NULL, RATE), heard = 0;
    CHECK(n > 80);
    for (size_t k = 0; k < n; k++) {
        CHECK(!reading[k].voiced && reading[k].string == -1 && reading[k].notes == 0);
        CHECK(reading[k].level_dbfs <= -199);
    }
    for (int k = 0; k < RATE; k++)
        sound[k] = (float)(0.05 * noise());
    n = hear(NULL, RATE);
    for (size_t k = 0; k < n; k++)
        heard += reading[k].voiced;
    CHECK(heard < n / 4);
    CHECK_NEAR(reading[n - 1].level_dbfs, -26, 2);
}

static void a_note_that_ends_is_no_note_soon(void)
{
    be_silent(2 * RATE);
    add_tone(&(struct tone){.hz = 196, .level = 0.2}, 0, RATE);
    size_t n = hear(NULL, 2 * RATE);
    for (size_t k = 0; k < n; k++)
        if (time_of(&reading[k]) > 1.3)
            CHECK(!reading[k].voiced);
}

/* ---- What it is called -------------------------------------------------------------------------
 */

static void cents_follow_the_reference_and_the_clock(void)
{
    static const double references[] = {380, 415, 440, 443, 480};
    be_silent(RATE / 2);
    add_tone(&(struct tone){.hz = 196.3}, 0, RATE / 2);
    for (int i = 0; i < 5; i++)
        for (int ppm = -1000; ppm <= 1000; ppm += 500) {
            struct takt_tuner_cfg cfg = {.a4_hz = references[i], .clock_ppm = ppm};
            size_t n = hear(&cfg, RATE / 2);
            const struct takt_tuner_reading *r = &reading[n - 1];
            double hz = 196.3 * (1 + ppm * 1e-6);
            CHECK_NEAR(cents_off(r, hz), 0, 0.05);
            CHECK_NEAR(100 * (takt_note_at(hz, references[i]) - r->note), r->cents, 0.05);
            CHECK(fabs(r->cents) <= 50.1);
        }
}

static void the_nearest_string_is_named(void)
{
    const struct takt_tuning *guitar = takt_tuning_find("guitar");
    struct takt_tuner_cfg cfg = {.tuning = guitar};
    for (int s = 0; s < guitar->count; s++)
        for (int cents = -180; cents <= 180; cents += 180) {
            double hz = takt_note_hz(guitar->note[s] + cents / 100.0, 440);
            be_silent(RATE / 2);
            add_tone(&(struct tone){.hz = hz, .snr_db = 50}, 0, RATE / 2);
            size_t n = hear(&cfg, RATE / 2);
            CHECK_INT(reading[n - 1].string, s);
            CHECK_INT(reading[n - 1].note, guitar->note[s]);
            CHECK_NEAR(reading[n - 1].cents, cents, 0.1);
        }
}

/* ---- Frames ------------------------------------------------------------------------------------
 */

static void blocks_of_any_size_give_the_same(void)
{
    static struct takt_tuner_reading other[READINGS];
    be_silent(RATE);
    add_tone(&(struct tone){.hz = 98, .fall_s = 1, .snr_db = 40}, RATE / 10, RATE / 2);
    add_tone(&(struct tone){.hz = 147, .fall_s = 1, .snr_db = 40}, RATE * 6 / 10, RATE * 4 / 10);
    size_t n = hear(NULL, RATE);
    struct takt_tuner *t = open_tuner(NULL);
    for (int round = 0; round < 3; round++) {
        size_t at = 0, made = 0;
        uint64_t start = 1000000 * (uint64_t)round;
        while (at < RATE) {
            size_t block = round == 0 ? 64 : (size_t)between(1, 3000);
            block = block < RATE - at ? block : RATE - at;
            made +=
                takt_tuner_process(t, sound + at, block, start + at, other + made, READINGS - made);
            at += block;
        }
        CHECK_INT(made, n);
        for (size_t k = 0; k < n; k++) {
            other[k].position -= start;
            other[k].notes -= other[0].notes - reading[0].notes;
            if (k) /* the first was needed for all others */
                CHECK(other[k].f0_hz == reading[k].f0_hz &&
                      other[k].position == reading[k].position &&
                      other[k].sigma_cents == reading[k].sigma_cents);
        }
    }
    takt_tuner_destroy(t);
}

static void more_readings_than_there_is_room_for_stay_away(void)
{
    be_silent(RATE / 2);
    struct takt_tuner *t = open_tuner(NULL);
    CHECK_INT(takt_tuner_process(t, sound, RATE / 2, 0, reading, 3), 3);
    CHECK_INT(reading[2].position, 3 * takt_tuner_hop_frames(t));
    CHECK_INT(takt_tuner_process(t, sound, 0, RATE / 2, reading, 3), 0);
    takt_tuner_destroy(t);
}

static void what_is_no_number_is_silence(void)
{
    be_silent(RATE);
    add_tone(&(struct tone){.hz = 220}, 0, RATE);
    sound[RATE / 4] = NAN;
    sound[RATE / 4 + 9] = INFINITY;
    size_t n = hear(NULL, RATE);
    for (size_t k = 0; k < n; k++)
        CHECK(isfinite(reading[k].f0_hz) && isfinite(reading[k].cents) &&
              isfinite(reading[k].sigma_cents) && isfinite(reading[k].level_dbfs));
    CHECK_NEAR(cents_off(&reading[n - 1], 220), 0, 0.1);
}

static void settings_out_of_range_are_refused(void)
{
    static const struct takt_tuning none = {.count = 0}, many = {.count = TAKT_STRINGS_MAX + 1};
    const struct takt_tuner_cfg wrong[] = {
        {.rate_hz = 7999},          {.rate_hz = 192001}, {.a4_hz = 379.9},    {.a4_hz = 480.1},
        {.a4_hz = (double)NAN},     {.a4_hz = -440},     {.clock_ppm = 1001}, {.clock_ppm = -1001},
        {.clock_ppm = (double)NAN}, {.tuning = &none},   {.tuning = &many}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct takt_tuner *t = (struct takt_tuner *)sound;
        struct takt_error e = {.code = TAKT_OK};
        CHECK_INT(takt_tuner_create(&wrong[i], &t, &e), TAKT_ERR_ARG);
        CHECK(!t && *e.text);
    }
    takt_tuner_destroy(NULL);
}

static void no_failing_create_leaks(void)
{
    long before = fault_held();
    for (int n = 1;; n++) {
        struct takt_tuner *t;
        fault_at(n);
        int err = takt_tuner_create(&(struct takt_tuner_cfg){.rate_hz = RATE}, &t, NULL);
        bool happened = fault_happened();
        fault_at(0);
        if (!happened) {
            CHECK_INT(err, 0);
            takt_tuner_destroy(t);
            break;
        }
        CHECK_INT(err, TAKT_ERR_NOMEM);
        CHECK(!t);
        CHECK_INT(fault_held(), before);
    }
    CHECK_INT(fault_held(), before);
}

int main(void)
{
    RUN(steady_tones_are_told_within_a_tenth_of_a_cent_at_40_db);
    RUN(the_needle_stands_still_on_a_steady_tone);
    RUN(stretched_strings_are_told_with_their_stretch);
    RUN(plucks_that_die_away_are_told_as_long_as_they_sound);
    RUN(a_missing_first_partial_is_told_by_the_others);
    RUN(other_rates_are_as_true);
    RUN(errors_are_what_sigma_says);
    RUN(errors_are_near_the_bound);
    RUN(the_bound_is_that_of_rife_and_boorstyn);
    RUN(a_new_note_is_let_go_for_at_once);
    RUN(a_small_change_is_not_averaged_away);
    RUN(a_slow_glide_is_followed);
    RUN(nothing_sounds_in_silence_and_in_hiss);
    RUN(a_note_that_ends_is_no_note_soon);
    RUN(cents_follow_the_reference_and_the_clock);
    RUN(the_nearest_string_is_named);
    RUN(blocks_of_any_size_give_the_same);
    RUN(more_readings_than_there_is_room_for_stay_away);
    RUN(what_is_no_number_is_silence);
    RUN(settings_out_of_range_are_refused);
    RUN(no_failing_create_leaks);
    return tap_done();
}
