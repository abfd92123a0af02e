/* Recordings on a disk that stalls: within the buffer nothing is lost, beyond it exactly what found
 * no room, which is counted, told of, and silence in the file. The disk stalls in pwrite, under the
 * recorder's own worker; the sound's clock is the test's, so a stall of seconds takes none. */
#include "base/random.h"
#include "device/file_port.h"
#include "takt/time.h"
#include "tap.h"

#include <linux/seccomp.h>
#include <pthread.h>
#include <sndfile.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/takt-stall-XXXXXX", path[300];

/* ---- What stands in for the engine and for the disk -------------------------------------------
 */

static _Atomic uint64_t told_frames, told_times;
static char told_text[256];

static void note_event(struct takt_engine *g, enum takt_event_type type, enum takt_err code,
                       int os_errno, uint64_t value, const char *text)
{
    if (type != TAKT_EVENT_SINK_LOST)
        return;
    snprintf(told_text, sizeof told_text, "%s", text);
    atomic_fetch_add(&told_frames, value);
    atomic_fetch_add(&told_times, 1);
}

static const struct takt_engine_ops engine_ops = {.event = note_event};
static struct takt_engine engine = {&engine_ops};

static _Atomic bool stalls, stalled;
static _Atomic int64_t slow_ns_per_byte;

ssize_t __real_pwrite64(int fd, const void *from, size_t bytes, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *from, size_t bytes, off_t at);

ssize_t __wrap_pwrite64(int fd, const void *from, size_t bytes, off_t at)
{
    while (atomic_load(&stalls)) {
        atomic_store(&stalled, true);
        takt_sleep_until_ns(takt_now_ns() + 100000);
    }
    int64_t ns = (int64_t)bytes * atomic_load(&slow_ns_per_byte);
    if (ns)
        takt_sleep_until_ns(takt_now_ns() + ns);
    return __real_pwrite64(fd, from, bytes, at);
}

/* ---- A sink, and what its file has to hold -----------------------------------------------------
 */

enum { FRAMES_MAX = 600000, CHANNELS_MAX = 3, BLOCK_MAX = 2048 };

static float planes[CHANNELS_MAX][FRAMES_MAX + BLOCK_MAX]; /* never zero, exact in any format */
static bool kept[FRAMES_MAX + BLOCK_MAX];
static uint64_t given, lost; /* frames so far; of them, those that the sink refused */
static uint64_t first_lost;

struct setting {
    const char *ending;
    enum takt_sample format;
    uint32_t channels, rate_hz;
    double buffer_s;
    enum takt_clock clock;
};

static void make_sound(void)
{
    struct takt_random r = takt_random_seed(1);
    for (int c = 0; c < CHANNELS_MAX; c++)
        for (size_t i = 0; i < FRAMES_MAX + BLOCK_MAX; i++) {
            float value = (float)(1 + takt_random_below(&r, 60)) / 64;
            planes[c][i] = takt_random_below(&r, 2) ? value : -value;
        }
}

static struct takt_port *start(const struct setting *t)
{
    struct takt_port *p;
    struct takt_error e;
    snprintf(path, sizeof path, "%s/take.%s", folder, t->ending);
    struct takt_port_cfg cfg = {.rest = path,
                                .rate_hz = t->rate_hz,
                                .channels = t->channels,
                                .block_frames_max = BLOCK_MAX,
                                .format = t->format,
                                .clock = t->clock,
                                .buffer_s = t->buffer_s,
                                .engine = &engine,
                                .timeout_ns = 20000000000};
    given = lost = first_lost = 0;
    told_frames = told_times = 0;
    told_text[0] = '\0';
    if (takt_file_open_sink(&cfg, &p, &e) < 0)
        return NULL;
    if (p->ops->start(p, &e) == 0)
        return p;
    p->ops->close(p);
    return NULL;
}

/* One block; false when the sink says one thing and does another. */
static bool give(struct takt_port *p, uint32_t frames)
{
    const float *in[CHANNELS_MAX];
    uint32_t status = 0;
    for (int c = 0; c < CHANNELS_MAX; c++)
        in[c] = planes[c] + given;
    uint32_t n = p->ops->write(p, in, frames, &status);
    if (n > frames || status != (n < frames ? TAKT_PORT_FULL : 0))
        return false;
    if (n < frames && !lost)
        first_lost = given + n;
    for (uint32_t i = 0; i < frames; i++)
        kept[given + i] = i < n;
    given += frames;
    lost += frames - n;
    return true;
}

