#include "base/random.h"
#include "fault.h"
#include "takt/window.h"
#include "tap.h"

enum { BLOCK_MAX = 64, CHANNELS_MAX = 3, SPAN_MAX = 4096 };

static float sample_at(uint64_t position, uint32_t channel)
{
    return (float)((position * 13 + channel * 5) & 0xfffff);
}

/* Writes the frames that belong at `position`, interleaved or in planes. */
static void feed(struct takt_window *w, uint32_t channels, size_t frames, uint64_t position,
                 bool planar)
{
    float x[BLOCK_MAX * CHANNELS_MAX], planes[CHANNELS_MAX][BLOCK_MAX];
    const float *plane[CHANNELS_MAX] = {planes[0], planes[1], planes[2]};
    for (size_t i = 0; i < frames; i++)
        for (uint32_t c = 0; c < channels; c++)
            x[i * channels + c] = planes[c][i] = sample_at(position + i, c);
    if (planar)
        takt_window_write_planar(w, plane, frames, position);
    else
        takt_window_write(w, x, frames, position);
}

static bool is_window(const float *x, size_t frames, uint32_t channels, uint64_t position)
{
    for (size_t i = 0; i < frames; i++)
        for (uint32_t c = 0; c < channels; c++)
            if (*x++ != sample_at(position + i, c))
                return false;
    return true;
}

/* The definition, written down plainly: which frames of the present grid came, and which windows
 * are therefore whole. Positions count from the grid's origin. */
struct model {
    size_t size, hop;
    uint64_t origin, end;
    bool came[SPAN_MAX];
    bool started;
    uint64_t next;           /* the first window that was not handed out yet */
    uint64_t due;            /* the window that a whole run of frames up to now leads to */
    uint64_t handed, before; /* windows handed out on this grid; lost on those before it */
};

static uint64_t model_lost(const struct model *m)
{
    return m->before + m->due / m->hop - m->handed;
}

static bool model_full(const struct model *m, uint64_t position)
{
    return m->started && position > m->origin && position - m->origin + BLOCK_MAX > SPAN_MAX;
}

static void model_write(struct model *m, uint64_t position, size_t frames)
{
    if (frames == 0)
        return;
    if (!m->started || position < m->end) {
        struct model anew = {.size = m->size, .hop = m->hop, .started = true};
        anew.before = m->started ? model_lost(m) : 0;
        anew.origin = position;
        *m = anew;
    }
    for (size_t i = 0; i < frames; i++)
        m->came[position - m->origin + i] = true;
    m->end = position + frames;
}

static bool all_came(const struct model *m, uint64_t from, uint64_t to)
{
    for (; from < to; from++)
        if (!m->came[from])
            return false;
    return true;
}

/* The next whole window, if there is one. */
static bool model_next(struct model *m, uint64_t *position)
{
    uint64_t end = m->end - m->origin;
    for (uint64_t at = m->next; m->started && at < end; at += m->hop) {
        if (at + m->size <= end && all_came(m, at, at + m->size)) {
            *position = m->origin + at;
            m->handed++;
            m->next = m->due = at + m->hop;
            return true;
        }
        if (at + m->size > end && all_came(m, at, end)) {
            m->due = at;
            return false;
        }
    }
    return false;
}

static bool same_windows(struct takt_window *w, struct model *m, uint32_t channels)
{
    const float *x;
    uint64_t position, expected;
    while (model_next(m, &expected)) {
        if (!takt_window_next(w, &x, &position) || position != expected ||
            !is_window(x, m->size, channels, position))
            return false;
    }
    return !takt_window_next(w, &x, &position) && takt_window_lost(w) == model_lost(m);
}

