/* takt_spectrum with sines and noise of which everything is known. */

#include "takt/spectrum.h"

#include "base/random.h"
#include "fault.h"
#include "tap.h"

#include <math.h>
#include <string.h>

enum { SIZE_LEAST = 64, SIZE_MOST = 65536 };
static const double pi = 3.14159265358979323846;

static struct takt_random chance = {1};
static float sound[2 * SIZE_MOST], array[SIZE_MOST];

static double between(double low, double high)
{
    return low + (high - low) * takt_random_unit(&chance);
}

static struct takt_spectrum *open_spectrum(struct takt_spectrum_cfg cfg)
{
    struct takt_spectrum *s = NULL;
    takt_spectrum_create(&cfg, &s, NULL);
    return s;
}

static void add_sine(size_t size, double amplitude, double bin, double phase)
{
    for (size_t i = 0; i < size; i++)
        sound[i] +=
            (float)(amplitude * sin(phase + 2 * pi * fmod(bin * (double)i / (double)size, 1)));
}

static void clear_sound(void)
{
    memset(sound, 0, sizeof sound);
}

static double db(double power)
{
    return 10 * log10(fmax(power, 1e-20));
}

/* ---- Calibration ------------------------------------------------------------------------------
 */

/* A sine of any amplitude in the middle of a bin reads as much there, with every taper, at every
 * size. */
static void spectrum_reads_a_sine_alike_with_every_taper_and_size(void)
{
    for (int kind = 0; takt_taper_name((enum takt_taper)kind); kind++)
        for (size_t size = SIZE_LEAST; size <= SIZE_MOST; size *= 2) {
            struct takt_spectrum *s = open_spectrum(
                (struct takt_spectrum_cfg){.size = size, .taper.kind = (enum takt_taper)kind});
            for (int round = 0; round < 4; round++) {
                size_t bin = 8 + (size_t)between(0, (double)size / 2 - 16);
                double amplitude = round ? pow(10, between(-4, 0)) : 1;
                clear_sound();
                add_sine(size, amplitude, (double)bin, between(0, 6));
                takt_spectrum_process(s, sound, (uint64_t)round + 1);
                CHECK_NEAR(db((double)takt_spectrum_power(s)[bin]), 20 * log10(amplitude), 0.002);
            }
            takt_spectrum_destroy(s);
        }
}

/* A constant of 1, and the fastest sound there is, are 0 dBFS, too. */
static void spectrum_reads_both_ends_alike(void)
{
    for (int kind = 0; takt_taper_name((enum takt_taper)kind); kind++) {
        struct takt_spectrum *s = open_spectrum(
            (struct takt_spectrum_cfg){.size = 256, .taper.kind = (enum takt_taper)kind});
        for (int i = 0; i < 256; i++)
            sound[i] = -1;
        takt_spectrum_process(s, sound, 0);
        CHECK_NEAR(db((double)takt_spectrum_power(s)[0]), 0, 1e-4);
        for (int i = 0; i < 256; i++)
            sound[i] = i & 1 ? -1 : 1;
        takt_spectrum_process(s, sound, 0);
        CHECK_NEAR(db((double)takt_spectrum_power(s)[128]), 0, 1e-4);
        takt_spectrum_destroy(s);
    }
}

/* Density adds up to the mean square, with every taper. */
static void spectrum_density_of_noise_adds_up_to_its_mean_square(void)
{
    enum { SIZE = 1024, WINDOWS = 200 };
    for (int kind = 0; takt_taper_name((enum takt_taper)kind); kind++) {
        struct takt_spectrum *s =
            open_spectrum((struct takt_spectrum_cfg){.size = SIZE,
                                                     .rate_hz = 44100,
                                                     .taper.kind = (enum takt_taper)kind,
                                                     .average = TAKT_SPECTRUM_MEAN});
        for (uint64_t w = 0; w < WINDOWS; w++) {
            for (int i = 0; i < SIZE; i++)
                sound[i] = (float)between(-0.5, 0.5);
            takt_spectrum_process(s, sound, w * SIZE);
        }
        double sum = 0;
        takt_spectrum_density(s, takt_spectrum_power(s), array);
        for (size_t k = 0; k < takt_spectrum_bins(s); k++)
            sum += (double)array[k] * 44100 / SIZE;
        CHECK_NEAR(sum * 12, 1, 0.02);
        takt_spectrum_destroy(s);
    }
}