static void lose(struct takt_port *p, uint32_t frames)
{
    p->ops->lost(p, frames);
    memset(kept + given, 0, frames);
    given += frames;
}

/* Every frame that the sink took is at its place, silence at all others, and nothing behind. */
static bool file_is_right(const struct setting *t)
{
    static float got[1024 * CHANNELS_MAX];
    SF_INFO info = {0};
    SNDFILE *f = sf_open(path, SFM_READ, &info);
    uint64_t at = 0;
    bool right = f && (uint32_t)info.channels == t->channels;
    for (sf_count_t n; right && (n = sf_readf_float(f, got, 1024)) > 0;)
        for (sf_count_t i = 0; i < n && right; i++, at++)
            for (uint32_t c = 0; c < t->channels && right; c++) {
                float want = at < given && kept[at] ? planes[c][at] : 0.0f;
                right = at < given && got[(uint64_t)i * t->channels + c] == want;
            }
    if (f)
        sf_close(f);
    if (!right || at != given)
        printf("# %s: frame %llu of %llu\n", path, (unsigned long long)at,
               (unsigned long long)given);
    return right && at == given;
}

static void let_go_on(void)
{
    atomic_store(&stalled, false);
    atomic_store(&stalls, false);
}

/* From now on no byte reaches the disk; returns when the worker has found out, which needs
 * something to write. */
static void stall_for_good(struct takt_port *p)
{
    atomic_store(&stalled, false);
    atomic_store(&stalls, true);
    give(p, 1);
    while (!atomic_load(&stalled))
        takt_sleep_ms(1);
}

static bool finish(struct takt_port *p, struct takt_recording *rec)
{
    struct takt_error e;
    *rec = (struct takt_recording){0};
    int err = p->ops->stop(p, &e);
    p->ops->recording(p, rec);
    p->ops->close(p);
    return err == 0;
}

/* ---- One stall ---------------------------------------------------------------------------------
 */

static const struct setting settings[] = {
    {"wav", TAKT_S16, 2, 48000, 0, TAKT_CLOCK_REAL},
    {"wav", TAKT_U8, 1, 8000, 0, TAKT_CLOCK_REAL},
    {"wav", TAKT_F32, 3, 16000, 0, TAKT_CLOCK_REAL},
    {"wav", TAKT_S32, 1, 44100, 0, TAKT_CLOCK_REAL},
    {"flac", TAKT_S24, 1, 22050, 0, TAKT_CLOCK_REAL},
    {"flac", TAKT_S16, 2, 8000, 0, TAKT_CLOCK_REAL},
};

static void a_stall_of_five_seconds_loses_nothing(void)
{
    for (size_t k = 0; k < sizeof settings / sizeof *settings; k++) {
        const struct setting *t = &settings[k];
        struct takt_recording rec;
        struct takt_port *p = start(t);
        CHECK(p);
        while (given < t->rate_hz / 2)
            CHECK(give(p, 333));
        stall_for_good(p);
        for (uint64_t until = given + 5ull * t->rate_hz; given < until;)
            CHECK(give(p, 1 + given % 700));
        let_go_on();
        while (given < 6ull * t->rate_hz)
            CHECK(give(p, 64));
        CHECK(finish(p, &rec));
        CHECK_INT(lost, 0);
        CHECK_INT(rec.lost_frames + rec.gap_count + told_times, 0);
        CHECK_INT(rec.recorded_frames, given);
        CHECK(rec.fullest_frames >= 5ull * t->rate_hz && rec.fullest_frames <= rec.buffer_frames);
        CHECK(file_is_right(t));
    }
}

/* The ring is empty as the stall begins, so what it holds is what it says, to the frame. (Not so
 * for FLAC, whose encoder holds some, too.) */
