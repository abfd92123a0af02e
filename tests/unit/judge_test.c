/* The judge of bench/net_peers, on tools that do what is planted and nothing else. */
#include "../../bench/net_peers/judge.h"

#include "base/random.h"
#include "tap.h"

#include <math.h>

enum { BLOCK = 128, BLOCKS = 1500, ALL = BLOCK * BLOCKS, FRAMES = ALL / JUDGE_FRAME };
enum { DELAY = 480, SETTLED = 10 }; /* 10 ms; the first frames are from before the sound began */

static const int64_t period_ns = BLOCK * 1000000000ll / JUDGE_RATE;

static float sent[ALL], heard[ALL];
static struct judge_block sent_at[BLOCKS], heard_at[BLOCKS];
static char marks[FRAMES + 1];
static struct judge_verdict v;

/* Two servers, the second begun 1 ms into a block of the first, that wake up late by chance. */
static void begin(void)
{
    struct takt_random r = takt_random_seed(5);
    judge_noise(sent, ALL, 7, 0);
    for (int i = 0; i < BLOCKS; i++) {
        double late[2] = {takt_random_unit(&r), takt_random_unit(&r)};
        int64_t ns = 5000000000ll + i * (BLOCK * 1000000000ll) / JUDGE_RATE;
        sent_at[i] =
            (struct judge_block){1000 + i * BLOCK, ns + (int64_t)(3e5 * late[0] * late[0])};
        heard_at[i] =
            (struct judge_block){77 + i * BLOCK, ns + 1000000 + (int64_t)(3e5 * late[1] * late[1])};
    }
    for (int i = 0; i < ALL; i++)
        heard[i] = i < DELAY ? 0 : sent[i - DELAY];
}

static bool judged(double threshold)
{
    v = (struct judge_verdict){.marks = marks, .marks_room = FRAMES};
    return judge(&(struct judge_side){sent, sent_at, BLOCKS, BLOCK},
                 &(struct judge_side){heard, heard_at, BLOCKS, BLOCK},
                 &(struct judge_cfg){.threshold = threshold}, &v);
}

/* How many are marked so among these, to excluded. */
static int marked(char mark, int from, int to)
{
    int count = 0;
    for (int i = from; i < to; i++)
        count += marks[i] == mark;
    return count;
}

static void judge_clean_delay_is_right_everywhere_and_told_in_true_time(void)
{
    begin();
    CHECK(judged(0.99));
    CHECK_INT(v.frames, FRAMES);
    CHECK_INT(v.wrong, DELAY / JUDGE_FRAME);
    CHECK_INT(v.silent, DELAY / JUDGE_FRAME);
    CHECK_NEAR(v.p50_ms, 11, 0.02);
    CHECK_NEAR(v.max_ms, 11, 0.3);
    CHECK_NEAR(v.floor_ms, 1, 0.02);
}

static void judge_delay_between_two_samples_is_found(void)
{
    begin();
    enum { SIDE = 32 };
    const double pi = 3.14159265358979323846;
    for (int i = DELAY + SIDE; i < ALL; i++) { /* half a sample more, by a windowed sinc */
        double sum = 0;
        for (int k = -SIDE; k < SIDE; k++)
            sum += (double)sent[i - DELAY + k < ALL ? i - DELAY + k : ALL - 1] *
                   sin(pi * (k + 0.5)) / (pi * (k + 0.5)) * cos(pi / 2 * (k + 0.5) / SIDE);
        heard[i] = (float)sum;
    }
    CHECK(judged(0.99));
    CHECK_INT(marked('x', SETTLED, FRAMES - 1), 0);
    CHECK_NEAR(v.p50_ms, 11 + 500.0 / JUDGE_RATE, 0.02);
}

/* Each in a frame of its own, far from the others. */
static void judge_holes_of_one_millisecond_are_wrong_each_in_its_frame(void)
{
    begin();
    for (int f = 100; f < 1500; f += 100)
        memset(heard + f * JUDGE_FRAME + 30, 0, 48 * sizeof *heard);
    CHECK(judged(0.98));
    for (int f = SETTLED; f < FRAMES; f++)
        CHECK_INT(marks[f], f >= 100 && f < 1500 && f % 100 == 0 ? 'x' : '.');
}

static void judge_lost_block_is_wrong_in_the_frames_that_it_touches(void)
{
    begin();
    memset(heard + 800 * JUDGE_FRAME + 60, 0, 2 * JUDGE_FRAME * sizeof *heard);
    CHECK(judged(0.9));
    CHECK_INT(v.wrong, DELAY / JUDGE_FRAME + 3);
    CHECK_INT(marks[801], '0');
}

/* 20 ms that were played before, where others should be: each frame of it is like something sent.
 */