/* ---- Peaks ------------------------------------------------------------------------------------
 */

struct bound {
    double bins, level_db;
};

static struct bound bound_of(int kind)
{
    if (kind == TAKT_TAPER_RECT)
        return (struct bound){0.1, 0.2};
    if (kind == TAKT_TAPER_HAMMING || kind == TAKT_TAPER_FLAT_TOP || kind == TAKT_TAPER_GAUSS)
        return (struct bound){0.005, 0.02};
    return (struct bound){0.001, 0.005};
}

/* A sine anywhere comes out within what the header says. */
static void spectrum_finds_a_sine_within_its_bounds(void)
{
    for (int kind = 0; takt_taper_name((enum takt_taper)kind); kind++) {
        struct bound worst = {0}, most = bound_of(kind);
        for (size_t size = SIZE_LEAST; size <= SIZE_MOST; size *= 2) {
            struct takt_spectrum *s = open_spectrum(
                (struct takt_spectrum_cfg){.size = size, .taper.kind = (enum takt_taper)kind});
            int rounds = ROUNDS(size > 4096 ? 10 : 60);
            for (int round = 0; round < rounds; round++) {
                struct takt_spectrum_peak peak;
                double bin = between(6, (double)size / 2 - 6), dbfs = between(-40, 0);
                clear_sound();
                add_sine(size, pow(10, dbfs / 20), bin, between(0, 6));
                takt_spectrum_process(s, sound, (uint64_t)round + 1);
                CHECK_INT(takt_spectrum_peaks(s, takt_spectrum_power(s),
                                              &(struct takt_spectrum_peaks_cfg){0}, &peak, 1),
                          1);
                CHECK_NEAR(peak.hz, takt_spectrum_hz(s, peak.bin), 1e-9);
                worst.bins = fmax(worst.bins, fabs(peak.bin - bin));
                worst.level_db = fmax(worst.level_db, fabs(peak.dbfs - dbfs));
            }
            takt_spectrum_destroy(s);
        }
        printf("# %s: within %.5f bins and %.5f dB\n", takt_taper_name((enum takt_taper)kind),
               worst.bins, worst.level_db);
        CHECK(worst.bins <= most.bins && worst.level_db <= most.level_db);
    }
}

/* Several sines far from each other come out in the order of their levels, and nothing that leaks
 * from them does. */
static void spectrum_finds_each_sine_and_no_side_lobe(void)
{
    enum { SIZE = 4096, TONES = 5 };
    static const double levels[TONES] = {-3, -11, -20, -31, -40};
    for (int kind = 0; takt_taper_name((enum takt_taper)kind); kind++) {
        if (kind == TAKT_TAPER_RECT) /* whose side lobes hide the lowest */
            continue;
        struct takt_spectrum *s = open_spectrum(
            (struct takt_spectrum_cfg){.size = SIZE, .taper.kind = (enum takt_taper)kind});
        for (int round = 0; round < ROUNDS(40); round++) {
            struct takt_spectrum_peak peaks[16];
            double bins[TONES];
            clear_sound();
            for (int i = 0; i < TONES; i++) {
                bins[i] = 60 + 350 * ((i * 2 + round) % TONES) + between(0, 200);
                add_sine(SIZE, pow(10, levels[i] / 20), bins[i], between(0, 6));
            }
            takt_spectrum_process(s, sound, (uint64_t)round + 1);
            size_t n = takt_spectrum_peaks(s, takt_spectrum_power(s),
                                           &(struct takt_spectrum_peaks_cfg){0}, peaks, 16);
            CHECK_INT(n, TONES);
            for (int i = 0; i < TONES; i++) {
                CHECK_NEAR(peaks[i].bin, bins[i], 0.05);
                CHECK_NEAR(peaks[i].dbfs, levels[i], 0.3);
            }
        }
        takt_spectrum_destroy(s);
    }
}

