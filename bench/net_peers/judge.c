/*
 * Both sides are laid out by their servers' frame counts, so that a place in one and a place in the
 * other differ by a lag that only the network and the tools decide. Each heard frame is looked for
 * near the last lag at which one was found, and then everywhere.
 *
 * When a block began is known from below only: a server wakes up late, never early, and its clock
 * is the machine's, so the earliest of the blocks that follow tells. After an overload the dummy
 * driver begins a new count later, never earlier, so blocks that are past must not tell.
 */
#include "judge.h"

#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    AHEAD = 512,    /* blocks that tell when one began */
    NEAR = 24,      /* samples, 0.5 ms: the same delay */
    HELD = 40,      /* frames on both sides, 100 ms */
    HELD_SHARE = 5, /* one in so many has the same delay */
    TAPS = 257,     /* of the noise's filter, odd */
    BEFORE_MS = 20, /* how much earlier than sent is looked for, since blocks' times may jump */
    DELAY_MS = 700,
};

static const double ns_a_frame = 1e9 / JUDGE_RATE;
static const double late_ns = 1e6, jump_ns = 5e5, stirred_ns = 150e6;
static const double silence_rms = 1e-4, level_fold = 2;
static const double coarse = 0.6; /* what is so alike at every other lag is looked at closely */
static const double pi = 3.14159265358979323846;

/* One side, by the server's count from its first block on. */
struct line {
    float *x;       /* [length] */
    double *energy; /* [length + 1]: of all before */
    bool *is_there; /* [length / block_frames] */
    double *ns;     /* [length / block_frames]: when the block began */
    size_t *stalls; /* [length / block_frames + 1]: in all blocks before */
    int64_t length;
    uint32_t block_frames;
};

struct match {
    double lag; /* frames; NAN: none */
    double gain;
};

/* ---- Noise ----------------------------------------------------------------------------------- */

