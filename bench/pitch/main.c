/*
 * bench/pitch - takt's pitch beside aubio's methods and praat's, over one corpus and one scorer.
 *
 *     bench-pitch                      the hold-out corpus, all peers that are installed
 *     bench-pitch --seed 1 --no-peers  another corpus, takt alone
 *
 * A table goes to stderr and JSON lines to stdout. Peers run as programs, on a file.
 *
 * How it is scored: an estimate that was ready at t is held against the truth at t - delay, with
 * the one delay that suits that detector best over all clips: its effective delay. RPA50 and RPA10:
 * of all voiced hops, those whose best guess, voiced or not, is within 50 or 10 cents. Octave
 * errors: those within 50 cents of another octave. Overall: voiced and within 50 cents, or unvoiced
 * and said to be. False alarm: unvoiced hops said to be voiced. Each clip counts alike.
 */
#include "corpus.h"

#include "bench.h"
#include "takt/pitch.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { HOP = 256, SHIFTS = 90, GROUPS = 16, PAUSE = RATE / 4 };

struct estimate {
    size_t at; /* frames of the clip that had been heard */
    float raw, hz, confidence;
};

struct track {
    struct estimate *e;
    int count;
};

struct figures {
    double rpa50, rpa10, octave, overall, false_alarm, recall;
    int clips, noisy; /* noisy: how many had unvoiced hops */
};

struct detector {
    char name[40];
    struct track track[CLIPS];
    double us; /* a hop */
    int shift; /* of GRID frames */
    struct figures all, group[GROUPS];
    double onset_median_ms, bass_p90_ms;
};

static const char *groups[GROUPS];
static int group_count;

static int group_of(const char *name)
{
    for (int g = 0; g < group_count; g++)
        if (strcmp(groups[g], name) == 0)
            return g;
    groups[group_count] = name;
    return group_count++;
}

static double cents(double a, double b)
{
    return a > 0 && b > 0 ? 1200 * log2(a / b) : 1e9;
}

static struct figures score_clip(const struct clip *k, const struct track *t, int shift)
{
    struct figures f = {0};
    double voiced = 0, unvoiced = 0, right = 0;
    for (int i = 0; i < t->count; i++) {
        long g = (long)(t->e[i].at / GRID) - shift;
        if (g < 0 || (size_t)g >= k->frames / GRID)
            continue;
        double truth = (double)k->truth[g];
        if (isnan(truth))
            continue;
        if (truth > 0) {
            double c = cents((double)t->e[i].raw, truth);
            voiced++;
            f.rpa50 += fabs(c) < 50;
            f.rpa10 += fabs(c) < 10;
            f.octave += fabs(c) > 600 && fabs(c) < 6000 && fabs(c - 1200 * round(c / 1200)) < 50;
            bool hit = fabs(cents((double)t->e[i].hz, truth)) < 50;
            f.recall += hit;
            right += hit;
        } else {
            unvoiced++;
            f.false_alarm += t->e[i].hz > 0;
            right += t->e[i].hz <= 0;
        }
    }
    if (voiced > 0) {
        f.rpa50 /= voiced, f.rpa10 /= voiced, f.octave /= voiced, f.recall /= voiced;
        f.clips = 1;
    }
    if (unvoiced > 0) {
        f.false_alarm /= unvoiced;
        f.noisy = 1;
    }
    f.overall = voiced + unvoiced > 0 ? right / (voiced + unvoiced) : 0;
    return f;
}

static void add(struct figures *sum, const struct figures *f)
{
    sum->rpa50 += f->rpa50, sum->rpa10 += f->rpa10, sum->octave += f->octave;
    sum->overall += f->overall, sum->recall += f->recall, sum->false_alarm += f->false_alarm;
    sum->clips += f->clips, sum->noisy += f->noisy;
}