static void spectrum_peaks_keep_to_what_was_asked(void)
{
    enum { SIZE = 2048 };
    struct takt_spectrum *s =
        open_spectrum((struct takt_spectrum_cfg){.taper.kind = TAKT_TAPER_BLACKMAN});
    struct takt_spectrum_peak peaks[TAKT_SPECTRUM_PEAKS_MOST + 1];
    clear_sound();
    for (int i = 0; i < 90; i++)
        add_sine(SIZE, pow(10, -i / 20.0), 12 + 11 * i, i);
    takt_spectrum_process(s, sound, 0);
    const float *power = takt_spectrum_power(s);
    CHECK_INT(takt_spectrum_peaks(s, power, &(struct takt_spectrum_peaks_cfg){0}, peaks, 0), 0);
    CHECK_INT(takt_spectrum_peaks(s, power, &(struct takt_spectrum_peaks_cfg){0}, peaks, 3), 3);
    CHECK_INT(takt_spectrum_peaks(s, power, &(struct takt_spectrum_peaks_cfg){.range_db = 20.5},
                                  peaks, 65),
              21);
    CHECK_INT(takt_spectrum_peaks(s, power, &(struct takt_spectrum_peaks_cfg){.floor_dbfs = -30.5},
                                  peaks, 65),
              31);
    CHECK_INT(takt_spectrum_peaks(s, power, &(struct takt_spectrum_peaks_cfg){.range_db = 100},
                                  peaks, 65),
              TAKT_SPECTRUM_PEAKS_MOST);
    struct takt_spectrum_peaks_cfg some = {.low_hz = takt_spectrum_hz(s, 20),
                                           .high_hz = takt_spectrum_hz(s, 50)};
    size_t n = takt_spectrum_peaks(s, power, &some, peaks, 65);
    CHECK_INT(n, 3);
    for (size_t i = 0; i < n; i++)
        CHECK(peaks[i].hz >= some.low_hz && peaks[i].hz <= some.high_hz);
    takt_spectrum_destroy(s);
}

/* Peaks of anything are inside, sorted, and finite. */
static void spectrum_peaks_of_noise_are_in_order(void)
{
    for (size_t size = SIZE_LEAST; size <= 4096; size *= 2) {
        struct takt_spectrum *s = open_spectrum((struct takt_spectrum_cfg){.size = size});
        for (int round = 0; round < ROUNDS(50); round++) {
            struct takt_spectrum_peak peaks[64];
            for (size_t i = 0; i < size; i++)
                sound[i] = (float)between(-1, 1);
            takt_spectrum_process(s, sound, (uint64_t)round + 1);
            size_t n = takt_spectrum_peaks(s, takt_spectrum_power(s),
                                           &(struct takt_spectrum_peaks_cfg){0}, peaks, 64);
            for (size_t i = 0; i < n; i++) {
                CHECK(peaks[i].bin > 0 && peaks[i].bin < (double)size / 2);
                CHECK(isfinite(peaks[i].dbfs) && (!i || peaks[i].dbfs <= peaks[i - 1].dbfs));
            }
        }
        takt_spectrum_destroy(s);
    }
}

/* Two tops of one height with a shallow dip between them both stand out of what falls outside, and
 * neither does where it does not fall on one side; whoever else is near. */