/* Mostly the stream goes on; now and then frames are missing, or it begins anew elsewhere. */
static uint64_t next_position(const struct model *m, struct takt_random *chance)
{
    if (!m->started || model_full(m, m->end + 40))
        return takt_random_below(chance, m->started ? m->origin + 1 : 1000);
    switch (takt_random_below(chance, 12)) {
    case 0:
        return m->end + 1 + takt_random_below(chance, 30);
    case 1:
        return takt_random_below(chance, 20) || !m->end ? m->end
                                                        : takt_random_below(chance, m->end);
    default:
        return m->end;
    }
}

static bool follows_model(struct takt_window_cfg cfg, size_t block_max, uint64_t seed)
{
    static struct model m;
    struct takt_random chance = takt_random_seed(seed);
    struct takt_window *w;
    if (takt_window_create(&cfg, &w, NULL) < 0)
        return false;
    m = (struct model){.size = cfg.size_frames, .hop = cfg.hop_frames};
    bool same = true;
    for (int i = 0; same && i < 300; i++) {
        size_t frames = takt_random_below(&chance, block_max + 1);
        uint64_t position = next_position(&m, &chance);
        feed(w, cfg.channels, frames, position, takt_random_below(&chance, 2));
        model_write(&m, position, frames);
        same = same_windows(w, &m, cfg.channels);
    }
    same &= takt_window_dropped_frames(w) == 0;
    takt_window_destroy(w);
    return same;
}

/* Every small size and hop, any blocks, gaps anywhere: exactly the windows of which all came. */
static void window_hands_out_exactly_the_whole_windows(void)
{
    uint64_t seed = 0;
    for (size_t size = 1; size <= 9; size++)
        for (size_t hop = 1; hop <= 12; hop++)
            for (uint32_t channels = 1; channels <= CHANNELS_MAX; channels++)
                for (int plain = 0; plain < 2; plain++) {
                    struct takt_window_cfg cfg = {.size_frames = size,
                                                  .hop_frames = hop,
                                                  .channels = channels,
                                                  .capacity_frames = 200,
                                                  .plain = plain};
                    seed++;
                    if (!follows_model(cfg, 1 + seed % 17, seed)) {
                        printf("# size %zu hop %zu channels %u seed %d\n", size, hop, channels,
                               (int)seed);
                        CHECK(!"the same windows as the model");
                    }
                }
}

/* A reader beside what it can say of its windows, whatever was lost: each is whole and on the grid,
 * and those handed out and those lost are together all that came before. */
struct slow {
    struct takt_window *w;
    size_t size, hop;
    uint64_t origin, position, handed;
};

static bool read_up_to(struct slow *s, uint64_t windows)
{
    const float *x;
    uint64_t at;
    for (; windows && takt_window_next(s->w, &x, &at); windows--) {
        if (at != s->origin + (s->handed + takt_window_lost(s->w)) * s->hop ||
            at + s->size > s->position || !is_window(x, s->size, 1, at))
            return false;
        s->handed++;
    }
    return true;
}

static bool write_next(struct slow *s, size_t frames)
{
    feed(s->w, 1, frames, s->position, false);
    s->position += frames;
    return true;
}

static bool keep_pace(struct slow *s, size_t frames)
{
    for (size_t i = 0; i < frames; i++)
        if (!write_next(s, 1) || !read_up_to(s, UINT64_MAX))
            return false;
    return true;
}

/* When it is slow it loses windows; when it keeps pace again, it soon loses none. */
static bool slow_reader_is_right(struct takt_window_cfg cfg, uint64_t seed, uint64_t *lost)
{
    struct takt_random chance = takt_random_seed(seed);
    struct slow s = {
        .size = cfg.size_frames, .hop = cfg.hop_frames, .origin = 777, .position = 777};
    bool right = takt_window_create(&cfg, &s.w, NULL) == 0;
    for (int i = 0; right && i < 2000; i++)
        right = write_next(&s, takt_random_below(&chance, BLOCK_MAX + 1)) &&
                read_up_to(&s, takt_random_below(&chance, 8) / 7 * (1 + seed));
    right = right && keep_pace(&s, 2 * (s.size + s.hop));
    *lost = takt_window_lost(s.w);
    uint64_t handed = s.handed;
    right = right && keep_pace(&s, 3 * s.hop);
    right = right && s.handed == handed + 3 && takt_window_lost(s.w) == *lost;
    takt_window_destroy(s.w);
    return right;
}

