/*
 * libebur128 weights the sound, and oversamples it for the true peak. It is asked after every step
 * of 10 ms for the energy of that step alone; all else follows from those: 40 of them are momentary
 * loudness, 300 short-term, and every tenth step ends a block of either for the gates. So momentary
 * loudness moves a hundred times a second at next to no cost, where libebur128 would add up
 * 0.4 s of samples each time.
 *
 * A programme's blocks are kept in histograms of 0.01 LU, whose size does not depend on its length.
 * Those of integrated loudness hold the blocks' energies, too, so that only the gate itself falls
 * on a bin's edge, and not the blocks' levels: what is shown is exact but for a block within 0.01
 * LU of the gate. libebur128's own histogram, of 0.1 LU, would be 0.05 LU off for a steady tone.
 *
 * Samples that are no number would stay in its filters for ever; they are taken out before.
 *
 * Invariants: in_step < step_frames between calls; filled counts whole steps without a gap, up to
 * SHORT_STEPS; sums are made anew for each reading, so that no rounding stays behind.
 */
#include "takt/loudness.h"

#include "base/fail.h"

enum { CHANNELS_MAX = 64 };

static int refuse(const struct takt_loudness_cfg *cfg, uint32_t channels, uint32_t rate_hz,
                  struct takt_error *e)
{
    if (channels > CHANNELS_MAX || rate_hz < 8000 || rate_hz > 384000)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "loudness of %u channels at %u Hz: 1 to %d channels, 8000 to 384000 Hz",
                         channels, rate_hz, CHANNELS_MAX);
    for (uint32_t c = 0; cfg->speakers && c < channels; c++)
        if ((unsigned)cfg->speakers[c] > TAKT_SPEAKER_DUAL_MONO)
            return takt_fail(e, TAKT_ERR_ARG, 0, "channel %u is at no speaker that there is", c);
    if (cfg->speakers && channels > 1)
        for (uint32_t c = 0; c < channels; c++)
            if (cfg->speakers[c] == TAKT_SPEAKER_DUAL_MONO)
                return takt_fail(e, TAKT_ERR_ARG, 0, "dual mono is for a stream of one channel");
    return 0;
}

#ifndef TAKT_HAVE_EBUR128

int takt_loudness_create(const struct takt_loudness_cfg *cfg, struct takt_loudness **out,
                         struct takt_error *e)
{
    *out = NULL;
    int err = refuse(cfg, cfg->channels, cfg->rate_hz ? cfg->rate_hz : 48000, e);
    return err ? err
               : takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                           "this takt was built without libebur128; install libebur128-dev and "
                           "build it again");
}

void takt_loudness_destroy(struct takt_loudness *l)
{
}

void takt_loudness_process(struct takt_loudness *l, const float *x, size_t frames,
                           uint64_t position)
{
}

void takt_loudness_process_planar(struct takt_loudness *l, const float *const *x, size_t frames,
                                  uint64_t position)
{
}

void takt_loudness_read(const struct takt_loudness *l, struct takt_loudness_reading *out)
{
    *out = (struct takt_loudness_reading){0};
}

void takt_loudness_true_peak(const struct takt_loudness *l, uint32_t channel,
                             struct takt_true_peak *out)
{
    *out = (struct takt_true_peak){0};
}

void takt_loudness_reset(struct takt_loudness *l)
{
}

#else

#include "takt/kernel.h"
#include "takt/level.h"

#include <ebur128.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    STEPS_A_SECOND = 100,
    STEP_MS = 1000 / STEPS_A_SECOND,
    MOMENTARY_STEPS = 40,
    SHORT_STEPS = 300,
    BLOCK_STEPS = 10, /* from the end of a block to that of the next */
    BINS_A_LU = 100,
    LOWEST_LUFS = -70, /* the absolute gate: what is below does not come in */
    HIGHEST_LUFS = 30,
    BINS = (HIGHEST_LUFS - LOWEST_LUFS) * BINS_A_LU,
    FLUSH_STEPS = 50 /* 0.5 s of silence leave nothing in a high-pass of 38 Hz */
};