static void a_longer_stall_loses_what_the_buffer_does_not_hold(void)
{
    for (size_t k = 0; !strcmp(settings[k].ending, "wav"); k++) {
        struct setting t = settings[k];
        t.buffer_s = 1.5;
        struct takt_recording rec = {0};
        struct takt_port *p = start(&t);
        CHECK(p);
        stall_for_good(p);
        p->ops->recording(p, &rec);
        CHECK(rec.buffer_frames >= 3 * t.rate_hz / 2);
        CHECK_INT(rec.buffer_bytes, rec.buffer_frames * t.channels * sizeof(float));
        while (given < 4ull * t.rate_hz)
            CHECK(give(p, 256));
        CHECK_INT(lost, given - rec.buffer_frames);
        CHECK_INT(first_lost, rec.buffer_frames);
        p->ops->recording(p, &rec); /* while the disk still stalls */
        CHECK_INT(rec.lost_frames, lost);
        let_go_on();
        while (rec.recorded_frames < rec.buffer_frames) {
            takt_sleep_ms(1);
            p->ops->recording(p, &rec);
        }
        while (told_times == 0 && given < 6ull * t.rate_hz) { /* as soon as it is on disk */
            CHECK(give(p, 100));
            takt_sleep_ms(1);
        }
        CHECK_INT(told_times, 1);
        CHECK(finish(p, &rec));
        CHECK_INT(rec.gap_count, 1);
        CHECK_INT(rec.gaps[0].position, first_lost);
        CHECK_INT(rec.gaps[0].frames, lost);
        CHECK_INT(told_times, 1); /* and not again */
        CHECK_INT(told_frames, lost);
        char want[500];
        unsigned long long ms = first_lost * 1000 / t.rate_hz;
        snprintf(want, sizeof want,
                 "%s: recording lost %llu frames from 0:%02llu.%03llu on: the disk did not keep up",
                 path, (unsigned long long)lost, ms / 1000, ms % 1000);
        if (strcmp(told_text, want))
            printf("# %s\n# wanted %s\n", told_text, want);
        CHECK(!strcmp(told_text, want));
        CHECK(file_is_right(&t));
    }
}

/* ---- Any stalls --------------------------------------------------------------------------------
 */

static bool gaps_are_right(const struct takt_recording *rec)
{
    uint64_t shown = 0, sum = 0;
    uint64_t count = rec->gap_count < TAKT_GAPS_KEPT ? rec->gap_count : TAKT_GAPS_KEPT;
    for (uint64_t i = 0; i < count; i++) {
        const struct takt_gap *g = &rec->gaps[i];
        if (g->position < shown || g->position + g->frames > given)
            return false;
        for (uint64_t k = 0; k < g->frames; k++)
            if (kept[g->position + k])
                return false;
        shown = g->position + g->frames + 1; /* with a frame between, else they were one */
        sum += g->frames;
    }
    return rec->gap_count > TAKT_GAPS_KEPT ? sum <= lost : sum == lost;
}

/* Random blocks, stalls, gaps of the stream's own clock, and a disk that is now fast, now slow. On
 * the virtual clock, where the disk never stalls unseen, a stall is a time without service. */
static bool random_run(const struct setting *t, uint64_t seed, uint64_t *lost_in_all)
{
    struct takt_random r = takt_random_seed(seed);
    struct takt_recording rec;
    struct takt_port *p = start(t);
    bool right = p, is_real = t->clock == TAKT_CLOCK_REAL, serves = true;
    uint64_t length = t->rate_hz / 2 + takt_random_below(&r, 4 * t->rate_hz);
    while (right && given < length) {
        right = give(p, 1 + (uint32_t)takt_random_below(&r, BLOCK_MAX));
        if (takt_random_below(&r, 20) == 0)
            lose(p, (uint32_t)takt_random_below(&r, 300));
        if (takt_random_below(&r, 8) == 0) {
            serves = takt_random_below(&r, 3) == 0;
            atomic_store(&stalls, is_real && !serves);
            atomic_store(&slow_ns_per_byte, takt_random_below(&r, 2) * 20);
        }
        if (!is_real && serves)
            p->ops->service(p);
        if (is_real && takt_random_below(&r, 4) == 0)
            takt_sleep_until_ns(takt_now_ns() + (int64_t)takt_random_below(&r, 300000));
    }
    let_go_on();
    atomic_store(&slow_ns_per_byte, 0);
    right = p && finish(p, &rec) && right && rec.lost_frames == lost && gaps_are_right(&rec) &&
            rec.recorded_frames == given && told_frames == lost &&
            (told_times == 0) == (lost == 0) && file_is_right(t);
    *lost_in_all += lost;
    if (!right)
        printf("# seed %llu: %llu given, %llu lost, said %llu, told %llu\n",
               (unsigned long long)seed, (unsigned long long)given, (unsigned long long)lost,
               (unsigned long long)rec.lost_frames, (unsigned long long)told_frames);
    return right;
}