static void window_reader_that_is_slow_loses_whole_windows_only(void)
{
    uint64_t lost, lost_all = 0;
    for (size_t size = 1; size <= 40; size = size * 2 + 1)
        for (size_t hop = 1; hop <= 100; hop = hop * 2 + 1)
            for (uint64_t seed = 1; seed <= 4; seed++) {
                struct takt_window_cfg cfg = {.size_frames = size,
                                              .hop_frames = hop,
                                              .capacity_frames = 2 * size + 64 * (seed / 2),
                                              .plain = seed % 2};
                CHECK(slow_reader_is_right(cfg, seed, &lost));
                lost_all += lost;
            }
    CHECK(lost_all > 0);
}

/* With windows that touch, every frame is either stored or counted. */
static void window_counts_every_frame_that_finds_no_room(void)
{
    struct takt_window *w;
    struct takt_window_cfg cfg = {.size_frames = 8, .hop_frames = 8, .capacity_frames = 20};
    const float *x;
    uint64_t at, position = 0, windows = 0;
    CHECK(takt_window_create(&cfg, &w, NULL) == 0);
    for (int i = 0; i < 100; i++, position += 7)
        feed(w, 1, 7, position, false);
    CHECK_INT(takt_window_dropped_frames(w), 700 - 20);
    while (takt_window_next(w, &x, &at))
        CHECK_INT(at, 8 * windows++);
    CHECK_INT(windows, 2);
    feed(w, 1, 3, position, false); /* up to 703; the grid's next point is 704 */
    CHECK_INT(takt_window_dropped_frames(w), 703 - 20);
    feed(w, 1, 12, position + 3, false);
    CHECK_INT(takt_window_dropped_frames(w), 704 - 20);
    CHECK(takt_window_next(w, &x, &at) && at == 704 && is_window(x, 8, 1, 704));
    CHECK_INT(takt_window_lost(w), 704 / 8 - 2);
    takt_window_destroy(w);
}

/* Once behind, it leaves frames out until a whole window fits: crumbs would make none. */
static void window_behind_begins_again_only_with_room_for_a_whole_window(void)
{
    struct takt_window *w;
    struct takt_window_cfg cfg = {.size_frames = 8, .hop_frames = 2, .capacity_frames = 16};
    const float *x;
    uint64_t at;
    CHECK(takt_window_create(&cfg, &w, NULL) == 0);
    feed(w, 1, 20, 0, false);
    CHECK_INT(takt_window_dropped_frames(w), 4);
    for (uint64_t n = 0; n < 5; n++) {
        CHECK(takt_window_next(w, &x, &at) && at == 2 * n);
        feed(w, 1, 2, 20 + 2 * n, false);
        /* The window held and those behind it leave 2 * n frames free. */
        CHECK_INT(takt_window_dropped_frames(w), 4 + 2 * (n < 4 ? n + 1 : 4));
    }
    feed(w, 1, 6, 30, false);
    CHECK(takt_window_next(w, &x, &at) && at == 28 && is_window(x, 8, 1, 28));
    CHECK_INT(takt_window_lost(w), 28 / 2 - 5);
    takt_window_destroy(w);
}