static void spectrum_peaks_have_fallen_on_both_sides(void)
{
    enum { BINS = 129 };
    static float power[BINS];
    struct takt_spectrum_peak peaks[8];
    struct takt_spectrum *s = open_spectrum((struct takt_spectrum_cfg){.size = 256});
    CHECK(s);
    for (int valley = 0; valley < 4; valley++) {
        bool left = valley & 1, right = valley & 2;
        for (int k = 0; k < BINS; k++)
            power[k] = 0.5f + 0.001f * (float)(k % 2);
        power[50] = power[80] = 1;
        power[20] = left ? 0.2f : 0.5f;
        power[110] = right ? 0.2f : 0.5f;
        size_t n = takt_spectrum_peaks(s, power, &(struct takt_spectrum_peaks_cfg){0}, peaks, 8);
        CHECK_INT(n, left && right ? 2 : 0);
        if (n) {
            CHECK_NEAR(peaks[0].bin + peaks[1].bin, 130, 0.1);
            CHECK_NEAR(fabs(peaks[0].bin - peaks[1].bin), 30, 0.1);
        }
    }
    takt_spectrum_destroy(s);
}

/* ---- Averages ---------------------------------------------------------------------------------
 */

static void process_level(struct takt_spectrum *s, double amplitude, uint64_t position)
{
    clear_sound();
    add_sine(256, amplitude, 32, 0);
    takt_spectrum_process(s, sound, position);
}

static double level(const struct takt_spectrum *s)
{
    return (double)takt_spectrum_power(s)[32];
}

static struct takt_spectrum *averaging(enum takt_spectrum_average kind, double fall_db_s)
{
    return open_spectrum((struct takt_spectrum_cfg){
        .size = 256, .average = kind, .average_s = 0.5, .fall_db_s = fall_db_s});
}

static void spectrum_averages_as_asked(void)
{
    struct takt_spectrum *latest = averaging(TAKT_SPECTRUM_LATEST, 0),
                         *fading = averaging(TAKT_SPECTRUM_FADING, 0),
                         *mean = averaging(TAKT_SPECTRUM_MEAN, 0),
                         *most = averaging(TAKT_SPECTRUM_MAX, 0),
                         *falling = averaging(TAKT_SPECTRUM_MAX, 12);
    struct takt_spectrum *all[] = {latest, fading, mean, most, falling};
    for (int i = 0; i < 5; i++) {
        process_level(all[i], 1, 0);
        CHECK_NEAR(level(all[i]), 1, 1e-4);
        process_level(all[i], 0, 24000); /* half a second later */
        process_level(all[i], 0.01, 48000);
        CHECK_NEAR(takt_spectrum_latest(all[i])[32], 1e-4, 1e-7);
    }
    CHECK_NEAR(level(latest), 1e-4, 1e-7);
    CHECK_NEAR(level(fading), exp(-2) + 1e-4 * (1 - exp(-1)), 1e-4);
    CHECK_NEAR(level(mean), (1 + 1e-4) / 3, 1e-4);
    CHECK_NEAR(level(most), 1, 1e-4);
    CHECK_NEAR(db(level(falling)), -12, 1e-3);
    for (int i = 0; i < 5; i++) {
        process_level(all[i], 0.1, 1000); /* a stream that began anew */
        CHECK_NEAR(level(all[i]), 0.01, 1e-5);
        takt_spectrum_reset(all[i]);
        CHECK(level(all[i]) == 0);
        process_level(all[i], 0.1, 2000);
        CHECK_NEAR(level(all[i]), 0.01, 1e-5);
        takt_spectrum_destroy(all[i]);
    }
}

/* Nothing is left of the stream before, however loud it was. */
static void spectrum_of_a_stream_begun_anew_is_as_the_first(void)
{
    for (int kind = 0; kind < 4; kind++) {
        struct takt_spectrum *fresh = averaging((enum takt_spectrum_average)kind, 0),
                             *used = averaging((enum takt_spectrum_average)kind, 0);
        process_level(used, 1, 9000);
        process_level(used, 1e-4, 9000);
        process_level(fresh, 1e-4, 9000);
        for (size_t k = 0; k < takt_spectrum_bins(fresh); k++)
            CHECK(takt_spectrum_power(used)[k] == takt_spectrum_power(fresh)[k]);
        takt_spectrum_destroy(fresh);
        takt_spectrum_destroy(used);
    }
}