static void whatever_the_stalls_all_frames_are_recorded_or_counted(void)
{
    uint64_t lost_in_all = 0, whole = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct setting t = settings[seed % (sizeof settings / sizeof *settings)];
        t.buffer_s = seed % 2 ? 0.1 : 0.7;
        t.clock = seed % 3 ? TAKT_CLOCK_REAL : TAKT_CLOCK_VIRTUAL;
        CHECK(random_run(&t, seed, &lost_in_all));
        whole += lost == 0;
    }
    printf("# %llu frames lost and counted; %llu of 60 recordings lost none\n",
           (unsigned long long)lost_in_all, (unsigned long long)whole);
    CHECK(lost_in_all > 10000);
}

/* ---- What the device thread pays ---------------------------------------------------------------
 */

/* From an empty ring to one that has been full for long: the kernel kills at any system call. On
 * the virtual clock the device thread's half is the same, and no thread has to be left behind. */
static void writing_makes_no_system_call_however_full_the_ring_is(void)
{
    struct setting t = settings[0];
    t.clock = TAKT_CLOCK_VIRTUAL;
    t.buffer_s = 0.5;
    struct takt_port *p = start(&t);
    struct takt_recording rec;
    CHECK(p);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
            _exit(2);
        while (given < 200000) {
            give(p, 300);
            if (given % 7000 < 300)
                lose(p, 100);
        }
        syscall(SYS_exit, lost > 100000 ? 0 : 3);
    }
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0); /* 9: killed for a system call */
    CHECK(finish(p, &rec));
}

static long locked_kib(void)
{
    char line[100];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f) && sscanf(line, "VmLck: %ld", &kib) != 1)
        ;
    if (f)
        fclose(f);
    return kib;
}

static void the_buffer_is_locked_or_said_not_to_be(void)
{
    struct takt_recording rec = {0};
    long before = locked_kib();
    struct takt_port *p = start(&settings[0]);
    CHECK(p && before >= 0);
    p->ops->recording(p, &rec);
    long more = locked_kib() - before;
    printf("# %ld KiB locked for a buffer of %llu KiB\n", more,
           (unsigned long long)rec.buffer_bytes / 1024);
    CHECK(rec.buffer_locked == (more >= (long)(rec.buffer_bytes / 1024)));
    CHECK(finish(p, &rec));
}

static void a_buffer_that_cannot_be_had_is_one_clear_error(void)
{
    struct takt_port *p;
    struct takt_error e;
    struct takt_port_cfg cfg = {
        .rest = path, .rate_hz = 384000, .channels = 64, .block_frames_max = 64, .buffer_s = 600};
    snprintf(path, sizeof path, "%s/none.wav", folder);
    CHECK_INT(takt_file_open_sink(&cfg, &p, &e), TAKT_ERR_ARG);
    CHECK(!p && strstr(e.text, "none.wav") && strstr(e.text, "600 s"));
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    make_sound();
    RUN(a_stall_of_five_seconds_loses_nothing);
    RUN(a_longer_stall_loses_what_the_buffer_does_not_hold);
    RUN(whatever_the_stalls_all_frames_are_recorded_or_counted);
    RUN_UNLESS_SANITIZED(writing_makes_no_system_call_however_full_the_ring_is);
    RUN_UNLESS_SANITIZED(the_buffer_is_locked_or_said_not_to_be);
    RUN(a_buffer_that_cannot_be_had_is_one_clear_error);
    static const char *const names[] = {"take.wav", "take.flac"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
    return tap_done();
}