/* Frames between windows take no room: windows far apart fit a ring of two of them. */
static void window_hop_of_any_length_needs_room_for_its_windows_only(void)
{
    struct takt_window *w;
    struct takt_window_cfg cfg = {.size_frames = 10, .hop_frames = 1000, .capacity_frames = 20};
    const float *x;
    uint64_t at;
    CHECK(takt_window_create(&cfg, &w, NULL) == 0);
    for (uint64_t position = 0; position < 2000; position += 50)
        feed(w, 1, 50, position, false);
    CHECK(takt_window_next(w, &x, &at) && at == 0 && is_window(x, 10, 1, 0));
    CHECK(takt_window_next(w, &x, &at) && at == 1000 && is_window(x, 10, 1, 1000));
    CHECK(!takt_window_next(w, &x, &at));
    CHECK_INT(takt_window_lost(w) + takt_window_dropped_frames(w), 0);
    takt_window_destroy(w);
}

/* No position, however absurd, makes it read or hand out what was not written. */
static void window_takes_any_positions(void)
{
    static const uint64_t strange[] = {
        0, 1, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 20, UINT64_MAX / 2, 1, UINT64_MAX / 2 - 3,
        5};
    struct takt_window_cfg cfg = {.size_frames = 4, .hop_frames = 3, .capacity_frames = 40};
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct takt_random chance = takt_random_seed(seed);
        struct takt_window *w;
        const float *x;
        uint64_t at;
        CHECK(takt_window_create(&cfg, &w, NULL) == 0);
        for (int i = 0; i < 50; i++) {
            uint64_t position = strange[takt_random_below(&chance, 9)];
            feed(w, 1, takt_random_below(&chance, BLOCK_MAX), position, i & 1);
            while (takt_random_below(&chance, 3) && takt_window_next(w, &x, &at))
                CHECK(is_window(x, 4, 1, at));
        }
        takt_window_destroy(w);
    }
}

/* What no window had is the rest, whole and in place, however the frames came. */
static void window_rest_is_what_no_window_had(void)
{
    for (size_t size = 1; size <= 8; size++)
        for (size_t hop = 1; hop <= 10; hop++)
            for (size_t length = 0; length <= 40; length++) {
                struct takt_window_cfg cfg = {
                    .size_frames = size, .hop_frames = hop, .capacity_frames = 64};
                struct takt_window *w;
                const float *x;
                uint64_t at, next = 0;
                CHECK(takt_window_create(&cfg, &w, NULL) == 0);
                for (size_t done = 0; done < length; done += 5)
                    feed(w, 1, length - done < 5 ? length - done : 5, 100 + done, false);
                while (takt_window_next(w, &x, &at))
                    next = at - 100 + hop;
                size_t known = next && hop < size ? size - hop : 0;
                size_t left = next < length ? length - next : 0;
                size_t rest = takt_window_rest(w, &x, &at);
                CHECK_INT(rest, left > known ? left : 0);
                CHECK(!rest || (at == 100 + next && is_window(x, rest, 1, at)));
                CHECK_INT(takt_window_lost(w), 0);
                takt_window_destroy(w);
            }
}

/* A reader that never came in time: in the end every window is handed out or counted. */
static void window_rest_counts_what_was_left_out_at_the_very_end(void)
{
    struct takt_random chance = takt_random_seed(5);
    for (int round = 0; round < 500; round++) {
        size_t size = 1 + takt_random_below(&chance, 9), hop = 1 + takt_random_below(&chance, 12);
        struct takt_window_cfg cfg = {.size_frames = size,
                                      .hop_frames = hop,
                                      .capacity_frames = 2 * size + takt_random_below(&chance, 9)};
        struct slow s = {.size = size, .hop = hop, .origin = 7, .position = 7};
        const float *x;
        uint64_t at;
        CHECK(takt_window_create(&cfg, &s.w, NULL) == 0);
        for (int i = 0; i < 20; i++)
            CHECK(write_next(&s, takt_random_below(&chance, 30)) &&
                  read_up_to(&s, takt_random_below(&chance, 3)));
        CHECK(read_up_to(&s, UINT64_MAX));
        size_t rest = takt_window_rest(s.w, &x, &at);
        uint64_t length = s.position - 7;
        CHECK_INT(s.handed + takt_window_lost(s.w), length < size ? 0 : (length - size) / hop + 1);
        CHECK(!rest || (at + rest == s.position && is_window(x, rest, 1, at)));
        takt_window_destroy(s.w);
    }
}

