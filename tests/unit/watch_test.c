/* A watch over devices that come and go, on backends of the test's own. */
#include "base/random.h"
#include "stream/device.h"
#include "takt/time.h"
#include "tap.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { THINGS = 24, EACH_FRAMES = 64 };
static const int64_t s_ns = 1000000000;

/* What is plugged in, and as what: 0 for nothing. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t things[THINGS];
static void (*to_tell)(void *arg, bool is_over);
static void *teller;
static _Atomic bool is_away, hangs;
static _Atomic int watches, unwatches, lists_left_hanging;

/* ---- calloc, which may fail ------------------------------------------------------------------ */

static _Atomic int failing, asked; /* the failing-th from now on; 0: none */

void *__real_calloc(size_t n, size_t each);
void *__wrap_calloc(size_t n, size_t each);
void *__wrap_calloc(size_t n, size_t each)
{
    return atomic_load(&failing) && atomic_fetch_add(&asked, 1) + 1 == atomic_load(&failing)
               ? NULL
               : __real_calloc(n, each);
}

/* ---- Backends -------------------------------------------------------------------------------- */

static void describe(struct takt_device_info *d, const char *backend, int k, uint32_t as)
{
    snprintf(d->id, sizeof d->id, "%s:%d", backend, k);
    snprintf(d->backend, sizeof d->backend, "%s", backend);
    snprintf(d->description, sizeof d->description, "as %u", as);
    d->in_channels_max = as;
    d->block_frames_default = EACH_FRAMES;
}

static int list_lively(struct takt_device_info *out, int max)
{
    int n = 0;
    pthread_mutex_lock(&lock);
    for (int k = 0; k < THINGS && n < max; k++)
        if (things[k] && !is_away)
            describe(&out[n++], "lively", k, things[k]);
    pthread_mutex_unlock(&lock);
    return n;
}

static struct takt_list_watch *watch_lively(void (*changed)(void *arg, bool is_over), void *arg)
{
    if (atomic_load(&is_away))
        return NULL;
    pthread_mutex_lock(&lock);
    to_tell = changed;
    teller = arg;
    pthread_mutex_unlock(&lock);
    atomic_fetch_add(&watches, 1);
    return (struct takt_list_watch *)(void *)things; /* any address will do */
}

static void unwatch_lively(struct takt_list_watch *w)
{
    pthread_mutex_lock(&lock);
    to_tell = NULL;
    pthread_mutex_unlock(&lock);
    atomic_fetch_add(&unwatches, 1);
}

/* Found only by asking again, and it may hang. */
static int list_slow(struct takt_device_info *out, int max)
{
    atomic_fetch_add(&lists_left_hanging, 1);
    while (atomic_load(&hangs))
        usleep(1000);
    atomic_fetch_sub(&lists_left_hanging, 1);
    pthread_mutex_lock(&lock);
    describe(out, "slow", 0, things[0] + 1);
    pthread_mutex_unlock(&lock);
    return 1;
}

static int list_still(struct takt_device_info *out, int max)
{
    describe(&out[0], "still", 0, 2);
    describe(&out[1], "still", 1, 2);
    return 2;
}

static const struct takt_backend lively = {.scheme = "lively",
                                           .has_clock = true,
                                           .list = list_lively,
                                           .watch = watch_lively,
                                           .unwatch = unwatch_lively};
static const struct takt_backend slow = {.scheme = "slow", .list = list_slow, .list_alters = true};
static const struct takt_backend still = {.scheme = "still", .has_clock = true, .list = list_still};
const struct takt_backend *const takt_backends[] = {&lively, &slow, &still, NULL};

/* The server's own thread. */
static void say(bool is_over)
{
    pthread_mutex_lock(&lock);
    if (to_tell)
        to_tell(teller, is_over);
    pthread_mutex_unlock(&lock);
}

static void plug(int k, uint32_t as)
{
    pthread_mutex_lock(&lock);
    things[k] = as;
    pthread_mutex_unlock(&lock);
}

/* ---- What one knows who only listens to changes ---------------------------------------------- */

static struct {
    uint32_t lively[THINGS], slow, still;
    bool is_default[THINGS], still_is_default;
    bool is_wrong; /* a change that cannot be */
} known;

static void learn(const struct takt_device_change *c)
{
    int k = atoi(strchr(c->device.id, ':') + 1);
    bool is_lively = !strcmp(c->device.backend, "lively");
    uint32_t *as = is_lively                            ? &known.lively[k]
                   : !strcmp(c->device.backend, "slow") ? &known.slow
                                                        : &known.still;
    if (as == &known.still) {
        known.still_is_default |= c->device.is_default_in;
        return;
    }
    known.is_wrong |= (c->type == TAKT_DEVICE_ADDED) != (*as == 0);
    *as = c->type == TAKT_DEVICE_REMOVED ? 0 : c->device.in_channels_max;
    if (is_lively)
        known.is_default[k] = *as && c->device.is_default_in;
}

static bool is_all_known(void)
{
    bool first = true;
    for (int k = 0; k < THINGS; k++) {
        uint32_t as = atomic_load(&is_away) ? 0 : things[k];
        if (known.lively[k] != as || known.is_default[k] != (as && first))
            return false;
        first &= !as;
    }
    return true;
}

