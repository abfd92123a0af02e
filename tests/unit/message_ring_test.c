#include "base/random.h"
#include "fault.h"
#include "takt/message_ring.h"
#include "tap.h"

enum { LENGTH_MAX = 40, QUEUE_MAX = 64 };

static struct takt_message_ring *open_ring(size_t capacity_bytes, bool plain)
{
    struct takt_message_ring *r;
    struct takt_message_ring_cfg cfg = {.capacity_bytes = capacity_bytes, .plain = plain};
    return takt_message_ring_create(&cfg, &r, NULL) == 0 ? r : NULL;
}

static void fill(unsigned char *x, size_t bytes, uint64_t number)
{
    for (size_t i = 0; i < bytes; i++)
        x[i] = (unsigned char)(number * 31 + i * 7);
}

static size_t taken(size_t bytes)
{
    return 8 + (bytes + 7) / 8 * 8;
}

/* The model: the lengths of the messages inside, and the room that they take. */
struct model {
    size_t length[QUEUE_MAX];
    uint64_t in, out;
    size_t room;
};

static bool put(struct takt_message_ring *r, struct model *m, size_t bytes)
{
    unsigned char x[LENGTH_MAX];
    fill(x, bytes, m->in);
    bool fits = taken(bytes) <= m->room;
    if (takt_message_ring_write(r, x, bytes) != fits)
        return false;
    if (fits) {
        m->length[m->in++ % QUEUE_MAX] = bytes;
        m->room -= taken(bytes);
    }
    return true;
}

static bool get(struct takt_message_ring *r, struct model *m, bool in_place)
{
    unsigned char x[LENGTH_MAX], want[LENGTH_MAX];
    const void *at = x;
    size_t bytes = 12345;
    bool some = in_place ? takt_message_ring_peek(r, &at, &bytes)
                         : takt_message_ring_read(r, x, sizeof x, &bytes);
    if (some != (m->out < m->in))
        return false;
    if (!some)
        return true;
    fill(want, sizeof want, m->out);
    size_t length = m->length[m->out++ % QUEUE_MAX];
    bool same =
        bytes == length && !memcmp(at, want, length) && (!in_place || (uintptr_t)at % 8 == 0);
    if (in_place)
        takt_message_ring_advance(r);
    m->room += taken(length);
    return same;
}

/* Any capacity, any lengths: what fits goes in, and all that went in comes out as it was. */
static void message_ring_carries_any_lengths_whole_and_in_order(void)
{
    struct takt_random chance = takt_random_seed(3);
    for (int plain = 0; plain < 2; plain++)
        for (size_t capacity = 8; capacity <= 160; capacity += 8) {
            struct takt_message_ring *r = open_ring(capacity, plain);
            struct model m = {.room = capacity};
            CHECK(r);
            uint64_t refused = 0;
            for (int i = 0; i < 6000; i++) {
                if (takt_random_below(&chance, 2)) {
                    uint64_t before = m.in;
                    CHECK(put(r, &m, takt_random_below(&chance, LENGTH_MAX + 1)));
                    refused += m.in == before;
                } else {
                    CHECK(get(r, &m, takt_random_below(&chance, 2)));
                }
                CHECK_INT(takt_message_ring_dropped(r), refused);
            }
            CHECK(refused > 0 && m.out > 0);
            takt_message_ring_destroy(r);
        }
}

static void message_ring_read_into_less_room_cuts_and_tells(void)
{
    struct takt_message_ring *r = open_ring(64, false);
    unsigned char x[10], y[10];
    size_t bytes;
    fill(x, sizeof x, 1);
    CHECK(r && takt_message_ring_write(r, x, 10) && takt_message_ring_write(r, x, 3));
    memset(y, 0xee, sizeof y);
    CHECK(takt_message_ring_read(r, y, 4, &bytes));
    CHECK_INT(bytes, 10);
    CHECK(!memcmp(x, y, 4) && y[4] == 0xee);
    CHECK(takt_message_ring_read(r, NULL, 0, &bytes));
    CHECK_INT(bytes, 3);
    CHECK(!takt_message_ring_read(r, y, 4, &bytes));
    takt_message_ring_advance(r);
    takt_message_ring_destroy(r);
}

static void message_ring_refuses_lengths_no_ring_could_hold(void)
{
    struct takt_message_ring *r = open_ring(64, false);
    static const size_t lengths[] = {57, 64, 1 << 20, SIZE_MAX - 7, SIZE_MAX - 1, SIZE_MAX};
    CHECK(r);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        CHECK(!takt_message_ring_write(r, "", lengths[i]));
    CHECK_INT(takt_message_ring_dropped(r), sizeof lengths / sizeof *lengths);
    static const unsigned char x[56] = {1};
    CHECK(takt_message_ring_write(r, x, 56));
    takt_message_ring_destroy(r);
}

static void message_ring_create_refuses_what_cannot_be(void)
{
    static const size_t bad[] = {0, 7, ((size_t)1 << 30) + 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct takt_message_ring *r = (struct takt_message_ring *)1;
        struct takt_error e = {0};
        struct takt_message_ring_cfg cfg = {.capacity_bytes = bad[i]};
        CHECK_INT(takt_message_ring_create(&cfg, &r, &e), TAKT_ERR_ARG);
        CHECK(!r && e.text[0]);
    }
    takt_message_ring_destroy(NULL);
}

static void message_ring_create_survives_any_failing_request(void)
{
    long before = fault_held();
    int failed = 0;
    for (int n = 1;; n++) {
        struct takt_message_ring *r = (struct takt_message_ring *)1;
        struct takt_message_ring_cfg cfg = {.capacity_bytes = 100};
        fault_at(n);
        int code = takt_message_ring_create(&cfg, &r, NULL);
        bool happened = fault_happened();
        fault_at(0);
        CHECK(code == 0 || (code == TAKT_ERR_NOMEM && !r));
        failed += code < 0;
        takt_message_ring_destroy(r);
        CHECK_INT(fault_held(), before);
        if (!happened)
            break;
    }
    CHECK_INT(failed, 2); /* its own struct, and its ring's */
}

int main(void)
{
    RUN(message_ring_carries_any_lengths_whole_and_in_order);
    RUN(message_ring_read_into_less_room_cuts_and_tells);
    RUN(message_ring_refuses_lengths_no_ring_could_hold);
    RUN(message_ring_create_refuses_what_cannot_be);
    RUN(message_ring_create_survives_any_failing_request);
    return tap_done();
}