static void judge_sound_played_twice_is_wrong(void)
{
    begin();
    memcpy(heard + 800 * JUDGE_FRAME, heard + 792 * JUDGE_FRAME, 8 * JUDGE_FRAME * sizeof *heard);
    CHECK(judged(0.9));
    CHECK_INT(marked('x', 800, 808), 8);
    CHECK_INT(marked('.', SETTLED, 800) + marked('.', 808, FRAMES), FRAMES - SETTLED - 8);
}

/* A packet left out for good: only the seam is wrong, and the delay is less from there on. */
static void judge_skip_is_wrong_at_its_seam_alone(void)
{
    begin();
    int seam = 800 * JUDGE_FRAME + 60;
    for (int i = seam; i < ALL; i++)
        heard[i] = sent[i - DELAY + BLOCK < ALL ? i - DELAY + BLOCK : ALL - 1];
    CHECK(judged(0.9));
    CHECK_INT(marks[800], 'x');
    CHECK_INT(marked('.', SETTLED, 800) + marked('.', 801, FRAMES - 2), FRAMES - 2 - SETTLED - 1);
    CHECK_NEAR(v.p95_ms, 11, 0.02);
    CHECK_NEAR(v.p50_ms, 11 - (double)period_ns / 1e6, 0.02);
}

static void judge_made_up_sound_is_wrong_and_codec_noise_is_not(void)
{
    begin();
    float *other = malloc(sizeof heard);
    CHECK(other);
    judge_noise(other, ALL, 8, 0);
    for (int i = DELAY; i < ALL; i++) /* 12 dB below the sound */
        heard[i] += 0.25f * other[i];
    for (int i = 600 * JUDGE_FRAME; i < 610 * JUDGE_FRAME; i++)
        heard[i] = other[i];
    free(other);
    CHECK(judged(0.9));
    CHECK_INT(marked('x', 600, 610), 10);
    CHECK(marked('x', SETTLED, FRAMES) <= 12);
}

static void judge_level_that_fades_is_wrong(void)
{
    begin();
    for (int i = 900 * JUDGE_FRAME; i < 904 * JUDGE_FRAME; i++)
        heard[i] *= 0.3f;
    CHECK(judged(0.9));
    CHECK_INT(marked('x', 900, 904), 4);
    CHECK_INT(marked('x', SETTLED, FRAMES), 4);
}

/* 0.5 % faster for 100 ms, then slower again, as a receiver does that moves its delay. */
static void judge_slow_resampling_is_right(void)
{
    begin();
    double at = 1000;
    for (int i = DELAY + 1000; i < ALL; i++) {
        int phase = i % (8 * 4800);
        at += phase < 4800 ? 1.005 : phase >= 4 * 4800 && phase < 5 * 4800 ? 0.995 : 1;
        int k = (int)at;
        double u = at - k; /* by a cubic through four samples */
        double a = (double)sent[k - 1], b = (double)sent[k], c = (double)sent[k + 1],
               d = (double)sent[k + 2 < ALL ? k + 2 : ALL - 1];
        heard[i] =
            (float)(b + 0.5 * u *
                            (c - a + u * (2 * a - 5 * b + 4 * c - d + u * (3 * (b - c) + d - a))));
    }
    CHECK(judged(0.98));
    CHECK_INT(marked('x', 30, FRAMES - 3), 0);
    CHECK(v.p50_ms > 10.5 && v.max_ms < 11.3);
}

/* What the bench itself missed is no fault of the tool's. */
static void judge_blocks_that_the_bench_missed_are_left_out(void)
{
    begin();
    static float played[ALL];
    memcpy(played, sent, sizeof sent);
    static struct judge_block there[BLOCKS];
    int count = 0;
    for (int i = 0; i < BLOCKS; i++)
        if (i < 700 || i >= 703) {
            memcpy(played + count * BLOCK, sent + i * BLOCK, BLOCK * sizeof *sent);
            there[count++] = sent_at[i];
        }
    memset(heard + DELAY + 700 * BLOCK, 0, 3 * BLOCK * sizeof *heard);
    v = (struct judge_verdict){.marks = marks, .marks_room = FRAMES};
    CHECK(judge(&(struct judge_side){played, there, (size_t)count, BLOCK},
                &(struct judge_side){heard, heard_at, BLOCKS, BLOCK},
                &(struct judge_cfg){.threshold = 0.9}, &v));
    CHECK_INT(v.wrong, DELAY / JUDGE_FRAME);
    CHECK(v.unheard >= 2 && v.unheard <= 4); /* the others are silent on both sides */
    CHECK_INT(v.frames + v.unheard, FRAMES);
}

