/*
 * The back-off doubles each time the callback is bypassed or fails a trial, and halves again for
 * each stretch of its own length that the callback is heard without an overrun. So one that fails
 * for good costs a few trials a minute, and one that failed once is soon trusted again.
 *
 * Invariants: retry_frames <= backoff_frames <= retry_frames_max; missed is 0 unless heard.
 */
#include "stream/bypass.h"

enum { MISSES = 3, OF_BLOCKS = 8, PERIODS = 4, RETRY_MS = 250, RETRY_MS_MAX = 4000, TRIAL = 8 };

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

const char *takt_bypass_check(const struct takt_bypass_cfg *c)
{
    uint32_t of = or_default(c->of_blocks, OF_BLOCKS);
    if ((unsigned)c->mode > TAKT_BYPASS_DRY)
        return "mode is none of its enum's values";
    if (of > 64 || or_default(c->misses, MISSES) > of)
        return "misses is at most of_blocks, which is 1 to 64";
    if (c->retry_ms > 3600000 || c->retry_ms_max > 3600000)
        return "retry_ms and retry_ms_max are at most an hour";
    if (c->retry_ms_max && c->retry_ms_max < or_default(c->retry_ms, RETRY_MS))
        return "retry_ms_max is not below retry_ms";
    return NULL;
}

static uint64_t ms_frames(uint32_t ms, uint32_t rate_hz)
{
    return (uint64_t)ms * rate_hz / 1000;
}

void takt_bypass_init(struct takt_bypass *b, const struct takt_bypass_cfg *cfg, uint32_t rate_hz)
{
    struct takt_bypass_cfg c = *cfg;
    c.of_blocks = or_default(c.of_blocks, OF_BLOCKS);
    c.misses = or_default(c.misses, MISSES);
    c.overrun_periods = or_default(c.overrun_periods, PERIODS);
    c.trial_blocks = or_default(c.trial_blocks, TRIAL);
    c.retry_ms = or_default(c.retry_ms, RETRY_MS);
    c.retry_ms_max =
        or_default(c.retry_ms_max, c.retry_ms > RETRY_MS_MAX ? c.retry_ms : RETRY_MS_MAX);
    *b = (struct takt_bypass){.cfg = c,
                              .retry_frames = ms_frames(c.retry_ms, rate_hz),
                              .retry_frames_max = ms_frames(c.retry_ms_max, rate_hz)};
    b->backoff_frames = b->retry_frames;
}

bool takt_bypass_calls(struct takt_bypass *b, uint64_t position)
{
    if (b->state == TAKT_WAITING && position >= b->retry_at) {
        b->state = TAKT_TRIAL;
        b->kept = 0;
    }
    return b->state != TAKT_WAITING;
}

static void begin_wait(struct takt_bypass *b, uint64_t position)
{
    b->state = TAKT_WAITING;
    b->missed = 0;
    b->retry_at = position + b->backoff_frames;
    b->backoff_frames =
        2 * b->backoff_frames < b->retry_frames_max ? 2 * b->backoff_frames : b->retry_frames_max;
}

static enum takt_bypass_turn end_trial(struct takt_bypass *b, uint64_t position, bool missed)
{
    if (missed) {
        begin_wait(b, position);
        return TAKT_TURN_FAILED;
    }
    if (++b->kept < b->cfg.trial_blocks)
        return TAKT_TURN_NONE;
    b->state = TAKT_HEARD;
    b->good_since = position;
    return TAKT_TURN_BACK;
}

static void trust_more(struct takt_bypass *b, uint64_t position)
{
    while (b->backoff_frames > b->retry_frames && position - b->good_since >= b->backoff_frames) {
        b->good_since += b->backoff_frames;
        b->backoff_frames /= 2;
        if (b->backoff_frames < b->retry_frames)
            b->backoff_frames = b->retry_frames;
    }
}

static uint64_t newest(uint32_t blocks)
{
    return blocks < 64 ? (UINT64_C(1) << blocks) - 1 : UINT64_MAX;
}

enum takt_bypass_turn takt_bypass_end(struct takt_bypass *b, const struct takt_bypass_cycle *c)
{
    bool missed = c->own_ns > c->budget_ns && !c->excused;
    if (b->state == TAKT_TRIAL)
        return end_trial(b, c->position, missed);
    b->missed = (b->missed << 1 | missed) & newest(b->cfg.of_blocks);
    if (!missed) {
        trust_more(b, c->position);
        return TAKT_TURN_NONE;
    }
    b->good_since = c->position;
    bool far_over = c->own_ns > b->cfg.overrun_periods * c->budget_ns;
    if (!far_over && (uint32_t)__builtin_popcountll(b->missed) < b->cfg.misses)
        return TAKT_TURN_NONE;
    begin_wait(b, c->position);
    return TAKT_TURN_BYPASSED;
}
