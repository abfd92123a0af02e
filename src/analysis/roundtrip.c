/*
 * A shift register with the primitive polynomial p(x) of degree k gives bits b[n] of period
 * n = 2^k - 1; the sequence is +1 for a 0 and -1 for a 1. Its circular autocorrelation is n at 0
 * and -1 everywhere else, so the correlation with what came back is (n + 1) times the impulse
 * response, less the response's sum; and that sum is, with the sign changed, the sum of what came
 * back. Both are exact.
 *
 * The correlation is a Hadamard transform: the register's state at i holds b[i] … b[i+k-1], and
 * b[i+j] is the parity of state & (x^j mod p), for any j. So what came back is sorted by state, and
 * after the transform the value for the delay d stands at x^-d mod p.
 *
 * Threads: the callback owns everything until done is set, whoever reads afterwards until it is
 * cleared. done is set with release and read with acquire on both sides.
 */
#include "takt/roundtrip.h"

#include "base/assert.h"
#include "base/fail.h"
#include "base/touched.h"
#include "takt/level.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ORDER_LEAST = 10, ORDER_MOST = 17, PERIODS_MOST = 64, NEAR_FRAMES = 32 };
static const double least_snr_db = 20;       /* chance alone reaches 14 in the longest period */
static const double louder_than_quiet = 1.4; /* by 3 dB, to be more than the noise */
static const double least_level = 1e-5;      /* -100 dBFS: nothing, where there is no noise */
static const float full_scale = 32767.0f / 32768.0f;

/* Primitive, by order; bit i stands for x^i. */
static const uint32_t polynomials[ORDER_MOST + 1] = {
    [10] = 0x409,  [11] = 0x805,  [12] = 0x1053,  [13] = 0x201b,
    [14] = 0x402b, [15] = 0x8003, [16] = 0x1002d, [17] = 0x20009};

struct takt_roundtrip {
    uint32_t order, period, periods;
    float amplitude;
    _Atomic bool done;
    /* The callback's until done. */
    bool begun;
    uint64_t begin, next; /* positions */
    uint64_t clips, lost_frames;
    double quiet_sum, quiet_squares;
    uint64_t quiet_frames;
    float *sequence; /* [period], +-amplitude */
    float *first;    /* [2 * period]: what came in from the sequence's beginning on */
    double *sum;     /* [period], of all averaged periods */
    /* The reader's. */
    double *work;     /* [period + 1] */
    double *response; /* [period] */
};

/* ---- The sequence ---------------------------------------------------------------------------- */

static uint32_t next_state(const struct takt_roundtrip *r, uint32_t state)
{
    uint32_t taps = polynomials[r->order] & r->period;
    uint32_t bit = (uint32_t)__builtin_parity(state & taps);
    return state >> 1 | bit << (r->order - 1);
}

static uint32_t times_x(const struct takt_roundtrip *r, uint32_t power)
{
    power <<= 1;
    return power & ~r->period ? power ^ polynomials[r->order] : power;
}

