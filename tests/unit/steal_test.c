/* What the hypervisor took: read, kept, asked for, and blamed for the misses that it explains. */
#include "base/random.h"
#include "rt/steal.h"
#include "stream/contract.h"
#include "takt/time.h"
#include "tap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static const int64_t ms = 1000000;

/* ---- Reading ----------------------------------------------------------------------------------
 */

static void the_eighth_number_of_each_line_is_what_was_taken(void)
{
    const char *text = "cpu  10 20 30 40 50 60 70 80 90 100\n"
                       "cpu0 1 2 3 4 5 6 7 8 9 10\n"
                       "cpu3 0 0 0 0 0 0 0 11 0 0\n" /* 1 and 2 are off */
                       "intr 99 1 2 3\n"
                       "ctxt 12345\n";
    int64_t stolen[8] = {-1, -1, -1, -1, -1, -1, -1, -1},
            tick_ns = 1000000000 / sysconf(_SC_CLK_TCK);
    CHECK_INT(takt_steal_read(text, stolen, 8), 4);
    CHECK_INT(stolen[0], 8 * tick_ns);
    CHECK_INT(stolen[1], 0);
    CHECK_INT(stolen[2], 0);
    CHECK_INT(stolen[3], 11 * tick_ns);
    CHECK_INT(stolen[4], -1);
    CHECK_INT(takt_steal_read(text, stolen, 2), 1); /* room for two: of number 3 nothing is kept */
    CHECK_INT(takt_steal_read("", stolen, 8), 0);
}

static void any_text_is_read_without_harm(void)
{
    static const char alphabet[] = "cpu0123456789 \n-x";
    struct takt_random r = takt_random_seed(5);
    int64_t stolen[16 + 1];
    char text[256];
    for (int round = 0; round < ROUNDS(50000); round++) {
        size_t length = takt_random_below(&r, sizeof text);
        for (size_t i = 0; i < length; i++)
            text[i] = alphabet[takt_random_below(&r, sizeof alphabet - 1)];
        text[length] = '\0';
        stolen[16] = 4711;
        CHECK(takt_steal_read(text, stolen, 16) <= 16);
        CHECK_INT(stolen[16], 4711);
    }
}

/* ---- Asking -----------------------------------------------------------------------------------
 */

/* Samples at 50, 100, … ms, 100 us long each; CPU 0 loses 1 ms between any two, CPU 1 nothing. */
static void fill(struct takt_steal *s, int samples)
{
    for (int i = 1; i <= samples; i++) {
        int64_t stolen[2] = {i * ms, 0};
        takt_steal_add(s, i * 50 * ms, i * 50 * ms + ms / 10, stolen, 2);
    }
}

static void the_answer_is_what_was_taken_around_the_time_asked_for(void)
{
    static struct takt_steal s;
    int64_t stolen = -1;
    CHECK_INT((int)takt_steal_between(&s, 0, 0, ms, &stolen), TAKT_STEAL_UNKNOWN);
    fill(&s, 4);
    CHECK_INT((int)takt_steal_between(&s, 0, 60 * ms, 70 * ms, &stolen), TAKT_STEAL_KNOWN);
    CHECK_INT(stolen, ms);
    CHECK_INT((int)takt_steal_between(&s, 0, 60 * ms, 110 * ms, &stolen), TAKT_STEAL_KNOWN);
    CHECK_INT(stolen, 2 * ms);
    /* A sample that was being taken meanwhile is neither before nor behind. */
    CHECK_INT((int)takt_steal_between(&s, 0, 100 * ms + 1, 100 * ms + 2, &stolen),
              TAKT_STEAL_KNOWN);
    CHECK_INT(stolen, 2 * ms);
    CHECK_INT((int)takt_steal_between(&s, 1, 60 * ms, 70 * ms, &stolen), TAKT_STEAL_KNOWN);
    CHECK_INT(stolen, 0);
}