/* Blocks by their loudness: how many, and in all. The last bin holds all that is higher. */
struct histogram {
    uint64_t count[BINS];
    double energy[BINS];
};

struct takt_loudness {
    ebur128_state *state;
    uint32_t channels;
    bool has_true_peak;
    uint32_t rate_hz;
    size_t step_frames,
        in_step;           /* of the step begun, which is a frame longer where the rate says */
    uint32_t odd_frames;   /* hundredths of a frame that its beginning is too early by */
    uint64_t next, frames; /* the position that would be no gap; taken in so far */
    uint32_t at, filled, to_block; /* the step to come; steps without a gap; until a block ends */
    double step_energy[SHORT_STEPS];
    double momentary_max, short_max; /* energies */
    struct histogram integrated;
    uint64_t range[BINS]; /* short-term blocks */
    float *scratch;       /* [step_frames + 1][channels] */
    float *peak_begun;    /* [channels], of the step begun */
    float *peak_max;      /* [channels] */
    float *peak_step;     /* [MOMENTARY_STEPS][channels] */
    uint32_t peak_at;
};

/* ---- LUFS --------------------------------------------------------------------------------------
 */

/* BS.1770-4, equation 2. */
static double lufs_of(double energy)
{
    return energy > 1e-30 ? fmax(-0.691 + 10 * log10(energy), -200) : -200;
}

static double energy_of(double lufs)
{
    return pow(10, (lufs + 0.691) / 10);
}

/* The bin of an energy, or -1 for one that does not pass the absolute gate. */
static int bin_of(double energy)
{
    double bin = floor((lufs_of(energy) - LOWEST_LUFS) * BINS_A_LU);
    return bin < 0 ? -1 : bin < BINS ? (int)bin : BINS - 1;
}

static double middle_lufs(int bin)
{
    return LOWEST_LUFS + (bin + 0.5) / BINS_A_LU;
}

/* ---- Life --------------------------------------------------------------------------------------
 */

static enum takt_speaker usual_speaker(uint32_t channels, uint32_t c)
{
    bool has_lfe = channels == 6 || channels == 8, has_side = channels >= 4 && channels <= 6;
    if (has_lfe && c == 3)
        return TAKT_SPEAKER_NONE;
    if ((has_side || channels == 8) && c + 2 >= channels)
        return TAKT_SPEAKER_SURROUND;
    return TAKT_SPEAKER_FRONT;
}

static void place_speakers(struct takt_loudness *l, const enum takt_speaker *speakers)
{
    static const int theirs[] = {[TAKT_SPEAKER_FRONT] = EBUR128_LEFT,
                                 [TAKT_SPEAKER_SURROUND] = EBUR128_LEFT_SURROUND,
                                 [TAKT_SPEAKER_NONE] = EBUR128_UNUSED,
                                 [TAKT_SPEAKER_DUAL_MONO] = EBUR128_DUAL_MONO};
    for (uint32_t c = 0; c < l->channels; c++) {
        enum takt_speaker s = speakers ? speakers[c] : usual_speaker(l->channels, c);
        ebur128_set_channel(l->state, c, theirs[s]);
    }
}