static void spectrum_shows_the_loudest_channel(void)
{
    enum { SIZE = 512, CHANNELS = 2 };
    static float x[SIZE * CHANNELS];
    struct takt_spectrum *s =
        open_spectrum((struct takt_spectrum_cfg){.size = SIZE, .channels = CHANNELS});
    for (int i = 0; i < SIZE; i++) {
        x[2 * i] = (float)(sin(2 * pi * 40 / SIZE * i) + 0.01 * sin(2 * pi * 80 / SIZE * i));
        x[2 * i + 1] =
            (float)-(0.5 * sin(2 * pi * 40 / SIZE * i) + 0.1 * sin(2 * pi * 80 / SIZE * i));
    }
    takt_spectrum_process(s, x, 0);
    CHECK_NEAR(db((double)takt_spectrum_power(s)[40]), 0, 0.001);
    CHECK_NEAR(db((double)takt_spectrum_power(s)[80]), -20, 0.001);
    takt_spectrum_destroy(s);
}

static void spectrum_stays_finite_whatever_comes(void)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-40f};
    struct takt_spectrum_peak peaks[8];
    for (int kind = 0; kind < 4; kind++) {
        struct takt_spectrum *s = open_spectrum((struct takt_spectrum_cfg){
            .size = SIZE_MOST, .average = (enum takt_spectrum_average)kind});
        for (size_t i = 0; i < SIZE_MOST; i++)
            sound[i] = bad[takt_random_below(&chance, 6)];
        takt_spectrum_process(s, sound, 0);
        for (size_t k = 0; k < takt_spectrum_bins(s); k++)
            CHECK(isfinite(takt_spectrum_power(s)[k]) && takt_spectrum_power(s)[k] >= 0);
        takt_spectrum_peaks(s, takt_spectrum_power(s), &(struct takt_spectrum_peaks_cfg){0}, peaks,
                            8);
        takt_spectrum_columns(s, takt_spectrum_power(s),
                              &(struct takt_spectrum_axis){20, 24000, true}, array, 300);
        for (int i = 0; i < 300; i++)
            CHECK(isfinite(array[i]));
        takt_spectrum_destroy(s);
    }
}

/* ---- Columns ----------------------------------------------------------------------------------
 */

/* Every bin's level is in the column that holds its frequency, whatever the axis; and a column is
 * never above the bins in and around it. */
static void spectrum_columns_lose_no_peak(void)
{
    struct takt_spectrum *s = open_spectrum((struct takt_spectrum_cfg){.size = 1024});
    size_t bins = takt_spectrum_bins(s);
    for (int round = 0; round < ROUNDS(300); round++) {
        static float power[SIZE_MOST];
        size_t columns = 1 + (size_t)between(0, 700);
        struct takt_spectrum_axis axis = {.is_log = round & 1};
        axis.low_hz = axis.is_log ? between(1, 500) : between(0, 500);
        axis.high_hz = axis.low_hz + between(10, 24000 - axis.low_hz);
        float most = 0;
        for (size_t k = 0; k < bins; k++) {
            double hz = takt_spectrum_hz(s, (double)k);
            power[k] = (float)pow(10, between(-10, 0));
            if (hz >= axis.low_hz && hz <= axis.high_hz)
                most = fmaxf(most, power[k]);
        }
        takt_spectrum_columns(s, power, &axis, array, columns);
        float highest = -300;
        for (size_t i = 0; i < columns; i++)
            highest = fmaxf(highest, array[i]);
        if (most > 0)
            CHECK(highest >= (float)db((double)most) - 0.001f);
        for (size_t k = 0; k < bins; k++) {
            double hz = takt_spectrum_hz(s, (double)k), share;
            share = axis.is_log ? log(hz / axis.low_hz) / log(axis.high_hz / axis.low_hz)
                                : (hz - axis.low_hz) / (axis.high_hz - axis.low_hz);
            double at = share * (double)columns;
            if (hz < axis.low_hz || hz > axis.high_hz || fabs(at - floor(at + 0.5)) < 1e-6)
                continue;
            CHECK((double)array[(size_t)at] >= db((double)power[k]) - 0.001);
        }
    }
    takt_spectrum_destroy(s);
}

