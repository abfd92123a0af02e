#include "base/random.h"
#include "takt/hist.h"
#include "tap.h"

#include <math.h>
#include <pthread.h>

enum { VALUES = 4000 };

static struct takt_hist h, other, copy;
static struct takt_hist_signed both;

static void empty(void)
{
    memset((void *)&h, 0, sizeof h);
    memset((void *)&other, 0, sizeof other);
    memset((void *)&both, 0, sizeof both);
}

static int by_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int by_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Small, uniform, exponential over many octaves, two clusters, beyond the last cell. */
static uint64_t draw(struct takt_random *r, int kind)
{
    double u = takt_random_unit(r);
    switch (kind) {
    case 0:
        return takt_random_below(r, 40);
    case 1:
        return takt_random_below(r, 1000000);
    case 2:
        return (uint64_t)exp(u * 27);
    case 3:
        return u < 0.99 ? 20000 + takt_random_below(r, 50) : 900000 + takt_random_below(r, 500);
    default:
        return takt_random_u64(r) >> takt_random_below(r, 64) >> 2;
    }
}

/* The exact nearest-rank quantile of a sorted list. */
static size_t rank_at(double q, size_t count)
{
    size_t rank = (size_t)ceil(q * (double)count);
    return (rank < 1 ? 1 : rank > count ? count : rank) - 1;
}

static void a_cell_begins_where_the_one_before_ends(void)
{
    CHECK_INT(takt_hist_cell_low(0), 0);
    for (uint32_t cell = 1; cell < TAKT_HIST_CELLS; cell++) {
        uint64_t low = takt_hist_cell_low(cell);
        CHECK_INT(takt_hist_cell(low), cell);
        CHECK_INT(takt_hist_cell(low - 1), cell - 1);
    }
}

static const double shares[] = {0, 0.0001, 0.001, 0.01, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 1};

static void quantile_is_the_exact_one_or_up_to_a_32nd_above_it(void)
{
    struct takt_random r = takt_random_seed(1);
    static uint64_t v[VALUES];
    for (int turn = 0; turn < 100; turn++) {
        size_t count = 1 + takt_random_below(&r, VALUES);
        empty();
        for (size_t i = 0; i < count; i++)
            takt_hist_record(&h, v[i] = draw(&r, turn % 5));
        qsort(v, count, sizeof *v, by_u64);
        CHECK_INT(takt_hist_count(&h), count);
        CHECK(takt_hist_min(&h) == v[0]);
        CHECK(takt_hist_max(&h) == v[count - 1]);
        for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
            uint64_t exact = v[rank_at(shares[i], count)];
            uint64_t told = takt_hist_quantile(&h, shares[i]);
            CHECK(told >= exact);
            CHECK(told <= v[count - 1]);
            if (exact < 1ull << 39)
                CHECK((double)(told - exact) <= (double)exact / 32);
        }
    }
}

static void signed_quantile_is_the_exact_one_or_up_to_a_32nd_below_it(void)
{
    struct takt_random r = takt_random_seed(2);
    static int64_t v[VALUES];
    for (int turn = 0; turn < 100; turn++) {
        size_t count = 1 + takt_random_below(&r, VALUES);
        double negative = takt_random_unit(&r) * 1.2 - 0.1;
        empty();
        for (size_t i = 0; i < count; i++) {
            v[i] = (int64_t)(draw(&r, turn % 4) & INT64_MAX);
            v[i] = takt_random_unit(&r) < negative ? -v[i] : v[i];
            takt_hist_signed_record(&both, v[i]);
        }
        qsort(v, count, sizeof *v, by_i64);
        CHECK_INT(takt_hist_signed_count(&both), count);
        CHECK_INT(takt_hist_signed_min(&both), v[0]);
        CHECK_INT(takt_hist_signed_max(&both), v[count - 1]);
        for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
            int64_t exact = v[rank_at(shares[i], count)];
            int64_t told = takt_hist_signed_quantile(&both, shares[i]);
            CHECK(told <= exact);
            CHECK(told >= v[0]);
            CHECK((double)(exact - told) <= fabs((double)exact) / 32);
        }
    }
}

static void ends_of_the_range_are_counted_and_not_wrapped(void)
{
    const uint64_t ends[] = {0, 1, 31, 32, 63, 64, (1ull << 39) - 1, 1ull << 39, UINT64_MAX};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        empty();
        takt_hist_record(&h, ends[i]);
        CHECK(takt_hist_cell(ends[i]) < TAKT_HIST_CELLS);
        CHECK(takt_hist_quantile(&h, 0.5) == ends[i]); /* held to the largest there is */
        CHECK(takt_hist_min(&h) == ends[i]);
    }
    empty();
    takt_hist_signed_record(&both, INT64_MIN);
    takt_hist_signed_record(&both, INT64_MAX);
    CHECK(takt_hist_signed_min(&both) == INT64_MIN);
    CHECK(takt_hist_signed_max(&both) == INT64_MAX);
}

