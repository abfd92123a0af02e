#include "fault.h"
#include "sync/event_queue.h"
#include "tap.h"

#include <poll.h>
#include <unistd.h>

ssize_t __real_write(int fd, const void *x, size_t n);
ssize_t __wrap_write(int fd, const void *x, size_t n);

static int writes;

ssize_t __wrap_write(int fd, const void *x, size_t n)
{
    writes++;
    return __real_write(fd, x, n);
}

ssize_t __real_read(int fd, void *x, size_t n);
ssize_t __wrap_read(int fd, void *x, size_t n);

/* Events that "another thread" pushes just before, and just after, the fd is drained. */
static struct takt_event_queue *meddled;
static int meddle_before, meddle_after, meddle_next;

static void meddle(int *times)
{
    for (; *times; --*times, meddle_next++)
        takt_event_queue_push(meddled, &meddle_next);
}

ssize_t __wrap_read(int fd, void *x, size_t n)
{
    meddle(&meddle_before);
    ssize_t got = __real_read(fd, x, n);
    meddle(&meddle_after);
    return got;
}

static struct takt_event_queue *open_queue(size_t elem_bytes, size_t capacity)
{
    struct takt_event_queue *q;
    return takt_event_queue_create(elem_bytes, capacity, &q, NULL) == 0 ? q : NULL;
}

static bool readable(const struct takt_event_queue *q)
{
    struct pollfd p = {.fd = takt_event_queue_fd(q), .events = POLLIN};
    return poll(&p, 1, 0) == 1 && p.revents == POLLIN;
}

/* One run of pushes and pops, spelt by the bits of `plan`, beside the model: a count of events,
 * and whether the consumer was told that there are no more. */
static bool follows_model(size_t capacity, unsigned plan, int steps)
{
    struct takt_event_queue *q = open_queue(sizeof(int), capacity);
    int in = 0, out = 0, dropped = 0, got;
    bool right = q != NULL, told_empty = true;
    for (int i = 0; right && i < steps; i++, plan >>= 1) {
        if (plan & 1) {
            bool fits = in - out < (int)capacity;
            right = takt_event_queue_push(q, &in) == fits;
            in += fits;
            dropped += !fits;
            told_empty = false;
        } else {
            bool some = in > out;
            right = takt_event_queue_pop(q, &got) == some && (!some || got == out);
            out += some;
            told_empty = !some;
        }
        right =
            right && readable(q) == !told_empty && takt_event_queue_dropped(q) == (uint64_t)dropped;
    }
    takt_event_queue_destroy(q);
    return right;
}

/* All 2^13 ways of thirteen steps. */
static void event_queue_fd_is_readable_exactly_until_pop_says_none(void)
{
    for (unsigned plan = 0; plan < 1 << 13; plan++) {
        CHECK(follows_model(2, plan, 13));
        CHECK(follows_model(4, plan, 13));
    }
}

static void event_queue_many_laps_keep_order_and_size(void)
{
    for (size_t bytes = 1; bytes <= 33; bytes++) {
        struct takt_event_queue *q = open_queue(bytes, 8);
        unsigned char x[40], y[40];
        CHECK(q);
        for (unsigned i = 0; i < 100; i++) {
            for (unsigned n = 0; n < 1 + i % 8; n++) {
                memset(x, (int)(i + n), sizeof x);
                CHECK(takt_event_queue_push(q, x));
            }
            for (unsigned n = 0; n < 1 + i % 8; n++) {
                memset(x, (int)(i + n), sizeof x);
                memset(y, 0xee, sizeof y);
                CHECK(takt_event_queue_pop(q, y));
                CHECK(!memcmp(x, y, bytes));
                CHECK_INT(y[bytes], 0xee);
            }
        }
        takt_event_queue_destroy(q);
    }
}

static void event_queue_writes_to_the_fd_once_for_many_pushes(void)
{
    struct takt_event_queue *q = open_queue(sizeof(int), 64);
    int x = 1;
    CHECK(q);
    for (int round = 1; round <= 3; round++) {
        int before = writes;
        for (int i = 0; i < 70; i++)
            takt_event_queue_push(q, &x);
        CHECK_INT(writes - before, 1);
        while (takt_event_queue_pop(q, &x))
            ;
        CHECK_INT(writes - before, 1);
    }
    takt_event_queue_destroy(q);
}

/* Whatever is pushed while pop is about to say that there is none, and whatever the fd was before:
 * none is lost, and the fd is readable as long as there are some. */