/* Between two bins a wide picture goes straight from one to the other. */
static void spectrum_columns_fill_what_lies_between_bins(void)
{
    struct takt_spectrum *s = open_spectrum((struct takt_spectrum_cfg){.size = 64});
    float power[33] = {0};
    power[2] = 1e-2f;
    power[3] = 1e-6f;
    struct takt_spectrum_axis axis = {takt_spectrum_hz(s, 2), takt_spectrum_hz(s, 3), false};
    takt_spectrum_columns(s, power, &axis, array, 41);
    for (int i = 1; i < 40; i++)
        CHECK_NEAR(array[i], -20 - 40 * (i + 0.5) / 41, 0.01);
    takt_spectrum_columns(s, power, &(struct takt_spectrum_axis){25000, 26000, true}, array, 5);
    for (int i = 0; i < 5; i++)
        CHECK_NEAR(array[i], -200, 1e-6);
    takt_spectrum_destroy(s);
}

/* ---- Life -------------------------------------------------------------------------------------
 */

static void spectrum_create_refuses_what_is_out_of_range(void)
{
    static const struct takt_spectrum_cfg wrong[] = {
        {.size = 32},
        {.size = 1000},
        {.size = 131072},
        {.channels = 65},
        {.average = (enum takt_spectrum_average)4},
        {.average_s = -1},
        {.average_s = (double)NAN},
        {.fall_db_s = -1},
        {.taper.kind = (enum takt_taper)77},
        {.taper = {.kind = TAKT_TAPER_KAISER, .shape = -1}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct takt_spectrum *s = (void *)&s;
        struct takt_error e = {0};
        CHECK_INT(takt_spectrum_create(&wrong[i], &s, &e), TAKT_ERR_ARG);
        CHECK(!s && e.text[0]);
    }
    takt_spectrum_destroy(NULL);
}

static void spectrum_create_gives_back_what_it_took_when_memory_ends(void)
{
    for (int n = 1;; n++) {
        struct takt_spectrum *s;
        long before = fault_held();
        fault_at(n);
        int code = takt_spectrum_create(&(struct takt_spectrum_cfg){.average = TAKT_SPECTRUM_MEAN},
                                        &s, NULL);
        bool happened = fault_happened();
        fault_at(0);
        takt_spectrum_destroy(s);
        CHECK_INT(fault_held(), before);
        if (!happened) {
            CHECK(n > 6 && code == 0);
            return;
        }
        CHECK_INT(code, TAKT_ERR_NOMEM);
    }
}

int main(void)
{
    RUN(spectrum_reads_a_sine_alike_with_every_taper_and_size);
    RUN(spectrum_reads_both_ends_alike);
    RUN(spectrum_density_of_noise_adds_up_to_its_mean_square);
    RUN(spectrum_finds_a_sine_within_its_bounds);
    RUN(spectrum_finds_each_sine_and_no_side_lobe);
    RUN(spectrum_peaks_keep_to_what_was_asked);
    RUN(spectrum_peaks_of_noise_are_in_order);
    RUN(spectrum_peaks_have_fallen_on_both_sides);
    RUN(spectrum_averages_as_asked);
    RUN(spectrum_of_a_stream_begun_anew_is_as_the_first);
    RUN(spectrum_shows_the_loudest_channel);
    RUN(spectrum_stays_finite_whatever_comes);
    RUN(spectrum_columns_lose_no_peak);
    RUN(spectrum_columns_fill_what_lies_between_bins);
    RUN(spectrum_create_refuses_what_is_out_of_range);
    RUN(spectrum_create_gives_back_what_it_took_when_memory_ends);
    return tap_done();
}