/* One hole long after any stall, one soon after a block that came 5 ms late, on either host. */
static void judge_frames_after_a_stall_are_told_apart(void)
{
    for (int side = 0; side < 2; side++) {
        begin();
        memset(heard + 400 * JUDGE_FRAME, 0, JUDGE_FRAME * sizeof *heard);
        memset(heard + 800 * JUDGE_FRAME, 0, 2 * JUDGE_FRAME * sizeof *heard);
        (side ? heard_at : sent_at)[745].ns += 5000000; /* frame 795 or so */
        CHECK(judged(0.9));
        CHECK_INT(v.wrong, DELAY / JUDGE_FRAME + 3);
        CHECK_INT(v.calm_wrong, DELAY / JUDGE_FRAME + 1);
        CHECK_INT(v.stalls, 1);
        CHECK(v.calm >= v.frames - 62 && v.calm <= v.frames - 58);
    }
    begin();
    for (int i = 745; i < BLOCKS; i++) /* the server lost 5 ms and begins anew */
        heard_at[i].ns += 5000000;
    memset(heard + 800 * JUDGE_FRAME, 0, JUDGE_FRAME * sizeof *heard);
    CHECK(judged(0.9));
    CHECK_INT(v.calm_wrong, DELAY / JUDGE_FRAME);
}

/* A server whose client holds it up goes on later, with the count it had: time is missing from it,
 * in the end more than any sound is early. */
static void judge_server_that_loses_time_is_followed(void)
{
    enum { HELD_UP = 200, LOST_BLOCKS = 4 };
    begin();
    for (int i = 0; i < BLOCKS; i++) {
        int lost = i / HELD_UP * LOST_BLOCKS;
        heard_at[i].ns += lost * period_ns;
        for (int k = 0; k < BLOCK; k++) {
            int at = (i + lost) * BLOCK + k - DELAY;
            heard[i * BLOCK + k] = at < 0 || at >= ALL ? 0 : sent[at];
        }
    }
    CHECK(judged(0.9));
    int seams = BLOCKS / HELD_UP, end = (BLOCKS - seams * LOST_BLOCKS) * BLOCK / JUDGE_FRAME - 2;
    CHECK(marked('x', SETTLED, end) <= 2 * seams);
    CHECK(marked('.', SETTLED, end) >= end - SETTLED - 2 * seams);
    CHECK_NEAR(v.p95_ms, 11, 0.1);
    CHECK_INT(v.stalls, seams);
}

static void judge_nothing_heard_is_all_wrong(void)
{
    begin();
    memset(heard, 0, sizeof heard);
    CHECK(judged(0.9));
    CHECK_INT(v.wrong, FRAMES);
    CHECK_INT(v.silent, FRAMES);
    CHECK_NEAR(v.p50_ms, 0, 0);
}

static void judge_looks_at_the_end_alone_when_asked(void)
{
    begin();
    memset(heard + ALL - 2 * JUDGE_FRAME, 0, 2 * JUDGE_FRAME * sizeof *heard);
    v = (struct judge_verdict){0};
    CHECK(judge(&(struct judge_side){sent, sent_at, BLOCKS, BLOCK},
                &(struct judge_side){heard, heard_at, BLOCKS, BLOCK},
                &(struct judge_cfg){.threshold = 0.9, .last_s = 1}, &v));
    CHECK_INT(v.frames, JUDGE_RATE / JUDGE_FRAME);
    CHECK_INT(v.wrong, 2);
    v = (struct judge_verdict){0};
    CHECK(!judge(&(struct judge_side){sent, sent_at, BLOCKS, BLOCK},
                 &(struct judge_side){heard, heard_at, 0, BLOCK},
                 &(struct judge_cfg){.threshold = 0.9}, &v));
}

int main(void)
{
    RUN(judge_clean_delay_is_right_everywhere_and_told_in_true_time);
    RUN(judge_delay_between_two_samples_is_found);
    RUN(judge_holes_of_one_millisecond_are_wrong_each_in_its_frame);
    RUN(judge_lost_block_is_wrong_in_the_frames_that_it_touches);
    RUN(judge_sound_played_twice_is_wrong);
    RUN(judge_skip_is_wrong_at_its_seam_alone);
    RUN(judge_made_up_sound_is_wrong_and_codec_noise_is_not);
    RUN(judge_level_that_fades_is_wrong);
    RUN(judge_slow_resampling_is_right);
    RUN(judge_blocks_that_the_bench_missed_are_left_out);
    RUN(judge_frames_after_a_stall_are_told_apart);
    RUN(judge_server_that_loses_time_is_followed);
    RUN(judge_nothing_heard_is_all_wrong);
    RUN(judge_looks_at_the_end_alone_when_asked);
    return tap_done();
}