int takt_roundtrip_create(const struct takt_roundtrip_cfg *cfg, struct takt_roundtrip **out,
                          struct takt_error *e)
{
    *out = NULL;
    uint32_t order = cfg->order ? cfg->order : 15, periods = cfg->periods ? cfg->periods : 3;
    double level_dbfs = cfg->level_dbfs != 0 ? cfg->level_dbfs : -20;
    if (order < ORDER_LEAST || order > ORDER_MOST || periods > PERIODS_MOST ||
        !(level_dbfs >= -100 && level_dbfs < 0))
        return takt_fail(
            e, TAKT_ERR_ARG, 0,
            "a round trip of order %u, %u periods, %g dBFS: the order is %d to %d, the "
            "periods 1 to %d, the level -100 to below 0 dBFS",
            order, periods, level_dbfs, ORDER_LEAST, ORDER_MOST, PERIODS_MOST);
    struct takt_roundtrip *r = calloc(1, sizeof *r);
    if (!r)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    r->order = order;
    r->periods = periods;
    r->period = (1u << order) - 1;
    r->amplitude = (float)pow(10, level_dbfs / 20);
    r->sequence = takt_calloc_touched(r->period, sizeof *r->sequence);
    r->first = takt_calloc_touched(2 * (size_t)r->period, sizeof *r->first);
    r->sum = takt_calloc_touched(r->period, sizeof *r->sum);
    r->work = calloc(r->period + 1u, sizeof *r->work);
    r->response = calloc(r->period, sizeof *r->response);
    if (!r->sequence || !r->first || !r->sum || !r->work || !r->response) {
        takt_roundtrip_destroy(r);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    uint32_t state = 1;
    for (uint32_t i = 0; i < r->period; i++, state = next_state(r, state))
        r->sequence[i] = state & 1 ? -r->amplitude : r->amplitude;
    TAKT_ASSERT(state == 1);
    *out = r;
    return 0;
}

void takt_roundtrip_destroy(struct takt_roundtrip *r)
{
    if (!r)
        return;
    free(r->sequence);
    free(r->first);
    free(r->sum);
    free(r->work);
    free(r->response);
    free(r);
}

uint32_t takt_roundtrip_period(const struct takt_roundtrip *r)
{
    return r->period;
}

uint64_t takt_roundtrip_length(const struct takt_roundtrip *r)
{
    return (uint64_t)r->period * (2 + r->periods);
}

/* ---- The callback's part --------------------------------------------------------------------- */

static float finite_or_0(float x)
{
    return isfinite(x) ? x : 0;
}

/* Frames that lie within one period, from its frame `at` on. The 0th is silent, the 1st fills the
 * path, the others are averaged. */
static void process_within(struct takt_roundtrip *r, uint32_t turn, uint32_t at, const float *in,
                           float *out, uint32_t frames)
{
    for (uint32_t i = 0; i < frames; i++) {
        float x = finite_or_0(in[i]);
        r->clips += fabsf(x) >= full_scale;
        out[i] = turn ? r->sequence[at + i] : 0;
        if (turn == 0 && at + i >= r->period / 2) { /* until then something may still die away */
            r->quiet_sum += (double)x;
            r->quiet_squares += (double)x * (double)x;
            r->quiet_frames++;
        }
        if (turn == 1 || turn == 2)
            r->first[(turn - 1) * r->period + at + i] = x;
        if (turn >= 2)
            r->sum[at + i] += (double)x;
    }
}

void takt_roundtrip_process(struct takt_roundtrip *r, uint64_t position, const float *in,
                            float *out, size_t frames)
{
    if (atomic_load_explicit(&r->done, memory_order_acquire)) {
        memset(out, 0, frames * sizeof *out);
        return;
    }
    if (!r->begun) {
        r->begun = true;
        r->begin = r->next = position;
    }
    r->lost_frames += position - r->next;
    r->next = position + frames;
    uint64_t at = position - r->begin, end = takt_roundtrip_length(r);
    TAKT_ASSERT(r->period);
    while (frames && at < end) {
        uint32_t left = r->period - (uint32_t)(at % r->period);
        uint32_t now = frames < left ? (uint32_t)frames : left;
        process_within(r, (uint32_t)(at / r->period), (uint32_t)(at % r->period), in, out, now);
        in += now;
        out += now;
        at += now;
        frames -= now;
    }
    memset(out, 0, frames * sizeof *out);
    if (at >= end)
        atomic_store_explicit(&r->done, true, memory_order_release);
}

bool takt_roundtrip_done(const struct takt_roundtrip *r)
{
    return atomic_load_explicit(&r->done, memory_order_acquire);
}

int takt_roundtrip_restart(struct takt_roundtrip *r)
{
    if (!takt_roundtrip_done(r))
        return TAKT_ERR_STATE;
    memset(r->first, 0, 2 * (size_t)r->period * sizeof *r->first);
    memset(r->sum, 0, r->period * sizeof *r->sum);
    r->begun = false;
    r->clips = r->lost_frames = r->quiet_frames = 0;
    r->quiet_sum = r->quiet_squares = 0;
    atomic_store_explicit(&r->done, false, memory_order_release);
    return 0;
}

/* ---- The reader's part ----------------------------------------------------------------------- */

/* In place, unscaled: x[i] becomes the sum of (-1)^parity(i & j) * x[j]. */
static void hadamard(double *x, uint32_t n)
{
    for (uint32_t half = 1; half < n; half *= 2)
        for (uint32_t block = 0; block < n; block += 2 * half)
            for (uint32_t i = block; i < block + half; i++) {
                double a = x[i], b = x[i + half];
                x[i] = a + b;
                x[i + half] = a - b;
            }
}

/* The impulse response, one value for each delay below a period. dc: the input's own. */
static void find_response(struct takt_roundtrip *r, double dc)
{
    double total = 0;
    uint32_t state = 1, power = 1, n = r->period;
    r->work[0] = 0;
    for (uint32_t i = 0; i < n; i++, state = next_state(r, state)) {
        double y = r->sum[i] / r->periods - dc;
        r->work[state] = y;
        total += y;
    }
    hadamard(r->work, n + 1);
    double scale = 1 / ((n + 1.0) * (double)r->amplitude);
    for (uint32_t i = 0; i < n; i++, power = times_x(r, power))
        r->response[i ? n - i : 0] = (r->work[power] - total) * scale;
}

/* How far two delays are apart, either way around the period. */
static uint32_t apart(const struct takt_roundtrip *r, uint32_t a, uint32_t b)
{
    uint32_t d = a > b ? a - b : b - a;
    return d < r->period - d ? d : r->period - d;
}

/* The earliest of the largest values, of those that are so far from `from` at the least. */
static uint32_t largest(const struct takt_roundtrip *r, uint32_t from, uint32_t least_apart)
{
    uint32_t best = 0;
    double most = -1;
    for (uint32_t i = 0; i < r->period; i++)
        if (fabs(r->response[i]) > most && apart(r, i, from) >= least_apart) {
            best = i;
            most = fabs(r->response[i]);
        }
    return best;
}

/* Takes away what all values have in common, which is what the quiet period left of the input's
 * own mean, and returns the RMS of those far from the peak. */
static double level_out(struct takt_roundtrip *r, uint32_t peak)
{
    double sum = 0, squares = 0, count = r->period - (2.0 * NEAR_FRAMES - 1);
    for (uint32_t i = 0; i < r->period; i++)
        sum += apart(r, i, peak) >= NEAR_FRAMES ? r->response[i] : 0;
    for (uint32_t i = 0; i < r->period; i++) {
        r->response[i] -= sum / count;
        squares += apart(r, i, peak) >= NEAR_FRAMES ? r->response[i] * r->response[i] : 0;
    }
    return sqrt(squares / count);
}

/* Where the parabola through the peak and its neighbours is highest. */
static double top_of_parabola(const struct takt_roundtrip *r, uint32_t peak)
{
    uint32_t n = r->period;
    double sign = r->response[peak] < 0 ? -1 : 1;
    double before = sign * r->response[peak ? peak - 1 : n - 1], top = sign * r->response[peak];
    double after = sign * r->response[peak + 1 < n ? peak + 1 : 0];
    double bend = 2 * top - before - after;
    return bend > 0 ? 0.5 * (after - before) / bend : 0;
}

/* The same period comes back over and over, so a delay and one that is a period longer look the
 * same but for their beginning: how much of the sequence's first turn is there at that delay. */
static double share_of_first(const struct takt_roundtrip *r, uint32_t delay, double gain, double dc)
{
    double found = 0;
    for (uint32_t i = 0; i < r->period; i++)
        found += ((double)r->first[delay + i] - dc) * (double)r->sequence[i];
    return found / (gain * r->period * (double)r->amplitude * (double)r->amplitude);
}

static double rms_of_average(const struct takt_roundtrip *r, double dc)
{
    double squares = 0;
    for (uint32_t i = 0; i < r->period; i++)
        squares += (r->sum[i] / r->periods - dc) * (r->sum[i] / r->periods - dc);
    return sqrt(squares / r->period);
}

static enum takt_roundtrip_verdict judge(const struct takt_roundtrip *r, uint32_t peak,
                                         double snr_db, double dc, double quiet)
{
    double level = rms_of_average(r, dc);
    if (snr_db < least_snr_db || level < least_level)
        return level < least_level || level < quiet * louder_than_quiet ? TAKT_ROUNDTRIP_SILENCE
                                                                        : TAKT_ROUNDTRIP_NOISE;
    return share_of_first(r, peak, r->response[peak], dc) < 0.5 ? TAKT_ROUNDTRIP_LATE
                                                                : TAKT_ROUNDTRIP_MEASURED;
}

int takt_roundtrip_read(struct takt_roundtrip *r, struct takt_roundtrip_result *out,
                        struct takt_error *e)
{
    *out = (struct takt_roundtrip_result){.verdict = TAKT_ROUNDTRIP_SILENCE};
    if (!takt_roundtrip_done(r))
        return takt_fail(e, TAKT_ERR_STATE, 0, "the round trip is not measured yet");
    double quiet_frames = r->quiet_frames ? (double)r->quiet_frames : 1;
    double dc = r->quiet_sum / quiet_frames;
    double quiet = sqrt(fmax(r->quiet_squares / quiet_frames - dc * dc, 0));
    find_response(r, dc);
    uint32_t peak = largest(r, 0, 0);
    double rest = level_out(r, peak);
    uint32_t second = largest(r, peak, NEAR_FRAMES);
    double gain = r->response[peak], size = fabs(gain);
    out->snr_db = takt_dbfs(size) - takt_dbfs(rest);
    out->gain = gain;
    out->level_dbfs = takt_dbfs(size * (double)r->amplitude);
    out->noise_dbfs = takt_dbfs(quiet);
    out->second_frames = second;
    out->second_db = size > 0 ? fmin(takt_dbfs(fabs(r->response[second]) / size), 0) : -200;
    out->clips = r->clips;
    out->lost_frames = r->lost_frames;
    out->verdict = judge(r, peak, out->snr_db, dc, quiet);
    if (out->verdict == TAKT_ROUNDTRIP_MEASURED) {
        out->frames = peak;
        out->fraction = top_of_parabola(r, peak);
    }
    return 0;
}

const char *takt_roundtrip_verdict_name(enum takt_roundtrip_verdict verdict)
{
    static const char *const names[] = {"measured", "silence", "noise", "late"};
    return (size_t)verdict < sizeof names / sizeof *names ? names[verdict] : "unknown";
}
