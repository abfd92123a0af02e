#include "io/stamp.h"

#include "base/assert.h"

/* Below this a change is the clocks' own grain, and is followed without a word. */
enum { STEP_NS = 10000 };

static int64_t difference_ns(const struct takt_stamp_clock *c)
{
    return c->low_ns + (c->high_ns - c->low_ns) / 2;
}

/* How far the bracket lies from what was known; 0 where they overlap. */
static int64_t gap_ns(const struct takt_stamp_clock *c, int64_t low_ns, int64_t high_ns)
{
    if (low_ns > c->high_ns)
        return low_ns - c->high_ns;
    return high_ns < c->low_ns ? c->low_ns - high_ns : 0;
}

void takt_stamp_measure(struct takt_stamp_clock *c, int64_t before_ns, int64_t real_ns,
                        int64_t after_ns)
{
    TAKT_ASSERT(before_ns <= after_ns);
    int64_t low_ns = real_ns - after_ns, high_ns = real_ns - before_ns;
    int64_t gap = c->is_set ? gap_ns(c, low_ns, high_ns) : 0;
    if (gap > STEP_NS) {
        c->has_before = true;
        c->before_ns = difference_ns(c);
        c->steps++;
    }
    if (!c->is_set || gap > 0) {
        c->is_set = true;
        c->low_ns = low_ns;
        c->high_ns = high_ns;
    }
    c->low_ns = low_ns > c->low_ns ? low_ns : c->low_ns;
    c->high_ns = high_ns < c->high_ns ? high_ns : c->high_ns;
}

int64_t takt_stamp_convert(const struct takt_stamp_clock *c, int64_t real_ns, int64_t now_ns)
{
    TAKT_ASSERT(c->is_set);
    int64_t at_ns = real_ns - difference_ns(c);
    if (c->has_before) {
        int64_t or_ns = real_ns - c->before_ns;
        if (at_ns > now_ns || (or_ns > at_ns && or_ns <= now_ns))
            at_ns = or_ns;
    }
    return at_ns < now_ns ? at_ns : now_ns;
}

void takt_stamp_drained(struct takt_stamp_clock *c)
{
    c->has_before = false;
}