static void divide(struct figures *f)
{
    double n = f->clips ? f->clips : 1;
    f->rpa50 *= 100 / n, f->rpa10 *= 100 / n, f->octave *= 100 / n, f->overall *= 100 / n;
    f->recall *= 100 / n, f->false_alarm *= 100.0 / (f->noisy ? f->noisy : 1);
}

/* From each onset to the first voiced reading that is right and whose next two are. */
static void score_onsets(const struct corpus *c, struct detector *d)
{
    static double all[CLIPS * ONSETS], bass[CLIPS * ONSETS];
    size_t n = 0, m = 0;
    for (int k = 0; k < c->count; k++) {
        const struct clip *clip = &c->clip[k];
        const struct track *t = &d->track[k];
        bool moves = strcmp(clip->group, "glides") == 0 || strcmp(clip->group, "vibrato") == 0;
        if (moves)
            continue;
        for (int o = 0; o < clip->onsets; o++) {
            double ms = 250;
            for (int i = 0; i + 2 < t->count; i++) {
                if (t->e[i].at < clip->onset[o].at)
                    continue;
                bool right = true;
                for (int j = 0; j < 3; j++)
                    right &= fabs(cents((double)t->e[i + j].hz, (double)clip->onset[o].hz)) < 50;
                if (right) {
                    ms = fmin(ms, (double)(t->e[i].at - clip->onset[o].at) * 1e3 / RATE);
                    break;
                }
            }
            all[n++] = ms;
            if (clip->onset[o].hz >= 30 && clip->onset[o].hz <= 73.5f)
                bass[m++] = ms;
        }
    }
    d->onset_median_ms = n ? bench_median(all, n) : -1;
    d->bass_p90_ms = m ? bench_quantile(bass, m, 0.9) : -1;
}

static void score(const struct corpus *c, struct detector *d)
{
    double best = -1;
    for (int s = 0; s < SHIFTS; s++) {
        struct figures sum = {0};
        for (int k = 0; k < c->count; k++) {
            struct figures f = score_clip(&c->clip[k], &d->track[k], s);
            add(&sum, &f);
        }
        if (sum.rpa50 + sum.rpa10 > best) {
            best = sum.rpa50 + sum.rpa10;
            d->shift = s;
        }
    }
    memset(&d->all, 0, sizeof d->all);
    memset(d->group, 0, sizeof d->group);
    for (int k = 0; k < c->count; k++) {
        struct figures f = score_clip(&c->clip[k], &d->track[k], d->shift);
        add(&d->all, &f);
        add(&d->group[group_of(c->clip[k].group)], &f);
    }
    divide(&d->all);
    for (int g = 0; g < group_count; g++)
        divide(&d->group[g]);
    score_onsets(c, d);
}

/* ---- Detectors ------------------------------------------------------------------------------- */

static void push(struct track *t, struct estimate e)
{
    if ((t->count & (t->count - 1)) == 0) {
        t->e = realloc(t->e, sizeof *t->e * (size_t)(t->count ? 2 * t->count : 1));
        if (!t->e)
            abort();
    }
    t->e[t->count++] = e;
}

/* This thread's own, so that what else runs does not count. */
static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void run_takt(const struct corpus *c, struct detector *d)
{
    struct takt_error e;
    int64_t spent = 0;
    long hops = 0;
    snprintf(d->name, sizeof d->name, "takt");
    for (int k = 0; k < c->count; k++) {
        struct takt_pitch *p;
        if (takt_pitch_create(&(struct takt_pitch_cfg){.rate_hz = RATE, .hop_frames = HOP}, &p, &e))
            exit(takt_die(&e));
        const struct clip *clip = &c->clip[k];
        int64_t begin = cpu_ns();
        for (size_t at = 0; at + HOP <= clip->frames; at += HOP) {
            struct takt_pitch_reading now;
            if (takt_pitch_process(p, clip->x + at, HOP, at, &now, 1) == 1)
                push(&d->track[k], (struct estimate){(size_t)now.position, (float)now.raw_hz,
                                                     (float)now.f0_hz, (float)now.confidence});
            hops++;
        }
        spent += cpu_ns() - begin;
        takt_pitch_destroy(p);
    }
    d->us = (double)spent * 1e-3 / (double)(hops ? hops : 1);
}

