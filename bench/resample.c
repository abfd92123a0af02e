/*
 * The resampler beside others: how clean a sine stays, and what a frame costs.
 *
 * takt's two qualities and libsamplerate's three run in this process, with a ratio that moves in
 * every block of 256 frames, and take turns. zita-resampler is GPL, so it runs as a program
 * (zita-retune, 0.17 cents), and libsamplerate as sndfile-resample once more, so that there is one
 * figure that both ways give; their ratio is fixed, and their cost is CPU time with reading and
 * writing a file. Signal to noise: a sine and a constant are fitted to what came out, and all the
 * rest is noise. What is not installed is left out, and said.
 */
#include "takt/resample.h"
#include "bench.h"
#include "sine_fit.h"

#include <math.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef HAVE_SAMPLERATE
#include <samplerate.h>
#endif
#ifdef HAVE_SNDFILE
#include <sndfile.h>
#endif

enum { RATE_HZ = 48000, BLOCK = 256, BLOCKS = 300, SETTLE = 8, TURNS = 101, COST_BLOCKS = 40 };
static const double pi = 3.14159265358979323846;
static const double hertz[] = {1000, 10000, 18000};

/* The ratio that block b glides to. */
static double ratio_at(int b)
{
    return 1.0001 + 300e-6 * sin(b * 0.7);
}

/* ---- Engines in this process ----------------------------------------------------------------- */

struct engine {
    const char *name;
    int quality;
    bool is_ours;
    struct takt_resampler *ours;
    void *src;
    /* Where the next frame out lies in the input, but for a constant, and how far the next is. */
    double at, step, ratio;
    long long fed;
    double delay_frames;
};

static float in[2 * BLOCK], out[BLOCK];
static double sine_hz;

static void feed(struct engine *e, size_t frames)
{
    for (size_t i = 0; i < frames; i++, e->fed++)
        in[i] = (float)(0.5 * sin(2 * pi * sine_hz / RATE_HZ * (double)e->fed));
}

static void run_ours(struct engine *e, double ratio, double *angles)
{
    takt_resampler_set_ratio(e->ours, ratio);
    size_t need = takt_resampler_need(e->ours, BLOCK);
    double at = takt_resampler_position(e->ours), then = 1 / ratio;
    if (angles)
        feed(e, need);
    takt_resampler_process(e->ours, (const float *[]){in}, need, (float *[]){out}, BLOCK);
    for (int i = 0; angles && i < BLOCK; i++) {
        angles[i] = at;
        at += e->step + (then - e->step) / BLOCK * i;
    }
    e->step = then;
}

#ifdef HAVE_SAMPLERATE
/* It asks for input as it goes; one frame less than it may need is kept back for the next time. */
static void run_src(struct engine *e, double ratio, double *angles)
{
    static float kept[4 * BLOCK];
    static size_t keeps;
    if (e->fed == 0)
        keeps = 0;
    size_t want = 2 * BLOCK;
    if (angles && keeps < want) {
        size_t more = want - keeps < 2 * BLOCK ? want - keeps : 2 * BLOCK;
        feed(e, more);
        memcpy(kept + keeps, in, more * sizeof *in);
        keeps += more;
    }
    SRC_DATA d = {.data_in = angles ? kept : in,
                  .data_out = out,
                  .input_frames = (long)want,
                  .output_frames = BLOCK,
                  .src_ratio = ratio};
    src_process(e->src, &d);
    if (angles) {
        keeps -= (size_t)d.input_frames_used;
        memmove(kept, kept + d.input_frames_used, keeps * sizeof *kept);
        if (d.output_frames_gen != BLOCK)
            fprintf(stderr, "libsamplerate gave %ld frames\n", d.output_frames_gen);
    }
    for (int i = 0; angles && i < BLOCK; i++) {
        angles[i] = e->at;
        e->at += 1 / (e->ratio + (ratio - e->ratio) * i / BLOCK);
    }
    e->ratio += (ratio - e->ratio) * (BLOCK - 1) / BLOCK; /* it goes on from its last frame's */
}
#endif

static void run(struct engine *e, double ratio, double *angles)
{
#ifdef HAVE_SAMPLERATE
    if (!e->is_ours) {
        run_src(e, ratio, angles);
        return;
    }
#endif
    run_ours(e, ratio, angles);
}