/* Takes changes until everything is known that is, or too long. */
static bool follow(struct takt_device_watch *w)
{
    struct takt_device_change c;
    struct pollfd fd = {.fd = takt_device_watch_fd(w), .events = POLLIN};
    for (int64_t until = takt_now_ns() + 20 * s_ns; takt_now_ns() < until;) {
        if (poll(&fd, 1, 100) > 0)
            while (takt_device_watch_next(w, &c))
                learn(&c);
        if (is_all_known())
            return true;
    }
    return false;
}

static void reset(void)
{
    memset(&known, 0, sizeof known);
    memset(things, 0, sizeof things);
    atomic_store(&is_away, false);
    atomic_store(&watches, 0);
    atomic_store(&unwatches, 0);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void whoever_follows_the_changes_knows_what_is_there(void)
{
    struct takt_device_watch *w;
    struct takt_random random = takt_random_seed(7);
    reset();
    plug(3, 2);
    CHECK_INT(takt_device_watch_create(&w, NULL), 0);
    CHECK(follow(w));
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 5; i++) {
            plug((int)(takt_random_u64(&random) % THINGS),
                 (uint32_t)(takt_random_u64(&random) % 3));
            say(false);
        }
        CHECK(follow(w));
        CHECK(!known.is_wrong);
    }
    takt_device_watch_destroy(w);
    CHECK_INT(watches, 1);
    CHECK_INT(unwatches, 1);
}

static void the_descriptor_is_readable_only_while_there_may_be_news(void)
{
    struct takt_device_watch *w;
    struct takt_device_change c;
    reset();
    plug(0, 1);
    CHECK_INT(takt_device_watch_create(&w, NULL), 0);
    struct pollfd fd = {.fd = takt_device_watch_fd(w), .events = POLLIN};
    CHECK_INT(poll(&fd, 1, 0), 1);
    while (takt_device_watch_next(w, &c))
        ;
    CHECK_INT(poll(&fd, 1, 0), 0);
    plug(5, 1);
    say(false);
    CHECK_INT(poll(&fd, 1, 20000), 1);
    CHECK(takt_device_watch_next(w, &c));
    CHECK(!strcmp(c.device.id, "lively:5"));
    CHECK_INT(c.type, TAKT_DEVICE_ADDED);
    takt_device_watch_destroy(w);
}

static void what_nobody_tells_of_is_found_by_asking_again(void)
{
    struct takt_device_watch *w;
    struct takt_device_change c;
    reset();
    plug(0, 1);
    CHECK_INT(takt_device_watch_create(&w, NULL), 0);
    CHECK(follow(w));
    plug(0, 2); /* `slow` shows it, too, and `lively` is not told */
    struct pollfd fd = {.fd = takt_device_watch_fd(w), .events = POLLIN};
    CHECK_INT(poll(&fd, 1, 20000), 1);
    CHECK(takt_device_watch_next(w, &c));
    CHECK(!strcmp(c.device.id, "slow:0"));
    CHECK_INT(c.type, TAKT_DEVICE_CHANGED);
    CHECK_INT(c.device.in_channels_max, 3);
    takt_device_watch_destroy(w);
}

static void a_server_that_ends_takes_its_devices_along_and_brings_them_back(void)
{
    struct takt_device_watch *w;
    reset();
    plug(1, 1);
    plug(2, 2);
    CHECK_INT(takt_device_watch_create(&w, NULL), 0);
    CHECK(follow(w));
    CHECK(!known.still_is_default);
    atomic_store(&is_away, true);
    say(true);
    CHECK(follow(w));
    CHECK(known.still_is_default);
    CHECK_INT(unwatches, 1);
    atomic_store(&is_away, false);
    CHECK(follow(w));
    CHECK_INT(watches, 2);
    CHECK(!known.is_wrong);
    takt_device_watch_destroy(w);
    CHECK_INT(unwatches, 2);
}

static void a_server_that_hangs_keeps_nobody_waiting(void)
{
    struct takt_device_watch *w;
    reset();
    plug(1, 1);
    atomic_store(&hangs, true);
    CHECK_INT(takt_device_watch_create(&w, NULL), 0);
    CHECK(follow(w));
    plug(2, 1);
    say(false);
    CHECK(follow(w));
    CHECK_INT(known.slow, 0);
    takt_device_watch_destroy(w);
    CHECK_INT(lists_left_hanging, 1);
    atomic_store(&hangs, false); /* what it held is given back now, or a leak is found */
    for (int i = 0; i < 20000 && atomic_load(&lists_left_hanging); i++)
        usleep(1000);
    CHECK_INT(lists_left_hanging, 0);
}

static void without_memory_there_is_no_watch_or_a_sound_one(void)
{
    reset();
    plug(1, 1);
    for (int n = 1;; n++) {
        struct takt_device_watch *w;
        struct takt_error e;
        atomic_store(&asked, 0);
        atomic_store(&failing, n);
        int err = takt_device_watch_create(&w, &e);
        bool happened = atomic_load(&asked) >= n;
        atomic_store(&failing, 0);
        if (err)
            CHECK(err == TAKT_ERR_NOMEM && !w && *e.text);
        takt_device_watch_destroy(w);
        if (!happened) {
            CHECK(err == 0 && n > 6);
            return;
        }
    }
}

int main(void)
{
    RUN(whoever_follows_the_changes_knows_what_is_there);
    RUN(the_descriptor_is_readable_only_while_there_may_be_news);
    RUN(what_nobody_tells_of_is_found_by_asking_again);
    RUN(a_server_that_ends_takes_its_devices_along_and_brings_them_back);
    RUN(a_server_that_hangs_keeps_nobody_waiting);
    RUN(without_memory_there_is_no_watch_or_a_sound_one);
    return tap_done();
}