void judge_noise(float *out, size_t frames, uint64_t seed, int channel)
{
    enum { CHUNK = 1024 };
    float taps[TAPS], chunk[CHUNK], white[CHUNK + TAPS] = {0};
    double low = 200.0 / JUDGE_RATE, high = 6000.0 / JUDGE_RATE, power = 0;
    for (int i = 0; i < TAPS; i++) {
        double t = i - TAPS / 2, window = 0.5 + 0.5 * cos(2 * pi * t / TAPS);
        double ideal =
            t == 0 ? 2 * (high - low) : (sin(2 * pi * high * t) - sin(2 * pi * low * t)) / (pi * t);
        taps[i] = (float)(ideal * window);
        power += ideal * window * ideal * window;
    }
    float scale = (float)(0.1 / sqrt(power / 3)); /* a uniform number's power is a third */
    struct takt_random r = takt_random_seed(seed * 2 + (uint64_t)channel);
    for (size_t at = 0; at < frames; at += CHUNK) {
        memset(chunk, 0, sizeof chunk);
        for (int i = 0; i < CHUNK; i++)
            white[TAPS + i] = scale * (float)(2 * takt_random_unit(&r) - 1);
        for (int k = 0; k < TAPS; k++)
            for (int i = 0; i < CHUNK; i++)
                chunk[i] += taps[k] * white[i + k];
        memcpy(out + at, chunk, (frames - at < CHUNK ? frames - at : CHUNK) * sizeof *out);
        memmove(white, white + CHUNK, TAPS * sizeof *white);
    }
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void free_line(struct line *l)
{
    free(l->x);
    free(l->energy);
    free(l->is_there);
    free(l->ns);
    free(l->stalls);
}

static void lay_out_times(struct line *l, const struct judge_side *s)
{
    int64_t count = l->length / s->block_frames, first = s->block[0].frame;
    for (size_t i = 0; i < s->blocks; i++) {
        double least = (double)INFINITY;
        for (size_t k = i; k < i + AHEAD && k < s->blocks; k++)
            least = fmin(least, (double)(s->block[k].ns - s->block[0].ns) -
                                    (double)(s->block[k].frame - first) * ns_a_frame);
        int64_t from = (s->block[i].frame - first) / s->block_frames;
        int64_t to = i + 1 < s->blocks ? (s->block[i + 1].frame - first) / s->block_frames : count;
        for (int64_t b = from; b < to; b++)
            l->ns[b] = least + (double)(b * s->block_frames) * ns_a_frame;
    }
}

static void lay_out_stalls(struct line *l, const struct judge_side *s)
{
    int64_t count = l->length / l->block_frames;
    double period = l->block_frames * ns_a_frame;
    for (size_t i = 0; i < s->blocks; i++) {
        int64_t b = (s->block[i].frame - s->block[0].frame) / l->block_frames;
        l->stalls[b + 1] = (double)(s->block[i].ns - s->block[0].ns) - l->ns[b] > late_ns;
    }
    for (int64_t b = 0; b < count; b++) {
        bool jumps = b > 0 && l->ns[b] - l->ns[b - 1] > period + jump_ns;
        bool is_one = l->stalls[b + 1] || jumps || !l->is_there[b];
        l->stalls[b + 1] = l->stalls[b] + is_one;
    }
}

static bool lay_out(struct line *l, const struct judge_side *s)
{
    *l = (struct line){.block_frames = s->block_frames};
    if (s->blocks == 0)
        return false;
    l->length = s->block[s->blocks - 1].frame - s->block[0].frame + s->block_frames;
    size_t length = (size_t)l->length, count = length / s->block_frames;
    l->x = calloc(length, sizeof *l->x);
    l->energy = calloc(length + 1, sizeof *l->energy);
    l->is_there = calloc(count, sizeof *l->is_there);
    l->ns = calloc(count, sizeof *l->ns);
    l->stalls = calloc(count + 1, sizeof *l->stalls);
    if (!l->x || !l->energy || !l->is_there || !l->ns || !l->stalls)
        return false;
    for (size_t i = 0; i < s->blocks; i++) {
        int64_t at = s->block[i].frame - s->block[0].frame;
        memcpy(l->x + at, s->samples + i * s->block_frames, s->block_frames * sizeof *l->x);
        l->is_there[at / s->block_frames] = true;
    }
    for (size_t i = 0; i < length; i++)
        l->energy[i + 1] = l->energy[i] + (double)l->x[i] * (double)l->x[i];
    lay_out_times(l, s);
    lay_out_stalls(l, s);
    return true;
}

/* Whether all blocks of a frame are there. */
static bool is_whole(const struct line *l, int64_t at)
{
    if (at < 0 || at + JUDGE_FRAME > l->length)
        return false;
    for (int64_t b = at / l->block_frames; b <= (at + JUDGE_FRAME - 1) / l->block_frames; b++)
        if (!l->is_there[b])
            return false;
    return true;
}

/* Since the side's first block began. */
static double time_of(const struct line *l, double at)
{
    int64_t count = l->length / l->block_frames, b = (int64_t)floor(at / l->block_frames);
    b = b < 0 ? 0 : b >= count ? count - 1 : b;
    return l->ns[b] + (at - (double)(b * l->block_frames)) * ns_a_frame;
}

/* The first block that began at ns or later. */
static size_t block_at(const struct line *l, double ns)
{
    size_t low = 0, high = (size_t)(l->length / l->block_frames);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (l->ns[middle] < ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* What a side sends at ns. Servers lose time when they are overloaded, each by itself, so that
 * their counts drift apart. */
static double place_at(const struct line *l, double ns)
{
    size_t next = block_at(l, ns), b = next ? next - 1 : 0;
    return (double)b * l->block_frames + (ns - l->ns[b]) / ns_a_frame;
}

static bool is_calm(const struct line *l, double ns)
{
    return l->stalls[block_at(l, ns)] == l->stalls[block_at(l, ns - stirred_ns)];
}

static size_t stalls_from(const struct line *l, double ns)
{
    return l->stalls[l->length / l->block_frames] - l->stalls[block_at(l, ns)];
}

static double energy_of(const struct line *l, int64_t at)
{
    return l->energy[at + JUDGE_FRAME] - l->energy[at];
}

/* ---- Matches --------------------------------------------------------------------------------- */

static double product(const float *a, const float *b)
{
    enum { LANES = 8 };
    float sum[LANES] = {0};
    for (int i = 0; i < JUDGE_FRAME; i += LANES)
        for (int k = 0; k < LANES; k++)
            sum[k] += a[i + k] * b[i + k];
    double all = 0;
    for (int k = 0; k < LANES; k++)
        all += (double)sum[k];
    return all;
}

static double alike(const struct line *sent, const struct line *heard, int64_t at, int64_t lag)
{
    int64_t from = at - lag;
    if (from < 0 || from + JUDGE_FRAME > sent->length)
        return 0;
    double both = energy_of(sent, from) * energy_of(heard, at);
    return both > 0 ? product(heard->x + at, sent->x + from) / sqrt(both) : 0;
}

/* The best of these lags; what lies between two is read off a parabola. */
static double best_within(const struct line *sent, const struct line *heard, int64_t at,
                          int64_t low, int64_t high, double *lag)
{
    double best = 0;
    int64_t best_lag = low;
    for (int64_t l = low; l <= high; l++) {
        double c = alike(sent, heard, at, l);
        if (c > best) {
            best = c;
            best_lag = l;
        }
    }
    double a = alike(sent, heard, at, best_lag - 1), c = alike(sent, heard, at, best_lag + 1);
    double bend = a - 2 * best + c;
    *lag = (double)best_lag;
    if (best < coarse || a > best || c > best || !(bend < 0))
        return best;
    *lag += 0.5 * (a - c) / bend;
    return fmin(1, best - (a - c) * (a - c) / (8 * bend));
}

static double best_anywhere(const struct line *sent, const struct line *heard, int64_t at,
                            int64_t low, int64_t high, double *lag)
{
    double best = 0;
    for (int64_t l = low; l <= high; l += 2) {
        if (alike(sent, heard, at, l) < coarse)
            continue;
        double close_lag, c = best_within(sent, heard, at, l - 2, l + 2, &close_lag);
        if (c > best) {
            best = c;
            *lag = close_lag;
        }
    }
    return best;
}

static struct match find(const struct line *sent, const struct line *heard, int64_t at,
                         double threshold, const int64_t range[2], double last)
{
    struct match m = {(double)NAN, 0};
    double lag, c = 0;
    int64_t near = isnan(last) ? 0 : (int64_t)lround(last);
    if (!isnan(last))
        c = best_within(sent, heard, at, near - NEAR, near + NEAR, &lag);
    if (c < threshold)
        c = best_anywhere(sent, heard, at, range[0], range[1], &lag);
    if (c < threshold)
        return m;
    m.lag = lag;
    m.gain = c * sqrt(energy_of(heard, at) / energy_of(sent, at - (int64_t)lround(lag)));
    return m;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile_of_sorted(const double *x, size_t count, double q)
{
    return count ? x[(size_t)(q * (double)(count - 1) + 0.5)] : 0;
}

/* Whether enough frames around i have its delay. */
static bool is_held(const struct match *m, size_t count, size_t i)
{
    size_t from = i < HELD ? 0 : i - HELD, to = i + HELD < count ? i + HELD + 1 : count, same = 0;
    for (size_t k = from; k < to; k++)
        same += fabs(m[k].lag - m[i].lag) <= NEAR; /* never with NAN */
    return same * HELD_SHARE >= to - from;
}

static void settle(const struct match *m, char *marks, size_t count, double *scratch)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(m[i].lag))
            scratch[found++] = m[i].gain;
    qsort(scratch, found, sizeof *scratch, compare);
    double gain = quantile_of_sorted(scratch, found, 0.5);
    for (size_t i = 0; i < count; i++)
        if (marks[i] == 'x' && !isnan(m[i].lag) && is_held(m, count, i) &&
            m[i].gain < level_fold * gain && m[i].gain * level_fold > gain)
            marks[i] = '.';
}

/* Nothing is known of a frame that was due while the bench sent nothing. */
static void leave_out_unsent(const struct line *sent, const struct match *m, char *marks,
                             size_t count, int64_t first)
{
    double lag = (double)NAN;
    for (size_t i = 0; i < count; i++) {
        if (marks[i] == '.')
            lag = m[i].lag;
        else if (!isnan(lag) &&
                 !is_whole(sent, first + (int64_t)i * JUDGE_FRAME - (int64_t)lround(lag)))
            marks[i] = '-';
    }
}

/* From a block's beginning on the one server to the next on the other, ms: the median, for after an
 * overload a server begins its blocks at other times. */
static double floor_ms(const struct line *sent, const struct line *heard, double apart_ns,
                       int64_t first, size_t count, double *scratch)
{
    for (size_t i = 0; i < count; i++) {
        int64_t at = first + (int64_t)i * JUDGE_FRAME;
        double ns = heard->ns[at / heard->block_frames] + apart_ns;
        size_t next = block_at(sent, ns);
        double since = next ? ns - sent->ns[next - 1] : 0;
        double period = sent->block_frames * ns_a_frame;
        scratch[i] = (since - period * floor(since / period)) / 1e6;
    }
    qsort(scratch, count, sizeof *scratch, compare);
    return quantile_of_sorted(scratch, count, 0.5);
}

static void sum_up(const struct line *sent, const struct line *heard, const struct match *m,
                   const char *marks, size_t count, int64_t first, double apart_ns, double *scratch,
                   struct judge_verdict *v)
{
    size_t right = 0;
    for (size_t i = 0; i < count; i++) {
        v->frames += marks[i] != '-';
        v->unheard += marks[i] == '-';
        v->silent += marks[i] == '0';
        v->wrong += marks[i] == 'x' || marks[i] == '0';
        double at = (double)(first + (int64_t)i * JUDGE_FRAME), end = at + JUDGE_FRAME;
        if (marks[i] != '-' && is_calm(heard, time_of(heard, end)) &&
            is_calm(sent, time_of(heard, end) + apart_ns)) {
            v->calm++;
            v->calm_wrong += marks[i] != '.';
        }
        if (marks[i] == '.')
            scratch[right++] = (time_of(heard, at) + apart_ns - time_of(sent, at - m[i].lag)) / 1e6;
    }
    qsort(scratch, right, sizeof *scratch, compare);
    v->p50_ms = quantile_of_sorted(scratch, right, 0.5);
    v->p95_ms = quantile_of_sorted(scratch, right, 0.95);
    v->max_ms = quantile_of_sorted(scratch, right, 1);
    double from = time_of(heard, (double)first);
    v->stalls = stalls_from(heard, from) + stalls_from(sent, from + apart_ns);
    v->floor_ms = floor_ms(sent, heard, apart_ns, first, count, scratch);
}

static void judge_lines(const struct line *sent, const struct line *heard, double apart_ns,
                        const struct judge_cfg *cfg, int64_t first, size_t count, struct match *m,
                        double *scratch, char *marks, struct judge_verdict *v)
{
    double ms = cfg->delay_ms_max > 0 ? cfg->delay_ms_max : DELAY_MS;
    double last = (double)NAN;
    for (size_t i = 0; i < count; i++) {
        int64_t at = first + (int64_t)i * JUDGE_FRAME;
        double zero = (double)at - place_at(sent, time_of(heard, (double)at) + apart_ns);
        int64_t range[2] = {(int64_t)floor(zero - BEFORE_MS * JUDGE_RATE / 1e3),
                            (int64_t)ceil(zero + ms * JUDGE_RATE / 1e3)};
        bool is_silent = energy_of(heard, at) < JUDGE_FRAME * silence_rms * silence_rms;
        m[i] = (struct match){(double)NAN, 0};
        marks[i] = !is_whole(heard, at) ? '-' : is_silent ? '0' : 'x';
        if (marks[i] == 'x')
            m[i] = find(sent, heard, at, cfg->threshold, range, last);
        last = isnan(m[i].lag) ? last : m[i].lag;
    }
    settle(m, marks, count, scratch);
    leave_out_unsent(sent, m, marks, count, first);
    sum_up(sent, heard, m, marks, count, first, apart_ns, scratch, v);
}

bool judge(const struct judge_side *sent, const struct judge_side *heard,
           const struct judge_cfg *cfg, struct judge_verdict *v)
{
    char *out = v->marks;
    size_t room = v->marks_room;
    *v = (struct judge_verdict){.marks = out, .marks_room = room};
    struct line s = {0}, h = {0};
    bool is_laid_out = lay_out(&s, sent) && lay_out(&h, heard);
    int64_t frames = h.length;
    if (cfg->last_s > 0)
        frames = (int64_t)fmin((double)frames, cfg->last_s * JUDGE_RATE);
    size_t count = is_laid_out ? (size_t)(frames / JUDGE_FRAME) : 0;
    struct match *m = calloc(count + 1, sizeof *m);
    double *scratch = calloc(count + 1, sizeof *scratch);
    char *marks = calloc(count + 1, 1);
    bool can = count > 0 && m && scratch && marks;
    if (can) {
        double apart_ns = (double)(heard->block[0].ns - sent->block[0].ns);
        judge_lines(&s, &h, apart_ns, cfg, h.length - (int64_t)count * JUDGE_FRAME, count, m,
                    scratch, marks, v);
        if (out)
            memcpy(out, marks, count < room ? count : room);
    }
    free(marks);
    free(scratch);
    free(m);
    free_line(&h);
    free_line(&s);
    return can;
}