static int reset(struct engine *e)
{
    struct takt_error error;
    struct takt_resampler_cfg cfg = {.quality = (enum takt_resample_quality)e->quality,
                                     .ratio = ratio_at(0),
                                     .frames_max = BLOCK};
    e->at = 0;
    e->fed = 0;
    e->ratio = ratio_at(0);
    e->step = 1 / e->ratio;
    if (e->is_ours) {
        takt_resampler_destroy(e->ours);
        if (takt_resampler_create(&cfg, &e->ours, &error) < 0)
            return takt_die(&error);
        e->delay_frames = takt_resampler_delay_frames(e->ours);
        return 0;
    }
#ifdef HAVE_SAMPLERATE
    int err = 0;
    if (e->src)
        src_delete(e->src);
    e->src = src_new(e->quality, 1, &err);
    if (e->src)
        src_set_ratio(e->src, e->ratio);
    return err;
#else
    return 1;
#endif
}

static double snr_db(struct engine *e, double hz)
{
    struct sine_fit fit = {0};
    double angles[BLOCK];
    sine_hz = hz;
    if (reset(e))
        return 0;
    for (int b = 0; b < BLOCKS; b++) {
        run(e, ratio_at(b), angles);
        for (int i = 0; b >= SETTLE && i < BLOCK; i++)
            sine_fit_add(&fit, 2 * pi * hz / RATE_HZ * angles[i], (double)out[i]);
    }
    return sine_fit_snr_db(&fit);
}

static double cost_ns(struct engine *e)
{
    int64_t before = bench_now_ns();
    for (int b = 0; b < COST_BLOCKS; b++)
        run(e, ratio_at(b), NULL);
    return (double)(bench_now_ns() - before) / (COST_BLOCKS * BLOCK);
}

/* ---- Programs -------------------------------------------------------------------------------- */

#ifdef HAVE_SNDFILE

enum { FILE_SECONDS = 60, FILE_FRAMES = FILE_SECONDS * RATE_HZ };
static float file[FILE_FRAMES + RATE_HZ];

static bool write_sine(const char *path, double hz)
{
    SF_INFO info = {
        .samplerate = RATE_HZ, .channels = 1, .format = SF_FORMAT_WAV | SF_FORMAT_FLOAT};
    SNDFILE *f = sf_open(path, SFM_WRITE, &info);
    for (int i = 0; i < FILE_FRAMES; i++)
        file[i] = (float)(0.5 * sin(2 * pi * hz / RATE_HZ * i));
    bool is_well = f && sf_write_float(f, file, FILE_FRAMES) == FILE_FRAMES;
    return f && sf_close(f) == 0 && is_well;
}

static sf_count_t read_back(const char *path)
{
    SF_INFO info = {0};
    SNDFILE *f = sf_open(path, SFM_READ, &info);
    sf_count_t n = f ? sf_read_float(f, file, FILE_FRAMES + RATE_HZ) : 0;
    if (f)
        sf_close(f);
    return n;
}

static double snr_at(double radians, sf_count_t frames)
{
    struct sine_fit fit = {0};
    for (sf_count_t i = frames / 4; i < frames / 4 + 65536; i++)
        sine_fit_add(&fit, radians * (double)i, (double)file[i]);
    return sine_fit_snr_db(&fit);
}

/* The program's ratio is known only roughly; the best fit has it (golden section). */
static double best_snr_db(double hz, double ratio, sf_count_t frames)
{
    double middle = 2 * pi * hz / RATE_HZ / ratio, low = middle * (1 - 2e-6),
           high = middle * (1 + 2e-6), g = (sqrt(5) - 1) / 2;
    for (int i = 0; i < 50; i++) {
        double a = high - g * (high - low), b = low + g * (high - low);
        if (snr_at(a, frames) > snr_at(b, frames))
            high = b;
        else
            low = a;
    }
    return snr_at((low + high) / 2, frames);
}