static void an_empty_one_says_zero_for_any_share(void)
{
    empty();
    const double huge = HUGE_VAL, hostile[] = {-1, 0, 0.5, 1, 2, nan(""), huge, -huge};
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        CHECK_INT(takt_hist_quantile(&h, hostile[i]), 0);
        CHECK_INT(takt_hist_signed_quantile(&both, hostile[i]), 0);
    }
    CHECK_INT(takt_hist_count(&h), 0);
    CHECK_INT(takt_hist_min(&h), 0);
    CHECK_NEAR(takt_hist_mean(&h), 0, 0);
    takt_hist_record(&h, 1000);
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++)
        CHECK_INT(takt_hist_quantile(&h, hostile[i]), 1000);
}

static bool same(const struct takt_hist *a, const struct takt_hist *b)
{
    for (int i = 0; i < TAKT_HIST_CELLS; i++)
        if (a->cells[i] != b->cells[i])
            return false;
    return a->sum == b->sum;
}

static void merged_and_parted_again_it_is_what_it_was(void)
{
    struct takt_random r = takt_random_seed(3);
    for (int turn = 0; turn < 20; turn++) {
        static struct takt_hist all, early;
        empty();
        memset((void *)&all, 0, sizeof all);
        for (int i = 0; i < 500; i++) {
            uint64_t first = draw(&r, turn % 4), second = draw(&r, (turn + 1) % 4);
            takt_hist_record(&h, first);
            takt_hist_record(&other, second);
            takt_hist_record(&all, first);
        }
        CHECK(takt_hist_copy(&early, &all));
        takt_hist_merge(&all, &other);
        CHECK(takt_hist_max(&all) == (takt_hist_max(&h) > takt_hist_max(&other)
                                          ? takt_hist_max(&h)
                                          : takt_hist_max(&other)));
        CHECK_NEAR(takt_hist_mean(&all), (takt_hist_mean(&h) + takt_hist_mean(&other)) / 2,
                   1e-6 * takt_hist_mean(&all));
        takt_hist_since(&all, &early);
        CHECK(same(&all, &other));
        CHECK(takt_hist_max(&all) >= takt_hist_max(&other));
        CHECK(takt_hist_min(&all) <= takt_hist_min(&other));
    }
}

static void since_across_a_reset_is_what_came_after_it(void)
{
    empty();
    for (int i = 0; i < 100; i++)
        takt_hist_record(&h, 7);
    CHECK(takt_hist_copy(&other, &h));
    takt_hist_reset(&h);
    CHECK_INT(takt_hist_count(&h), 0);
    CHECK_INT(takt_hist_max(&h), 0);
    takt_hist_record(&h, 5000);
    CHECK(takt_hist_copy(&copy, &h));
    takt_hist_since(&copy, &other);
    CHECK_INT(takt_hist_count(&copy), 1);
    CHECK_INT(takt_hist_quantile(&copy, 0), 5000);
}

/* ---- A reader beside the writer ----------------------------------------------------------------
 */

static _Atomic bool stop;

/* Generation g holds nothing but values of 2^g, so that a mixture shows. */
static void *write_generations(void *arg)
{
    for (int g = 0; !atomic_load(&stop); g = (g + 1) % 30) {
        for (int i = 0; i < 3000; i++)
            takt_hist_record(&h, 1ull << g);
        takt_hist_reset(&h);
    }
    return NULL;
}

static void copy_beside_the_writer_holds_one_generation_only(void)
{
    empty();
    atomic_store(&stop, false);
    pthread_t writer;
    CHECK_INT(pthread_create(&writer, NULL, write_generations, NULL), 0);
    int filled = 0, mixed = 0, ends_missing = 0;
    for (int i = 0; i < 200000 && filled < 300; i++) {
        if (!takt_hist_copy(&copy, &h) || !takt_hist_count(&copy))
            continue;
        filled++;
        mixed += takt_hist_quantile(&copy, 0) != takt_hist_quantile(&copy, 1);
        ends_missing += takt_hist_max(&copy) != takt_hist_quantile(&copy, 1);
    }
    atomic_store(&stop, true);
    pthread_join(writer, NULL);
    CHECK(filled > 0);
    CHECK_INT(mixed, 0);
    CHECK_INT(ends_missing, 0);
}

int main(void)
{
    RUN(a_cell_begins_where_the_one_before_ends);
    RUN(quantile_is_the_exact_one_or_up_to_a_32nd_above_it);
    RUN(signed_quantile_is_the_exact_one_or_up_to_a_32nd_below_it);
    RUN(ends_of_the_range_are_counted_and_not_wrapped);
    RUN(an_empty_one_says_zero_for_any_share);
    RUN(merged_and_parted_again_it_is_what_it_was);
    RUN(since_across_a_reset_is_what_came_after_it);
    RUN(copy_beside_the_writer_holds_one_generation_only);
    return tap_done();
}
