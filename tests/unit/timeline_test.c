/* The timeline: however long a run, each block is in one column, and no column says more or less
 * than its blocks. */
#include "base/random.h"
#include "stream/timeline.h"
#include "tap.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static struct takt_contract_column any_block(struct takt_random *r, uint64_t from)
{
    int64_t slack_ns = (int64_t)takt_random_below(r, 2000000) - 1000000;
    int64_t duration_ns = (int64_t)takt_random_below(r, 3000000);
    return (struct takt_contract_column){.from = from,
                                         .until = from + 1 + takt_random_below(r, 4096),
                                         .misses = takt_random_below(r, 20) == 0,
                                         .slack_ns_min = slack_ns,
                                         .slack_ns_max = slack_ns,
                                         .duration_ns_min = duration_ns,
                                         .duration_ns_max = duration_ns,
                                         .lateness_ns_max = (int64_t)takt_random_below(r, 100000)};
}

/* What a column of these blocks has to say. */
static struct takt_contract_column sum_of(const struct takt_contract_column *blocks, size_t count)
{
    struct takt_contract_column sum = blocks[0];
    for (size_t i = 1; i < count; i++) {
        const struct takt_contract_column *b = &blocks[i];
        sum.until = b->until;
        sum.misses += b->misses;
        if (b->slack_ns_min < sum.slack_ns_min)
            sum.slack_ns_min = b->slack_ns_min;
        if (b->slack_ns_max > sum.slack_ns_max)
            sum.slack_ns_max = b->slack_ns_max;
        if (b->duration_ns_min < sum.duration_ns_min)
            sum.duration_ns_min = b->duration_ns_min;
        if (b->duration_ns_max > sum.duration_ns_max)
            sum.duration_ns_max = b->duration_ns_max;
        if (b->lateness_ns_max > sum.lateness_ns_max)
            sum.lateness_ns_max = b->lateness_ns_max;
    }
    return sum;
}

static bool is_same(const struct takt_contract_column *a, const struct takt_contract_column *b)
{
    return !memcmp(a, b, sizeof *a);
}

/* How many blocks there are to a column after so many: the least power of two that leaves room for
 * another column. */
static size_t blocks_to_a_column(size_t blocks)
{
    size_t each = 1;
    while (each * TAKT_COLUMNS_MAX <= blocks)
        each *= 2;
    return each;
}

/* True when these columns are the blocks', all of them. */
static bool holds(const struct takt_timeline *t, const struct takt_contract_column *blocks,
                  size_t count)
{
    static struct takt_contract_column got[TAKT_COLUMNS_MAX + 1];
    size_t each = blocks_to_a_column(count), columns = (count + each - 1) / each;
    if (takt_timeline_read(t, got, TAKT_COLUMNS_MAX + 1) != (int)columns)
        return false;
    for (size_t i = 0; i < columns; i++) {
        size_t first = i * each, left = count - first;
        struct takt_contract_column want = sum_of(&blocks[first], left < each ? left : each);
        if (!is_same(&got[i], &want))
            return false;
    }
    return true;
}

static void columns_tell_of_every_block_of_a_run_of_any_length(void)
{
    enum { MOST = 20000 };
    static struct takt_contract_column blocks[MOST];
    static struct takt_timeline t;
    struct takt_random r = takt_random_seed(11);
    uint64_t at = 0;
    takt_timeline_reset(&t);
    CHECK_INT(takt_timeline_read(&t, blocks, TAKT_COLUMNS_MAX), 0);
    for (size_t n = 0; n < MOST; n++) {
        blocks[n] = any_block(&r, at);
        at = blocks[n].until;
        takt_timeline_add(&t, &blocks[n]);
        /* Every length at first, and around each doubling; some of the others. */
        bool is_near = (n + 2) % TAKT_COLUMNS_MAX < 4;
        if (n < 1100 || is_near || takt_random_below(&r, 50) == 0)
            CHECK(holds(&t, blocks, n + 1));
    }
    takt_timeline_reset(&t);
    takt_timeline_add(&t, &blocks[7]);
    CHECK(holds(&t, &blocks[7], 1));
}