static void event_queue_pushes_in_the_midst_of_a_pop_keep_the_fd_readable(void)
{
    for (int was = 0; was < 3; was++)
        for (int before = 0; before < 3; before++)
            for (int after = 0; after < 3; after++) {
                struct takt_event_queue *q = meddled = open_queue(sizeof(int), 8);
                int got = 0, out = 0;
                CHECK(q);
                for (meddle_next = 0; meddle_next < was; meddle_next++)
                    takt_event_queue_push(q, &meddle_next);
                for (; out < was; out++)
                    CHECK(takt_event_queue_pop(q, &got) && got == out);
                meddle_before = before;
                meddle_after = after;
                for (; out < was + before + after; out++) {
                    CHECK(takt_event_queue_pop(q, &got) && got == out);
                    CHECK(readable(q));
                }
                CHECK(!takt_event_queue_pop(q, &got));
                CHECK(!readable(q));
                takt_event_queue_destroy(q);
            }
}

static void event_queue_capacity_is_rounded_up(void)
{
    static const size_t asked[] = {1, 2, 3, 5, 64, 65}, granted[] = {2, 2, 4, 8, 64, 128};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct takt_event_queue *q = open_queue(1, asked[i]);
        size_t n = 0;
        CHECK(q);
        while (n < 1000 && takt_event_queue_push(q, "x"))
            n++;
        CHECK_INT(n, granted[i]);
        takt_event_queue_destroy(q);
    }
}

static void event_queue_create_refuses_what_cannot_be(void)
{
    static const size_t bad[][2] = {
        {0, 4}, {4, 0}, {65537, 4}, {4, (1 << 20) + 1}, {SIZE_MAX, SIZE_MAX}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct takt_event_queue *q = (struct takt_event_queue *)1;
        struct takt_error e = {0};
        CHECK_INT(takt_event_queue_create(bad[i][0], bad[i][1], &q, &e), TAKT_ERR_ARG);
        CHECK(!q && e.text[0]);
    }
    takt_event_queue_destroy(NULL);
}

static void event_queue_create_survives_any_failing_request(void)
{
    static const int codes[] = {TAKT_ERR_NOMEM, TAKT_ERR_NOMEM, TAKT_ERR_SYSTEM, TAKT_OK};
    long before = fault_held();
    for (int n = 1; n <= 4; n++) {
        struct takt_event_queue *q = (struct takt_event_queue *)1;
        struct takt_error e = {0};
        fault_at(n);
        CHECK_INT(takt_event_queue_create(8, 8, &q, &e), codes[n - 1]);
        CHECK_INT(fault_happened(), codes[n - 1] != TAKT_OK);
        fault_at(0);
        CHECK((q != NULL) == (codes[n - 1] == TAKT_OK));
        CHECK(codes[n - 1] != TAKT_ERR_SYSTEM || e.os_errno == EMFILE);
        takt_event_queue_destroy(q);
        CHECK_INT(fault_held(), before);
    }
}

/* However many of the many there are, the few still find their room; and it is theirs alone. */
static void event_queue_keeps_room_for_those_that_matter(void)
{
    enum { CAPACITY = 16 };
    for (int spare = 0; spare <= CAPACITY + 1; spare++)
        for (int taken = 0; taken < 40; taken++) {
            struct takt_event_queue *q = open_queue(sizeof(int), CAPACITY);
            int got, many = 0, few = 0, room = CAPACITY > spare ? CAPACITY - spare : 0;
            CHECK(q);
            for (int i = 0; i < taken; i++)
                CHECK(takt_event_queue_push(q, &i) && takt_event_queue_pop(q, &got));
            for (int i = 0; i < 100; i++)
                many += takt_event_queue_push_spare(q, &i, (uint64_t)spare);
            CHECK_INT(many, room);
            for (int i = 0; i < 100; i++)
                few += takt_event_queue_push(q, &i);
            CHECK_INT(few, CAPACITY - room);
            CHECK_INT((int)takt_event_queue_dropped(q), 200 - CAPACITY);
            takt_event_queue_destroy(q);
        }
}

int main(void)
{
    RUN(event_queue_fd_is_readable_exactly_until_pop_says_none);
    RUN(event_queue_many_laps_keep_order_and_size);
    RUN(event_queue_writes_to_the_fd_once_for_many_pushes);
    RUN(event_queue_pushes_in_the_midst_of_a_pop_keep_the_fd_readable);
    RUN(event_queue_keeps_room_for_those_that_matter);
    RUN(event_queue_capacity_is_rounded_up);
    RUN(event_queue_create_refuses_what_cannot_be);
    RUN(event_queue_create_survives_any_failing_request);
    return tap_done();
}
