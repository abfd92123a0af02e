#include "base/random.h"
#include "fault.h"
#include "takt/ring.h"
#include "tap.h"

#include <sys/resource.h>

enum { ELEM_BYTES_MAX = 24, CHUNK_MAX = 16 };

/* A plain model beside the ring: what went in is known from its number alone. */
struct both {
    struct takt_ring *r;
    size_t elem_bytes, capacity;
    uint64_t written, read, dropped;
};

static bool open_both(struct both *b, size_t elem_bytes, size_t capacity, bool plain)
{
    struct takt_ring_cfg cfg = {.elem_bytes = elem_bytes, .capacity = capacity, .plain = plain};
    *b = (struct both){.elem_bytes = elem_bytes, .capacity = capacity};
    return takt_ring_create(&cfg, &b->r, NULL) == TAKT_OK;
}

static unsigned char byte_of(uint64_t elem, size_t i)
{
    return (unsigned char)((elem * 0x9e3779b97f4a7c15u + i * 0x85ebca6b) >> 24);
}

static void fill(const struct both *b, unsigned char *at, size_t count)
{
    for (size_t e = 0; e < count; e++)
        for (size_t i = 0; i < b->elem_bytes; i++)
            *at++ = byte_of(b->written + e, i);
}

static bool holds(const struct both *b, const unsigned char *at, size_t count)
{
    for (size_t e = 0; e < count; e++)
        for (size_t i = 0; i < b->elem_bytes; i++)
            if (*at++ != byte_of(b->read + e, i))
                return false;
    return true;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Writes `count` in one of the three ways; false when the ring did not do as the model says. */
static bool write_both(struct both *b, size_t count, int way)
{
    unsigned char x[CHUNK_MAX * ELEM_BYTES_MAX];
    size_t room = b->capacity - (size_t)(b->written - b->read), fits = least(count, room), did;
    void *at;
    if (way == 0) {
        fill(b, x, count);
        did = takt_ring_write(b->r, x, count);
        b->dropped += count - fits;
    } else if (way == 1) {
        if (takt_ring_reserve(b->r, count, &at) != fits)
            return false;
        fill(b, at, fits);
        did = takt_ring_commit(b->r, fits);
    } else {
        fill(b, x, count);
        fits = fits < count ? 0 : count;
        did = takt_ring_write_all(b->r, x, count) ? count : 0;
    }
    b->written += fits;
    return did == fits && takt_ring_dropped(b->r) == b->dropped &&
           takt_ring_write_avail(b->r) == b->capacity - (size_t)(b->written - b->read);
}

static bool read_both(struct both *b, size_t count, int way)
{
    unsigned char x[CHUNK_MAX * ELEM_BYTES_MAX];
    size_t there = (size_t)(b->written - b->read), got = least(count, there), did;
    bool same;
    const void *at;
    if (way == 0) {
        did = takt_ring_read(b->r, x, count);
        same = holds(b, x, got);
    } else if (way == 1) {
        if (takt_ring_peek(b->r, count, &at) != got)
            return false;
        same = holds(b, at, got);
        did = takt_ring_advance(b->r, got);
    } else {
        got = got < count ? 0 : count;
        did = takt_ring_read_all(b->r, x, count) ? count : 0;
        same = holds(b, x, got);
    }
    b->read += got;
    return same && did == got && takt_ring_read_avail(b->r) == (size_t)(b->written - b->read);
}

/* Every small capacity, every size of write and of read, more laps than one around the circle,
 * which is a page where the memory is mirrored. */
static bool ring_follows_model(size_t elem_bytes, bool plain)
{
    for (size_t capacity = 1; capacity <= 9; capacity++)
        for (size_t in = 0; in <= capacity + 2; in++)
            for (size_t out = 1; out <= capacity + 2; out++) {
                struct both b;
                if (!open_both(&b, elem_bytes, capacity, plain))
                    return false;
                uint64_t bytes = plain ? 8 * capacity * elem_bytes : 4096 + 16 * elem_bytes;
                bool well = true;
                for (int i = 0; well && i < 10000 && b.read * elem_bytes < bytes; i++)
                    well = write_both(&b, in, i % 3) && read_both(&b, out, i / 3 % 3);
                takt_ring_destroy(b.r);
                if (!well) {
                    printf("# capacity %zu in %zu out %zu\n", capacity, in, out);
                    return false;
                }
            }
    return true;
}

static void ring_of_any_size_carries_any_chunks_in_order(void)
{
    static const size_t elem_bytes[] = {1, 3, 4, 8, 12, 24};
    for (size_t i = 0; i < sizeof elem_bytes / sizeof *elem_bytes; i++) {
        CHECK(ring_follows_model(elem_bytes[i], false));
        CHECK(ring_follows_model(elem_bytes[i], true));
    }
}

static void ring_of_many_pages_carries_chance_chunks_in_order(void)
{
    struct takt_random chance = takt_random_seed(7);
    for (int plain = 0; plain < 2; plain++)
        for (size_t capacity = 1000; capacity < 9000; capacity = capacity * 3 + 1) {
            struct both b;
            CHECK(open_both(&b, 12, capacity, plain));
            while (b.read < 8 * capacity) {
                CHECK(write_both(&b, takt_random_below(&chance, CHUNK_MAX + 1),
                                 (int)takt_random_below(&chance, 3)));
                if (takt_random_below(&chance, 4))
                    CHECK(read_both(&b, takt_random_below(&chance, CHUNK_MAX + 1),
                                    (int)takt_random_below(&chance, 3)));
            }
            takt_ring_destroy(b.r);
        }
}

static void ring_write_when_full_drops_and_counts(void)
{
    struct takt_ring *r;
    float x[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    CHECK(takt_ring_create(&(struct takt_ring_cfg){.elem_bytes = 4, .capacity = 8}, &r, NULL) == 0);
    CHECK_INT(takt_ring_capacity(r), 8);
    CHECK_INT(takt_ring_write(r, x, 9), 8);
    CHECK_INT(takt_ring_dropped(r), 1);
    CHECK_INT(takt_ring_write(r, x, 9), 0);
    CHECK_INT(takt_ring_dropped(r), 10);
    CHECK(!takt_ring_write_all(r, x, 1));
    CHECK_INT(takt_ring_dropped(r), 10);
    takt_ring_destroy(r);
}

/* All of a full ring is one span, wherever its oldest element lies. */
static void ring_full_at_any_place_is_one_span(void)
{
    enum { CAPACITY = 1000 };
    for (int plain = 0; plain < 2; plain++) {
        struct takt_ring *r;
        struct takt_ring_cfg cfg = {.elem_bytes = 4, .capacity = CAPACITY, .plain = plain};
        CHECK(takt_ring_create(&cfg, &r, NULL) == 0);
        uint32_t in = 0, out = 0;
        void *room;
        const void *x;
        for (int lap = 0; lap < 1100; lap++) {
            CHECK_INT(takt_ring_reserve(r, SIZE_MAX, &room), CAPACITY - (in - out));
            for (uint32_t i = 0; in - out < CAPACITY; i++, in++)
                ((uint32_t *)room)[i] = in;
            CHECK(takt_ring_commit(r, SIZE_MAX) > 0);
            CHECK_INT(takt_ring_peek(r, SIZE_MAX, &x), CAPACITY);
            for (uint32_t i = 0; i < CAPACITY; i++)
                CHECK_INT(((const uint32_t *)x)[i], out + i);
            CHECK_INT(takt_ring_advance(r, 7), 7);
            out += 7;
        }
        takt_ring_destroy(r);
    }
}

static void ring_commit_and_advance_beyond_what_is_there_stop_there(void)
{
    struct takt_ring *r;
    CHECK(takt_ring_create(&(struct takt_ring_cfg){.elem_bytes = 3, .capacity = 5}, &r, NULL) == 0);
    CHECK_INT(takt_ring_advance(r, 1), 0);
    CHECK_INT(takt_ring_commit(r, 6), 5);
    CHECK_INT(takt_ring_commit(r, 1), 0);
    CHECK_INT(takt_ring_advance(r, SIZE_MAX), 5);
    CHECK_INT(takt_ring_read_avail(r), 0);
    takt_ring_destroy(r);
}

static void ring_create_refuses_what_cannot_be(void)
{
    static const struct takt_ring_cfg bad[] = {
        {0, 8, false},
        {8, 0, false},
        {1, ((size_t)1 << 30) + 1, false},
        {SIZE_MAX, 1, false},
        {SIZE_MAX, 2, false},
        {2, SIZE_MAX / 2 + 1, false},
        {1, SIZE_MAX, false},
        {1 << 16, 1 << 16, true},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct takt_ring *r = (struct takt_ring *)1;
        struct takt_error e = {0};
        CHECK_INT(takt_ring_create(&bad[i], &r, &e), TAKT_ERR_ARG);
        CHECK(!r && e.code == TAKT_ERR_ARG && e.text[0]);
    }
    takt_ring_destroy(NULL);
}

/* No request of create can fail without its either going on with less or giving all back. */
static void ring_create_survives_any_failing_request(void)
{
    for (int plain = 0; plain < 2; plain++) {
        int failed = 0, went_on = 0;
        long before = fault_held();
        for (int n = 1;; n++) {
            struct takt_ring_cfg cfg = {.elem_bytes = 4, .capacity = 1000, .plain = plain};
            struct takt_ring *r = (struct takt_ring *)1;
            struct takt_error e;
            float x = 1;
            fault_at(n);
            int code = takt_ring_create(&cfg, &r, &e);
            bool happened = fault_happened();
            fault_at(0);
            if (code < 0) {
                CHECK(!r && code == TAKT_ERR_NOMEM && e.code == TAKT_ERR_NOMEM);
                failed++;
            } else {
                CHECK_INT(takt_ring_write(r, &x, 1), 1);
                went_on += happened;
                takt_ring_destroy(r);
            }
            CHECK_INT(fault_held(), before);
            if (!happened)
                break;
        }
        CHECK_INT(failed, plain ? 2 : 1);  /* its struct, and its memory */
        CHECK_INT(went_on, plain ? 0 : 5); /* memfd, its size, and three mappings */
    }
}

/* A ring of 1024 pages is filled from its middle on, so that both halves of its memory are used all
 * over; those not touched before would fault. */
static void ring_use_faults_no_page(void)
{
    enum { PAGES = 1024, PAGE_BYTES = 4096 };
    static unsigned char x[PAGES * PAGE_BYTES];
    memset(x, 1, sizeof x);
    for (int plain = 0; plain < 2; plain++) {
        struct takt_ring *r;
        struct takt_ring_cfg cfg = {.elem_bytes = PAGE_BYTES, .capacity = PAGES, .plain = plain};
        CHECK(takt_ring_create(&cfg, &r, NULL) == 0);
        struct rusage before, after;
        getrusage(RUSAGE_SELF, &before);
        for (int i = 0; i < 5; i++) {
            CHECK_INT(takt_ring_write(r, x, PAGES), PAGES);
            CHECK_INT(takt_ring_read(r, x, PAGES), PAGES);
            CHECK_INT(takt_ring_write(r, x, PAGES / 4), PAGES / 4);
            CHECK_INT(takt_ring_read(r, x, PAGES / 4), PAGES / 4);
        }
        getrusage(RUSAGE_SELF, &after);
        CHECK(after.ru_minflt - before.ru_minflt < PAGES / 16);
        takt_ring_destroy(r);
    }
}

int main(void)
{
    RUN(ring_of_any_size_carries_any_chunks_in_order);
    RUN(ring_of_many_pages_carries_chance_chunks_in_order);
    RUN(ring_write_when_full_drops_and_counts);
    RUN(ring_full_at_any_place_is_one_span);
    RUN(ring_commit_and_advance_beyond_what_is_there_stop_there);
    RUN(ring_create_refuses_what_cannot_be);
    RUN(ring_create_survives_any_failing_request);
    RUN_UNLESS_SANITIZED(ring_use_faults_no_page);
    return tap_done();
}