static void fewer_columns_are_the_last_ones(void)
{
    static struct takt_timeline t;
    static struct takt_contract_column all[TAKT_COLUMNS_MAX], some[TAKT_COLUMNS_MAX];
    struct takt_random r = takt_random_seed(12);
    takt_timeline_reset(&t);
    for (uint64_t n = 0, at = 0; n < 1777; n++) {
        struct takt_contract_column b = any_block(&r, at);
        at = b.until;
        takt_timeline_add(&t, &b);
    }
    int count = takt_timeline_read(&t, all, TAKT_COLUMNS_MAX);
    CHECK_INT(count, (1777 + 3) / 4);
    for (int max = -1; max <= count + 1; max++) {
        int want = max < 0 ? 0 : max < count ? max : count;
        CHECK_INT(takt_timeline_read(&t, some, max), want);
        for (int i = 0; i < want; i++)
            CHECK(is_same(&some[i], &all[count - want + i]));
    }
}

/* ---- A reader beside the writer ---------------------------------------------------------------
 */

enum { RACES = 400, RACE_BLOCKS = 20000 };

struct race {
    struct takt_timeline t;
    _Atomic int begun, ended; /* races */
};

/* All that block n says can be known from n: its column's sums can be reckoned from its range. A
 * run doubles most often when it is young, so there are many young ones. */
static void *write_blocks(void *arg)
{
    struct race *race = arg;
    for (int i = 0; i < RACES; i++) {
        while (atomic_load(&race->begun) <= i)
            sched_yield();
        for (int64_t n = 0; n < RACE_BLOCKS; n++) {
            uint64_t from = (uint64_t)n;
            takt_timeline_add(&race->t,
                              &(struct takt_contract_column){from, from + 1, 1, n, n, n, n, n});
        }
        atomic_store(&race->ended, i + 1);
    }
    return NULL;
}

/* A closed column is whole; the open one may be a block or two behind in some of its fields. */
static bool is_whole(const struct takt_contract_column *c, bool is_closed)
{
    int64_t first = (int64_t)c->from, last = (int64_t)c->until - 1;
    if (!is_closed)
        return c->until > c->from && c->slack_ns_min == first && c->duration_ns_min == first;
    return c->until > c->from && c->misses == c->until - c->from && c->slack_ns_min == first &&
           c->slack_ns_max == last && c->duration_ns_min == first && c->duration_ns_max == last &&
           c->lateness_ns_max == last;
}

static void a_reader_beside_the_writer_meets_whole_columns_without_a_gap(void)
{
    static struct race race;
    static struct takt_contract_column got[TAKT_COLUMNS_MAX];
    pthread_t thread;
    int wrong = 0, gaps = 0, reads = 0;
    CHECK_INT(pthread_create(&thread, NULL, write_blocks, &race), 0);
    for (int k = 0; k < RACES; k++) {
        takt_timeline_reset(&race.t);
        atomic_store(&race.begun, k + 1);
        for (bool was_over = false, is_over = false; !was_over; reads++) {
            was_over = is_over;
            is_over = atomic_load(&race.ended) > k;
            int count = takt_timeline_read(&race.t, got, TAKT_COLUMNS_MAX);
            for (int i = 0; i < count; i++) {
                wrong += !is_whole(&got[i], i + 1 < count);
                gaps += got[i].from != (i ? got[i - 1].until : 0);
            }
        }
    }
    pthread_join(thread, NULL);
    CHECK(reads > 2 * RACES);
    CHECK_INT(wrong, 0);
    CHECK_INT(gaps, 0);
}

int main(void)
{
    RUN(columns_tell_of_every_block_of_a_run_of_any_length);
    RUN(fewer_columns_are_the_last_ones);
    RUN(a_reader_beside_the_writer_meets_whole_columns_without_a_gap);
    return tap_done();
}