/* CPU seconds, or negative. */
static double spend(const char *const *arguments)
{
    extern char **environ;
    pid_t child;
    int status;
    struct rusage used;
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", 1 /* O_WRONLY */, 0);
    posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", 1, 0);
    int err = posix_spawnp(&child, arguments[0], &quiet, NULL, (char *const *)arguments, environ);
    posix_spawn_file_actions_destroy(&quiet);
    if (err || wait4(child, &status, 0, &used) != child || status)
        return -1;
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

/* to: where the ratio is to be filled in among the arguments. */
static void print_program(const char *name, const char *const *arguments, double ratio,
                          const char *from, const char *to)
{
    double snr[3], least = 0;
    for (int k = 0; k < 3; k++) {
        double seconds = write_sine(from, hertz[k]) ? spend(arguments) : -1;
        sf_count_t frames = seconds < 0 ? 0 : read_back(to);
        unlink(to);
        if (frames < FILE_FRAMES / 2) {
            fprintf(stderr, "resample: %s is not installed, and left out\n", arguments[0]);
            return;
        }
        snr[k] = best_snr_db(hertz[k], ratio, frames);
        least = k == 0 || seconds < least ? seconds : least;
    }
    printf(
        "{\"bench\":\"resample\",\"engine\":\"%s\",\"ratio\":\"fixed\",\"snr_db\":{\"1000\":%.1f,"
        "\"10000\":%.1f,\"18000\":%.1f},\"cpu_ns_a_frame_with_files\":%.1f}\n",
        name, snr[0], snr[1], snr[2], least * 1e9 / FILE_FRAMES);
}

static void print_programs(void)
{
    char folder[] = "/tmp/takt-bench-XXXXXX", from[64], to[64];
    if (!mkdtemp(folder))
        return;
    snprintf(from, sizeof from, "%s/in.wav", folder);
    snprintf(to, sizeof to, "%s/out.wav", folder);
    const double cents = 0.17;
    print_program("zita-retune",
                  (const char *[]){"zita-retune", "--float", "--cent", "-0.17", from, to, NULL},
                  exp2(cents / 1200), from, to);
    print_program("sndfile-resample -c 1 (libsamplerate medium)",
                  (const char *[]){"sndfile-resample", "--no-normalize", "-by", "1.0001", "-c", "1",
                                   from, to, NULL},
                  1.0001, from, to);
    unlink(from);
    rmdir(folder);
}
#endif

/* ---- All of it ------------------------------------------------------------------------------- */

int main(void)
{
    static struct engine engines[] = {
        {.name = "takt standard", .quality = TAKT_RESAMPLE_STANDARD, .is_ours = true},
        {.name = "takt best", .quality = TAKT_RESAMPLE_BEST, .is_ours = true},
#ifdef HAVE_SAMPLERATE
        {.name = "libsamplerate fastest", .quality = SRC_SINC_FASTEST},
        {.name = "libsamplerate medium", .quality = SRC_SINC_MEDIUM_QUALITY},
        {.name = "libsamplerate best", .quality = SRC_SINC_BEST_QUALITY},
#endif
    };
    enum { COUNT = sizeof engines / sizeof *engines, MEDIUM = 3 };
    static double cost[COUNT][TURNS], to_medium[COUNT][TURNS];
    long long steal = bench_steal_ticks();
    for (int k = 0; k < COUNT; k++)
        if (reset(&engines[k])) {
            fprintf(stderr, "resample: no %s\n", engines[k].name);
            return 1;
        }
    for (int t = 0; t < TURNS; t++) {
        for (int k = 0; k < COUNT; k++)
            cost[k][t] = cost_ns(&engines[k]);
        for (int k = 0; k < COUNT; k++)
            to_medium[k][t] = COUNT > MEDIUM ? cost[k][t] / cost[MEDIUM][t] : 0;
    }
    steal = bench_steal_ticks() - steal;
    for (int k = 0; k < COUNT; k++) {
        printf("{\"bench\":\"resample\",\"engine\":\"%s\",\"ratio\":\"moves in every block\","
               "\"snr_db\":{",
               engines[k].name);
        for (int i = 0; i < 3; i++)
            printf("%s\"%.0f\":%.1f", i ? "," : "", hertz[i], snr_db(&engines[k], hertz[i]));
        printf("},\"ns_a_frame\":%.1f", bench_median(cost[k], TURNS));
        if (COUNT > MEDIUM)
            printf(",\"to_libsamplerate_medium\":%.3f", bench_median(to_medium[k], TURNS));
        if (engines[k].is_ours)
            printf(",\"delay_frames\":%.0f", engines[k].delay_frames);
        printf(",\"steal_ticks\":%lld}\n", steal);
    }
#ifdef HAVE_SNDFILE
    print_programs();
#endif
    return 0;
}