static void the_answer_is_open_before_the_next_sample_and_unknown_before_the_first(void)
{
    static struct takt_steal s;
    int64_t stolen;
    fill(&s, 4);
    CHECK_INT((int)takt_steal_between(&s, 0, 190 * ms, 201 * ms, &stolen), TAKT_STEAL_NOT_YET);
    CHECK_INT((int)takt_steal_between(&s, 0, 10 * ms, 70 * ms, &stolen), TAKT_STEAL_UNKNOWN);
    CHECK_INT((int)takt_steal_between(&s, 2, 60 * ms, 70 * ms, &stolen), TAKT_STEAL_UNKNOWN);
    CHECK_INT((int)takt_steal_between(&s, -1, 60 * ms, 70 * ms, &stolen), TAKT_STEAL_UNKNOWN);
    fill(&s, 2 * TAKT_STEAL_KEPT); /* forgotten by now */
    CHECK_INT((int)takt_steal_between(&s, 0, 60 * ms, 70 * ms, &stolen), TAKT_STEAL_UNKNOWN);
}

struct race {
    struct takt_steal s;
    _Atomic bool ends;
    _Atomic int64_t now_ns;
};

/* What was taken is always a tenth of the time. */
static void *add_samples(void *arg)
{
    struct race *race = arg;
    for (int64_t now_ns = 0; !atomic_load(&race->ends); now_ns += 1000) {
        int64_t stolen_ns = now_ns / 10;
        takt_steal_add(&race->s, now_ns, now_ns, &stolen_ns, 1);
        atomic_store(&race->now_ns, now_ns);
    }
    return NULL;
}

static void an_answer_beside_the_writer_is_never_of_two_times(void)
{
    static struct race race;
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, add_samples, &race), 0);
    int known = 0, wrong = 0;
    for (int64_t n = 0; n < 200000 || known < 1000; n++) {
        int64_t ago_ns = 2500 + n % 60 * 1000; /* as far as what is kept reaches */
        int64_t to_ns = atomic_load(&race.now_ns) - ago_ns, stolen_ns = -1;
        if (takt_steal_between(&race.s, 0, to_ns - 1500, to_ns, &stolen_ns) != TAKT_STEAL_KNOWN)
            continue;
        known++;
        wrong += stolen_ns < 150 || stolen_ns > 350;
    }
    atomic_store(&race.ends, true);
    pthread_join(thread, NULL);
    CHECK_INT(wrong, 0);
}

/* ---- Blaming ----------------------------------------------------------------------------------
 */

enum { PERIOD_NS = 1000000, FRAMES = 48 };

/* Block n, woken so late, working so long. */
static void block(struct takt_contract *c, int64_t n, int64_t late_ns, int64_t work_ns)
{
    int64_t due_ns = n * PERIOD_NS, woken_ns = due_ns + late_ns;
    takt_contract_begin(c, &(struct takt_contract_block){.due_ns = due_ns,
                                                         .woken_ns = woken_ns,
                                                         .begun_ns = woken_ns,
                                                         .deadline_ns = due_ns + PERIOD_NS,
                                                         .frames = FRAMES});
    takt_contract_end(c, woken_ns + work_ns, (uint64_t)(n + 1) * FRAMES, 0, 0);
}

/* A run in which block 80 is late and a sample is taken every 50 blocks: `taken` ns of every CPU
 * are gone between those at 50 and at 150. */
static struct takt_miss run(int64_t late_ns, int64_t work_ns, int64_t taken_ns, int64_t blocks,
                            struct takt_contract_snapshot *k)
{
    static struct takt_steal s;
    static int64_t none[TAKT_STEAL_CPUS], some[TAKT_STEAL_CPUS];
    struct takt_miss m = {.cause = TAKT_MISS_CAUSES};
    struct takt_contract *c;
    struct takt_error e;
    s = (struct takt_steal){0};
    if (takt_contract_create(&(struct takt_contract_cfg){.rate_hz = 48000, .period_frames = FRAMES},
                             &c, &e) < 0)
        return m;
    for (int i = 0; i < TAKT_STEAL_CPUS; i++)
        some[i] = taken_ns;
    takt_contract_follow(c, &s);
    takt_contract_enter(c, NULL);
    for (int64_t n = 0; n < blocks; n++) {
        if (n % 50 == 0)
            takt_steal_add(&s, n * PERIOD_NS, n * PERIOD_NS, n >= 150 ? some : none,
                           TAKT_STEAL_CPUS);
        block(c, n, n == 80 ? late_ns : 0, n == 80 ? work_ns : 1000);
    }
    takt_contract_read(c, k);
    int count = takt_contract_last_misses(c, &m, 1);
    if (count != 1)
        m.cause = TAKT_MISS_CAUSES;
    takt_contract_destroy(c);
    return m;
}