int takt_loudness_create(const struct takt_loudness_cfg *cfg, struct takt_loudness **out,
                         struct takt_error *e)
{
    *out = NULL;
    uint32_t channels = cfg->channels ? cfg->channels : 1;
    uint32_t rate_hz = cfg->rate_hz ? cfg->rate_hz : 48000;
    int err = refuse(cfg, channels, rate_hz, e);
    if (err)
        return err;
    struct takt_loudness *l = calloc(1, sizeof *l);
    if (l) {
        l->channels = channels;
        l->has_true_peak = !cfg->no_true_peak;
        l->rate_hz = rate_hz;
        l->step_frames = rate_hz / STEPS_A_SECOND;
        l->to_block = BLOCK_STEPS;
        l->state = ebur128_init(channels, rate_hz,
                                l->has_true_peak ? EBUR128_MODE_TRUE_PEAK : EBUR128_MODE_M);
        l->scratch = calloc((l->step_frames + 1) * channels, sizeof *l->scratch);
        l->peak_begun = calloc(channels, sizeof *l->peak_begun);
        l->peak_max = calloc(channels, sizeof *l->peak_max);
        l->peak_step = calloc((size_t)channels * MOMENTARY_STEPS, sizeof *l->peak_step);
    }
    if (!l || !l->state || !l->scratch || !l->peak_begun || !l->peak_max || !l->peak_step) {
        takt_loudness_destroy(l);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    place_speakers(l, cfg->speakers);
    *out = l;
    return 0;
}

void takt_loudness_destroy(struct takt_loudness *l)
{
    if (!l)
        return;
    if (l->state)
        ebur128_destroy(&l->state);
    free(l->scratch);
    free(l->peak_begun);
    free(l->peak_max);
    free(l->peak_step);
    free(l);
}

/* Silence through the filters, without a trace of it in what is counted. */
static void flush_filters(struct takt_loudness *l)
{
    memset(l->scratch, 0, l->step_frames * l->channels * sizeof *l->scratch);
    for (int i = 0; i < FLUSH_STEPS; i++)
        ebur128_add_frames_float(l->state, l->scratch, l->step_frames);
}

static void begin_windows_anew(struct takt_loudness *l)
{
    flush_filters(l);
    memset(l->step_energy, 0, sizeof l->step_energy);
    memset(l->peak_begun, 0, l->channels * sizeof *l->peak_begun);
    memset(l->peak_step, 0, (size_t)l->channels * MOMENTARY_STEPS * sizeof *l->peak_step);
    l->in_step = l->odd_frames = 0;
    l->step_frames = l->rate_hz / STEPS_A_SECOND;
    l->filled = l->at = l->peak_at = 0;
    l->to_block = BLOCK_STEPS;
}

void takt_loudness_reset(struct takt_loudness *l)
{
    begin_windows_anew(l);
    memset(&l->integrated, 0, sizeof l->integrated);
    memset(l->range, 0, sizeof l->range);
    memset(l->peak_max, 0, l->channels * sizeof *l->peak_max);
    l->momentary_max = l->short_max = 0;
    l->next = l->frames = 0;
}

/* ---- Steps and blocks
 * ---------------------------------------------------------------------------- */

/* The mean energy of the last `steps` steps. */
static double mean_energy(const struct takt_loudness *l, uint32_t steps)
{
    double sum = 0;
    for (uint32_t i = 1; i <= steps; i++)
        sum += l->step_energy[(l->at + SHORT_STEPS - i) % SHORT_STEPS];
    return sum / steps;
}

static void end_block(struct takt_loudness *l, double momentary, double short_term)
{
    int bin = bin_of(momentary);
    if (l->filled >= MOMENTARY_STEPS && bin >= 0) {
        l->integrated.count[bin]++;
        l->integrated.energy[bin] += momentary;
    }
    bin = bin_of(short_term);
    if (l->filled >= SHORT_STEPS && bin >= 0)
        l->range[bin]++;
}

/* The end of each step is the last whole frame before its time, so that the blocks keep theirs. */
static void begin_step(struct takt_loudness *l)
{
    l->odd_frames += l->rate_hz % STEPS_A_SECOND;
    bool is_longer = l->odd_frames >= STEPS_A_SECOND;
    l->odd_frames -= is_longer ? STEPS_A_SECOND : 0;
    l->step_frames = l->rate_hz / STEPS_A_SECOND + is_longer;
    l->in_step = 0;
}

static void end_step(struct takt_loudness *l)
{
    double lufs;
    bool heard = ebur128_loudness_window(l->state, STEP_MS, &lufs) == EBUR128_SUCCESS;
    l->step_energy[l->at] = heard && lufs > -HUGE_VAL ? energy_of(lufs) : 0;
    l->at = (l->at + 1) % SHORT_STEPS;
    l->filled = l->filled < SHORT_STEPS ? l->filled + 1 : SHORT_STEPS;
    double momentary = mean_energy(l, MOMENTARY_STEPS), short_term = mean_energy(l, SHORT_STEPS);
    l->momentary_max = fmax(l->momentary_max, momentary);
    l->short_max = fmax(l->short_max, short_term);
    if (--l->to_block == 0) {
        l->to_block = BLOCK_STEPS;
        end_block(l, momentary, short_term);
    }
    memcpy(&l->peak_step[(size_t)l->peak_at * l->channels], l->peak_begun,
           l->channels * sizeof *l->peak_begun);
    memset(l->peak_begun, 0, l->channels * sizeof *l->peak_begun);
    l->peak_at = (l->peak_at + 1) % MOMENTARY_STEPS;
    begin_step(l);
}

/* The peaks of what was added last. */
static void take_peaks(struct takt_loudness *l)
{
    for (uint32_t c = 0; l->has_true_peak && c < l->channels; c++) {
        double between = 0, sample = 0;
        ebur128_prev_true_peak(l->state, c, &between);
        ebur128_prev_sample_peak(l->state, c, &sample);
        float peak = (float)fmin(fmax(between, sample), (double)FLT_MAX);
        l->peak_begun[c] = fmaxf(l->peak_begun[c], peak);
        l->peak_max[c] = fmaxf(l->peak_max[c], peak);
    }
}

/* ---- Sound in ----------------------------------------------------------------------------------
 */

/* x itself where it is sound, else a copy without what is no number. x may be the scratch. */
static const float *without_odd_ones(struct takt_loudness *l, const float *x, size_t samples)
{
    if (isfinite(takt_sum_squares(x, samples)))
        return x;
    for (size_t i = 0; i < samples; i++)
        l->scratch[i] = isfinite(x[i]) ? x[i] : 0;
    return l->scratch;
}

static void begin(struct takt_loudness *l, size_t frames, uint64_t position)
{
    if (l->frames && position != l->next)
        begin_windows_anew(l);
    l->next = position + frames;
    l->frames += frames;
}

static size_t piece(const struct takt_loudness *l, size_t left)
{
    size_t n = l->step_frames - l->in_step;
    return n < left ? n : left;
}

/* Not more than a step needs. */
static void add(struct takt_loudness *l, const float *x, size_t frames)
{
    ebur128_add_frames_float(l->state, without_odd_ones(l, x, frames * l->channels), frames);
    take_peaks(l);
    l->in_step += frames;
    if (l->in_step == l->step_frames)
        end_step(l);
}

void takt_loudness_process(struct takt_loudness *l, const float *x, size_t frames,
                           uint64_t position)
{
    if (!frames)
        return;
    begin(l, frames, position);
    for (size_t at = 0, n; at < frames; at += n) {
        n = piece(l, frames - at);
        add(l, x + at * l->channels, n);
    }
}

void takt_loudness_process_planar(struct takt_loudness *l, const float *const *x, size_t frames,
                                  uint64_t position)
{
    const float *planes[CHANNELS_MAX];
    if (!frames)
        return;
    begin(l, frames, position);
    for (size_t at = 0, n; at < frames; at += n) {
        n = piece(l, frames - at);
        for (uint32_t c = 0; c < l->channels; c++)
            planes[c] = x[c] + at;
        takt_interleave(l->scratch, planes, l->channels, n);
        add(l, l->scratch, n);
    }
}

/* ---- Readings out ------------------------------------------------------------------------------
 */

/* BS.1770-4: the mean energy of blocks above the absolute gate sets the relative one, and that of
 * those above both is the programme's. */
static void read_integrated(const struct takt_loudness *l, struct takt_loudness_reading *out)
{
    const struct histogram *h = &l->integrated;
    uint64_t count = 0;
    double energy = 0;
    for (int i = 0; i < BINS; i++) {
        count += h->count[i];
        energy += h->energy[i];
    }
    if (!count)
        return;
    out->gate_lufs = fmax(lufs_of(energy / (double)count) - 10, LOWEST_LUFS);
    count = 0;
    energy = 0;
    for (int i = 0; i < BINS; i++)
        if (middle_lufs(i) >= out->gate_lufs) {
            count += h->count[i];
            energy += h->energy[i];
        }
    out->integrated_lufs = count ? lufs_of(energy / (double)count) : -200;
}

/* The loudness below which that share of `count` blocks lies, in bins from `first` on: that of the
 * block whose rank is nearest. libebur128 takes the one behind it for the low end, which in a
 * programme of a few seconds makes 0.1 LU. */
static double percentile_lufs(const struct takt_loudness *l, int first, uint64_t count,
                              double share)
{
    uint64_t rank = (uint64_t)(share * (double)count + 0.5), seen = 0;
    rank = rank ? rank : 1;
    for (int i = first; i < BINS; i++) {
        seen += l->range[i];
        if (seen >= rank)
            return middle_lufs(i);
    }
    return HIGHEST_LUFS;
}

/* EBU Tech 3342: of the short-term blocks within 20 LU below the mean of those above the absolute
 * gate, from the 10th to the 95th percentile. */
static void read_range(const struct takt_loudness *l, struct takt_loudness_reading *out)
{
    uint64_t count = 0;
    double energy = 0;
    int first = 0;
    for (int i = 0; i < BINS; i++)
        if (l->range[i]) {
            count += l->range[i];
            energy += (double)l->range[i] * energy_of(middle_lufs(i));
        }
    if (!count)
        return;
    double gate = lufs_of(energy / (double)count) - 20;
    for (; first < BINS && middle_lufs(first) < gate; first++)
        count -= l->range[first];
    out->range_low_lufs = percentile_lufs(l, first, count, 0.10);
    out->range_high_lufs = percentile_lufs(l, first, count, 0.95);
    out->range_lu = out->range_high_lufs - out->range_low_lufs;
}

void takt_loudness_read(const struct takt_loudness *l, struct takt_loudness_reading *out)
{
    float peak = 0;
    for (uint32_t c = 0; c < l->channels; c++)
        peak = fmaxf(peak, l->peak_max[c]);
    *out = (struct takt_loudness_reading){
        .momentary_lufs = lufs_of(mean_energy(l, MOMENTARY_STEPS)),
        .short_term_lufs = lufs_of(mean_energy(l, SHORT_STEPS)),
        .integrated_lufs = -200,
        .momentary_max_lufs = lufs_of(l->momentary_max),
        .short_term_max_lufs = lufs_of(l->short_max),
        .range_low_lufs = -200,
        .range_high_lufs = -200,
        .gate_lufs = LOWEST_LUFS,
        .true_peak_dbtp = takt_dbfs((double)peak),
        .frames = l->frames,
    };
    read_integrated(l, out);
    read_range(l, out);
}

void takt_loudness_true_peak(const struct takt_loudness *l, uint32_t channel,
                             struct takt_true_peak *out)
{
    float recent = 0;
    bool exists = channel < l->channels;
    for (uint32_t s = 0; exists && s < MOMENTARY_STEPS; s++)
        recent = fmaxf(recent, l->peak_step[(size_t)s * l->channels + channel]);
    if (exists)
        recent = fmaxf(recent, l->peak_begun[channel]);
    out->recent_dbtp = takt_dbfs((double)recent);
    out->max_dbtp = takt_dbfs(exists ? (double)l->peak_max[channel] : 0);
}

#endif