/* Of all programs that were run and have ended. */
static int64_t children_ns(void)
{
    struct rusage u;
    getrusage(RUSAGE_CHILDREN, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000ll +
           (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000ll;
}

/* Where in the file that all clips make, with PAUSE of silence after each, one lies. */
static void place(const struct corpus *c, struct detector *d, double at, struct estimate e)
{
    double begin = 0;
    for (int k = 0; k < c->count; k++) {
        double frames = (double)c->clip[k].frames;
        if (at > begin && at <= begin + frames) {
            e.at = (size_t)(at - begin);
            push(&d->track[k], e);
            return;
        }
        begin += frames + PAUSE;
    }
}

static bool run_aubio(const struct corpus *c, struct detector *d, const char *wav,
                      const char *method, int size, const char *more)
{
    char line[512];
    snprintf(d->name, sizeof d->name, "aubio %s %d", method, size);
    snprintf(line, sizeof line, "aubiopitch -i '%s' -r 0 -p %s -B %d -H %d %s 2>/dev/null", wav,
             method, size, HOP, more);
    int64_t begin = children_ns();
    FILE *f = popen(line, "r");
    double t, hz;
    long n = 0;
    while (f && fscanf(f, "%lf %lf", &t, &hz) == 2) {
        float x = hz > 0 && isfinite(hz) ? (float)hz : 0;
        n++;
        place(c, d, (double)n * HOP, (struct estimate){0, x, x, 1});
    }
    bool ran = f && pclose(f) == 0 && n > 0;
    d->us = (double)(children_ns() - begin) * 1e-3 / (double)(n ? n : 1);
    return ran;
}

/* Frame by frame, without the path through all frames, which looks ahead; ready when its window,
 * three periods of the lowest pitch, has been heard. */
static bool run_praat(const struct corpus *c, struct detector *d, const char *dir, const char *wav,
                      double floor_hz)
{
    double *hz[2], first = 0;
    size_t frames[2] = {0};
    snprintf(d->name, sizeof d->name, "praat ac causal %g", floor_hz);
    int64_t begin = children_ns();
    for (int pass = 0; pass < 2; pass++) {
        char call[200];
        snprintf(call, sizeof call, "To Pitch (ac): %.9g, %g, 15, \"no\", %g, %g, 0.01, 0, 0, 4200",
                 (double)HOP / RATE, floor_hz, pass ? 0.0 : 0.001, pass ? 0.0 : 0.45);
        hz[pass] = praat_pitch(dir, wav, call, &first, &frames[pass]);
    }
    bool ran = hz[0] && hz[1] && frames[0] == frames[1];
    d->us = (double)(children_ns() - begin) * 0.5e-3 / (double)(frames[0] ? frames[0] : 1);
    for (size_t i = 0; ran && i < frames[0]; i++)
        place(c, d, first * RATE + (double)i * HOP + 1.5 / floor_hz * RATE,
              (struct estimate){0, (float)hz[1][i], (float)hz[0][i], 1});
    free(hz[0]);
    free(hz[1]);
    return ran;
}

/* ---- Steady tones ---------------------------------------------------------------------------- */

/* |error| in cents of harmonic tones at 40 dB SNR once they have sounded for half a second. */
static void steady(double *median, double *p95, double *most)
{
    static double off[40 * 200];
    size_t n = 0;
    struct takt_error e;
    uint64_t seed = 77;
    for (int i = 0; i < 40; i++) {
        double hz = 40 * pow(100, i / 39.0);
        struct takt_pitch *p;
        if (takt_pitch_create(&(struct takt_pitch_cfg){.rate_hz = RATE, .hop_frames = HOP}, &p, &e))
            exit(takt_die(&e));
        for (size_t at = 0; at < RATE + RATE / 2; at += HOP) {
            float x[HOP];
            struct takt_pitch_reading now;
            for (int j = 0; j < HOP; j++) {
                double sum = 0, gauss = 0, t = (double)(at + (size_t)j) / RATE;
                for (int k = 1; k <= 10 && k * hz < 20000; k++)
                    sum += 0.2 / k * sin(2 * M_PI * hz * k * t + k * k);
                for (int k = 0; k < 12; k++) {
                    seed = seed * 6364136223846793005u + 1442695040888963407u;
                    gauss += (double)(seed >> 40) * 0x1p-24 - 0.5;
                }
                x[j] = (float)(sum + gauss * 0.2 * sqrt(1.5 / 2) * 0.01);
            }
            takt_pitch_process(p, x, HOP, at, &now, 1);
            if (at > RATE / 2)
                off[n++] = fabs(cents(now.raw_hz, hz));
        }
        takt_pitch_destroy(p);
    }
    *median = bench_median(off, n);
    *p95 = bench_quantile(off, n, 0.95);
    *most = off[n - 1];
}

/* ---- What is printed ------------------------------------------------------------------------- */

static void print_row(const char *name, const struct figures *f)
{
    fprintf(stderr, "  %-22s %6.1f %6.1f %7.2f %8.1f %7.1f %7.1f", name, f->rpa50, f->rpa10,
            f->octave, f->overall, f->recall, f->false_alarm);
}

static void print(const struct detector *d, bool whole)
{
    print_row(d->name, &d->all);
    fprintf(stderr, " %7.1f %7.1f %7.1f %7.1f\n", d->shift * 1e3 * GRID / RATE, d->onset_median_ms,
            d->bass_p90_ms, d->us);
    if (whole)
        for (int g = 0; g < group_count; g++) {
            print_row(groups[g], &d->group[g]);
            fprintf(stderr, "\n");
        }
    printf(
        "{\"bench\":\"pitch\",\"detector\":\"%s\",\"rpa50\":%.2f,\"rpa10\":%.2f,\"octave_errors\":"
        "%.3f,\"overall\":%.2f,\"gated_rpa50\":%.2f,\"false_alarm\":%.2f,\"delay_ms\":%.1f,"
        "\"onset_ms_median\":%.1f,\"bass_ms_p90\":%.1f,\"us_hop\":%.1f,\"groups\":{",
        d->name, d->all.rpa50, d->all.rpa10, d->all.octave, d->all.overall, d->all.recall,
        d->all.false_alarm, d->shift * 1e3 * GRID / RATE, d->onset_median_ms, d->bass_p90_ms,
        d->us);
    for (int g = 0; g < group_count; g++)
        printf("%s\"%s\":{\"rpa50\":%.2f,\"rpa10\":%.2f,\"octave_errors\":%.3f,\"overall\":%.2f,"
               "\"gated_rpa50\":%.2f,\"false_alarm\":%.2f}",
               g ? "," : "", groups[g], d->group[g].rpa50, d->group[g].rpa10, d->group[g].octave,
               d->group[g].overall, d->group[g].recall, d->group[g].false_alarm);
    printf("}}\n");
}

static void free_tracks(struct detector *d)
{
    for (int k = 0; k < CLIPS; k++)
        free(d->track[k].e);
    memset(d->track, 0, sizeof d->track);
}

static void print_aim(const char *what, double reached, const char *sign, double aim)
{
    bool met = *sign == '<' ? reached <= aim : reached >= aim;
    fprintf(stderr, "  %-44s %8.2f   aim %s %g%s\n", what, reached, sign, aim,
            met ? "" : "   MISSED");
    printf("{\"bench\":\"pitch\",\"aim\":\"%s\",\"reached\":%.3f,\"sign\":\"%s\",\"bar\":%g,"
           "\"met\":%s}\n",
           what, reached, sign, aim, met ? "true" : "false");
}

static void print_worst(const struct corpus *c, const struct detector *d)
{
    for (int k = 0; k < c->count; k++) {
        struct figures f = score_clip(&c->clip[k], &d->track[k], d->shift);
        fprintf(stderr,
                "  %-14s rpa50 %5.1f rpa10 %5.1f octave %5.2f overall %5.1f gated %5.1f fa %5.1f\n",
                c->clip[k].name, 100 * f.rpa50, 100 * f.rpa10, 100 * f.octave, 100 * f.overall,
                100 * f.recall, 100 * f.false_alarm);
    }
}

/* One clip, reading by reading: for whoever works on the detector. */
static void print_track(const struct corpus *c, const struct detector *d, const char *name)
{
    for (int k = 0; k < c->count; k++) {
        if (strcmp(c->clip[k].name, name) != 0)
            continue;
        for (int i = 0; i < d->track[k].count; i++) {
            const struct estimate *e = &d->track[k].e[i];
            long g = (long)(e->at / GRID) - d->shift;
            double truth = g >= 0 ? (double)c->clip[k].truth[g] : 0;
            double off = cents((double)e->raw, truth);
            fprintf(stderr, "%8.4f truth %8.2f raw %8.2f hz %8.2f conf %.3f %s\n",
                    (double)e->at / RATE, truth, (double)e->raw, (double)e->hz,
                    (double)e->confidence,
                    truth > 0   ? fabs(off) < 10   ? ""
                                  : fabs(off) < 50 ? "-"
                                                   : "***"
                    : e->hz > 0 ? "FA"
                                : "");
        }
    }
}

int main(int argc, char **argv)
{
    static struct corpus corpus;
    static struct detector d, best_peer;
    uint64_t seed = 2;
    bool peers = true, worst = false;
    const char *trace = NULL, *font = NULL, *keep = NULL, *cache = NULL, *only = NULL;
    static const char *const fonts[] = {"/usr/share/sounds/sf2/TimGM6mb.sf2",
                                        "/usr/share/sounds/sf2/FluidR3_GM.sf2",
                                        "/usr/share/sounds/sf2/default-GM.sf2"};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--font") == 0 && i + 1 < argc)
            font = argv[++i];
        else if (strcmp(argv[i], "--keep") == 0 && i + 1 < argc)
            keep = argv[++i];
        else if (strcmp(argv[i], "--cache") == 0 && i + 1 < argc)
            cache = argv[++i];
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            only = argv[++i];
        else if (strcmp(argv[i], "--trace") == 0 && i + 1 < argc)
            trace = argv[++i];
        else if (strcmp(argv[i], "--no-peers") == 0)
            peers = false;
        else if (strcmp(argv[i], "--clips") == 0)
            worst = true;
        else {
            fprintf(stderr,
                    "bench-pitch: %s: no such option; there are --seed N, --font FILE, "
                    "--keep DIR, --cache FILE, --only GROUP, --no-peers, --clips, --trace CLIP\n",
                    argv[i]);
            return 2;
        }
    }
    for (size_t i = 0; !font && i < sizeof fonts / sizeof *fonts; i++)
        if (access(fonts[i], R_OK) == 0)
            font = fonts[i];
    char made[] = "/tmp/takt-pitch.XXXXXX", wav[300], line[512];
    const char *dir = keep ? keep : mkdtemp(made);
    if (!dir)
        return 1;
    if (!cache || corpus_load(&corpus, cache) < 0) {
        corpus_make(&corpus, seed, dir, font ? font : "none");
        if (cache && corpus_save(&corpus, cache) < 0)
            perror(cache);
    }
    int kept = 0;
    for (int k = 0; only && k < corpus.count; k++)
        if (strstr(corpus.clip[k].name, only) || strstr(corpus.clip[k].group, only))
            corpus.clip[kept++] = corpus.clip[k];
    corpus.count = only ? kept : corpus.count;
    fprintf(stderr, "seed %llu: %d clips, %.0f s\n", (unsigned long long)seed, corpus.count,
            (double)corpus.frames / RATE);
    fprintf(stderr, "  %-22s %6s %6s %7s %8s %7s %7s %7s %7s %7s %7s\n", "", "RPA50", "RPA10",
            "octave", "overall", "gated50", "alarm", "delay", "onset", "bass90", "us/hop");
    run_takt(&corpus, &d);
    score(&corpus, &d);
    print(&d, true);
    if (worst)
        print_worst(&corpus, &d);
    if (trace)
        print_track(&corpus, &d, trace);
    double median, p95, most;
    steady(&median, &p95, &most);
    fprintf(stderr, "\n  the aims\n");
    print_aim("RPA50, %", d.all.rpa50, ">=", 95);
    print_aim("RPA10, %", d.all.rpa10, ">=", 88);
    print_aim("octave errors, %", d.all.octave, "<=", 0.3);
    print_aim("overall accuracy, %", d.all.overall, ">=", 92);
    print_aim("effective delay, ms", d.shift * 1e3 * GRID / RATE, "<=", 15);
    print_aim("onset to right, median, ms", d.onset_median_ms, "<=", 20);
    print_aim("bass, onset to right, 90th percentile, ms", d.bass_p90_ms, "<=", 60);
    print_aim("noise <= 10 dB SNR, gated RPA50, %", d.group[group_of("noise10")].recall, ">=", 75);
    print_aim("steady tones at 40 dB SNR, median |cents|", median, "<=", 0.1);
    print_aim("steady tones at 40 dB SNR, p95 |cents|", p95, "<=", 0.1);
    print_aim("steady tones at 40 dB SNR, worst |cents|", most, "<=", 0.1);
    print_aim("cost of a hop, us", d.us, "<=", 60);
    if (peers) {
        size_t frames = corpus.frames + (size_t)corpus.count * PAUSE, at = 0;
        float *x = calloc(frames, sizeof *x);
        if (!x)
            return 1;
        for (int k = 0; k < corpus.count; k++) {
            memcpy(x + at, corpus.clip[k].x, corpus.clip[k].frames * sizeof *x);
            at += corpus.clip[k].frames + PAUSE;
        }
        snprintf(wav, sizeof wav, "%s/all.wav", dir);
        wav_write(wav, x, frames, RATE);
        free(x);
        static const struct {
            const char *method;
            int size;
            const char *more;
        } aubio[] = {{"yin", 2048, ""},     {"yinfft", 2048, ""}, {"yinfast", 2048, ""},
                     {"yinfast", 4096, ""}, {"mcomb", 2048, ""},  {"fcomb", 2048, ""},
                     {"schmitt", 2048, ""}, {"specacf", 2048, ""}};
        fprintf(stderr, "\n  the peers\n");
        for (size_t i = 0; i < sizeof aubio / sizeof *aubio; i++) {
            free_tracks(&best_peer);
            if (run_aubio(&corpus, &best_peer, wav, aubio[i].method, aubio[i].size,
                          aubio[i].more)) {
                score(&corpus, &best_peer);
                print(&best_peer, false);
            } else
                fprintf(stderr, "  %s: did not run\n", best_peer.name);
        }
        static const double floors[] = {27.5, 75};
        for (int i = 0; i < 2; i++) {
            free_tracks(&best_peer);
            if (run_praat(&corpus, &best_peer, dir, wav, floors[i])) {
                score(&corpus, &best_peer);
                print(&best_peer, false);
            } else
                fprintf(stderr, "  %s: did not run\n", best_peer.name);
        }
    }
    if (!keep) {
        snprintf(line, sizeof line, "rm -rf '%s'", made);
        if (system(line))
            return 1;
    }
    return 0;
}