static void a_miss_that_the_hypervisor_explains_is_stolen(void)
{
    static const struct {
        int64_t late_ns, work_ns, taken_ns, blocks;
        enum takt_miss_cause cause;
    } cases[] = {
        {0, 1800000, 0, 300, TAKT_MISS_OVERRAN},
        {0, 1800000, 400000, 300, TAKT_MISS_OVERRAN}, /* half of it is not enough */
        {0, 1800000, 400001, 300, TAKT_MISS_STOLEN},
        {0, 1800000, 10000000, 300, TAKT_MISS_STOLEN},
        {900000, 200000, 0, 300, TAKT_MISS_LATE_WAKE},
        {900000, 200000, 50001, 300, TAKT_MISS_STOLEN},
        {0, 1800000, 10000000, 120, TAKT_MISS_OVERRAN}, /* nobody has looked since */
        {0, 1800000, 10000000, 152, TAKT_MISS_STOLEN},  /* 70 ms after it */
    };
    struct takt_contract_snapshot k;
    run(0, 1800000, 0, 300, &k); /* the faults of the first time are real ones */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct takt_miss m =
            run(cases[i].late_ns, cases[i].work_ns, cases[i].taken_ns, cases[i].blocks, &k);
        CHECK_INT((int)m.cause, (int)cases[i].cause);
        CHECK_INT(k.misses[m.cause], 1);
        CHECK_INT(k.misses_total, 1);
        CHECK_INT(m.number, 0);
        CHECK_INT(m.position, 81 * FRAMES);
        CHECK_INT(m.slack_ns, PERIOD_NS - cases[i].late_ns - cases[i].work_ns);
    }
}

/* ---- The process's own record -----------------------------------------------------------------
 */

static bool is_guest(void)
{
    static char text[65536];
    FILE *f = fopen("/proc/cpuinfo", "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = '\0';
    return strstr(text, " hypervisor");
}

static uint64_t count_of(const struct takt_steal *s)
{
    return atomic_load_explicit(&s->count, memory_order_acquire);
}

static void the_record_is_kept_as_long_as_somebody_follows(void)
{
    const struct takt_steal *s = takt_steal_follow();
    if (!s) { /* rightly so */
        CHECK(!is_guest());
        return;
    }
    CHECK(takt_steal_follow() == s);
    takt_steal_leave();
    uint64_t first = count_of(s);
    CHECK(first >= 1);
    for (int i = 0; i < 500 && count_of(s) < first + 3; i++)
        usleep(10000);
    CHECK(count_of(s) >= first + 3);
    takt_steal_leave();
    uint64_t last = count_of(s);
    usleep(200000);
    CHECK_INT(count_of(s), last); /* nobody reads any more */
    takt_steal_sample();
    CHECK_INT(count_of(s), last);
}

static void following_and_leaving_leaves_nothing_behind(void)
{
    for (int i = 0; i < 200; i++) {
        const struct takt_steal *s = takt_steal_follow();
        if (!s)
            return;
        int64_t begun_ns = takt_now_ns();
        takt_steal_sample();
        int64_t ended_ns = takt_now_ns(), stolen_ns;
        /* There is one before, and one after each time between. */
        CHECK_INT((int)takt_steal_between(s, 0, begun_ns, begun_ns, &stolen_ns), TAKT_STEAL_KNOWN);
        CHECK(ended_ns >= begun_ns);
        takt_steal_leave();
    }
}

int main(void)
{
    RUN(the_eighth_number_of_each_line_is_what_was_taken);
    RUN(any_text_is_read_without_harm);
    RUN(the_answer_is_what_was_taken_around_the_time_asked_for);
    RUN(the_answer_is_open_before_the_next_sample_and_unknown_before_the_first);
    RUN(an_answer_beside_the_writer_is_never_of_two_times);
    RUN(a_miss_that_the_hypervisor_explains_is_stolen);
    RUN(the_record_is_kept_as_long_as_somebody_follows);
    RUN(following_and_leaving_leaves_nothing_behind);
    return tap_done();
}