/* Frames cut off by a new beginning that found no room are nobody's rest. */
static void window_rest_belongs_to_the_grid_it_was_written_on(void)
{
    struct takt_window *w;
    struct takt_window_cfg cfg = {.size_frames = 8, .capacity_frames = 16};
    const float *x;
    uint64_t at;
    CHECK(takt_window_create(&cfg, &w, NULL) == 0);
    CHECK_INT(takt_window_rest(w, &x, &at), 0);
    feed(w, 1, 16, 50, false);
    feed(w, 1, 20, 0, false); /* no room for a window: two are left out, and the rest of a third */
    CHECK(takt_window_next(w, &x, &at) && at == 50);
    CHECK(takt_window_next(w, &x, &at) && at == 58);
    CHECK(!takt_window_next(w, &x, &at));
    CHECK_INT(takt_window_rest(w, &x, &at), 0);
    CHECK_INT(takt_window_lost(w), 2);
    takt_window_destroy(w);
}

static void window_create_fills_in_defaults_and_refuses_what_cannot_be(void)
{
    static const struct takt_window_cfg bad[] = {
        {.size_frames = 0},
        {.size_frames = ((size_t)1 << 24) + 1},
        {.size_frames = SIZE_MAX},
        {.size_frames = 4, .hop_frames = SIZE_MAX},
        {.size_frames = 4, .channels = 1025},
        {.size_frames = 4, .capacity_frames = 7},
        {.size_frames = 1 << 24, .channels = 1024},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct takt_window *w = (struct takt_window *)1;
        struct takt_error e = {0};
        CHECK_INT(takt_window_create(&bad[i], &w, &e), TAKT_ERR_ARG);
        CHECK(!w && e.text[0]);
    }
    struct takt_window *w;
    const float *x;
    uint64_t at;
    CHECK(takt_window_create(&(struct takt_window_cfg){.size_frames = 8}, &w, NULL) == 0);
    feed(w, 1, 24, 100, false);
    for (uint64_t want = 100; want < 124; want += 8)
        CHECK(takt_window_next(w, &x, &at) && at == want);
    CHECK(!takt_window_next(w, &x, &at));
    takt_window_destroy(w);
    takt_window_destroy(NULL);
}

static void window_create_survives_any_failing_request(void)
{
    long before = fault_held();
    int failed = 0;
    for (int n = 1;; n++) {
        struct takt_window *w = (struct takt_window *)1;
        struct takt_window_cfg cfg = {.size_frames = 64, .hop_frames = 16};
        fault_at(n);
        int code = takt_window_create(&cfg, &w, NULL);
        bool happened = fault_happened();
        fault_at(0);
        CHECK(code == 0 || (code == TAKT_ERR_NOMEM && !w));
        failed += code < 0;
        takt_window_destroy(w);
        CHECK_INT(fault_held(), before);
        if (!happened)
            break;
    }
    CHECK_INT(failed, 4); /* its own struct, two rings', and the memory of the plain one */
}

int main(void)
{
    RUN(window_hands_out_exactly_the_whole_windows);
    RUN(window_reader_that_is_slow_loses_whole_windows_only);
    RUN(window_counts_every_frame_that_finds_no_room);
    RUN(window_behind_begins_again_only_with_room_for_a_whole_window);
    RUN(window_hop_of_any_length_needs_room_for_its_windows_only);
    RUN(window_takes_any_positions);
    RUN(window_rest_is_what_no_window_had);
    RUN(window_rest_counts_what_was_left_out_at_the_very_end);
    RUN(window_rest_belongs_to_the_grid_it_was_written_on);
    RUN(window_create_fills_in_defaults_and_refuses_what_cannot_be);
    RUN(window_create_survives_any_failing_request);
    return tap_done();
}
