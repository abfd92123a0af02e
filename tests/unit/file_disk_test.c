/* Recordings on a disk that is slow, hangs, refuses late, or is asked for more than 4 GiB, and
 * files that must not be recorded to. Writes to disk pass through here. */
#include "device/file_port.h"
#include "device/file_writer.h"
#include "takt/time.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sndfile.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/takt-disk-XXXXXX", path[300];

static const char *in_folder(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* ---- What stands in for the engine ---------------------------------------------------------- */

static _Atomic int events;
static char event_text[256];

static void note_event(struct takt_engine *g, enum takt_event_type type, enum takt_err code,
                       int os_errno, uint64_t value, const char *text)
{
    snprintf(event_text, sizeof event_text, "%s", text);
    atomic_fetch_add(&events, 1);
}

static const struct takt_engine_ops engine_ops = {.event = note_event};
static struct takt_engine engine = {&engine_ops};

/* ---- What stands in for the disk ------------------------------------------------------------ */

static _Atomic int64_t slow_ns_per_byte;
static _Atomic bool hangs, is_sparse, refuses_close;
static _Atomic int hanging, closes;
static _Atomic int64_t busy_ns, busy_ns_max; /* with samples since the last header; the worst */

ssize_t __real_pwrite64(int fd, const void *from, size_t bytes, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *from, size_t bytes, off_t at);
int __real_close(int fd);
int __wrap_close(int fd);

enum { HEADER_BYTES = 128, GIB_SHIFT = 30 };

ssize_t __wrap_pwrite64(int fd, const void *from, size_t bytes, off_t at)
{
    hanging++;
    while (atomic_load(&hangs))
        takt_sleep_ms(1);
    hanging--;
    int64_t ns = (int64_t)bytes * atomic_load(&slow_ns_per_byte);
    if (ns)
        takt_sleep_until_ns(takt_now_ns() + ns);
    busy_ns = at == 0 ? 0 : busy_ns + ns;
    busy_ns_max = busy_ns > busy_ns_max ? busy_ns : busy_ns_max;
    if (atomic_load(&is_sparse) && at > HEADER_BYTES) /* a hole in place of the samples */
        return ftruncate(fd, at + (off_t)bytes) == 0 ? (ssize_t)bytes : -1;
    return __real_pwrite64(fd, from, bytes, at);
}

/* As a network disk does, which tells of a quota only now. */
int __wrap_close(int fd)
{
    int result = __real_close(fd);
    closes++;
    if (!atomic_load(&refuses_close))
        return result;
    errno = EDQUOT;
    return -1;
}

/* ---- Sinks ----------------------------------------------------------------------------------- */

enum { BLOCK_FRAMES = 512 };

static struct takt_port_cfg port_cfg(const char *name, enum takt_clock clock)
{
    return (struct takt_port_cfg){.rest = in_folder(name),
                                  .rate_hz = 8000,
                                  .channels = 1,
                                  .block_frames_max = BLOCK_FRAMES,
                                  .clock = clock,
                                  .seed = 1,
                                  .engine = &engine,
                                  .timeout_ns = 200000000};
}

static struct takt_port *start_sink(const char *name, enum takt_clock clock)
{
    struct takt_port_cfg cfg = port_cfg(name, clock);
    struct takt_port *p;
    struct takt_error e;
    atomic_store(&events, 0);
    if (takt_file_open_sink(&cfg, &p, &e) < 0)
        return NULL;
    if (p->ops->start(p, &e) == 0)
        return p;
    p->ops->close(p);
    return NULL;
}

static uint32_t give(struct takt_port *p, uint32_t *status)
{
    static const float silence[BLOCK_FRAMES];
    const float *in[] = {silence};
    *status = 0;
    return p->ops->write(p, in, BLOCK_FRAMES, status);
}

/* How many frames the file says that it has, at this moment. */
static int64_t claimed(const char *name)
{
    SF_INFO info = {0};
    SNDFILE *f = sf_open(in_folder(name), SFM_READ, &info);
    if (f)
        sf_close(f);
    return f ? info.frames : -1;
}

/* ---- The disk is slow ------------------------------------------------------------------------ */

/* The ring never runs empty, so the worker never rests. However slow this machine: the disk cannot
 * have worked for longer than the wall's time between two headers, and a piece on top. */
static void header_follows_on_a_disk_that_only_just_keeps_up(void)
{
    enum { SETTLE_MS = 250, PIECE_MS = 62 };
    struct takt_port *p = start_sink("slow.wav", TAKT_CLOCK_REAL);
    uint32_t status;
    int full = 0;
    CHECK(p);
    for (int i = 0; i < 40; i++) /* 2.5 s of sound, … */
        give(p, &status);
    busy_ns_max = 0;
    atomic_store(&slow_ns_per_byte, 20000); /* … taken at twice its pace, and more coming */
    for (int64_t began = takt_now_ns(); takt_now_ns() - began < 1500000000; takt_sleep_ms(5))
        full += give(p, &status) < BLOCK_FRAMES;
    atomic_store(&slow_ns_per_byte, 0);
    CHECK_INT(p->ops->stop(p, NULL), 0);
    p->ops->close(p);
    printf("# full %d times; up to %lld ms of the disk's work not in the header\n", full,
           (long long)busy_ns_max / 1000000);
    CHECK(busy_ns_max > 100000000);
    CHECK(busy_ns_max <= (SETTLE_MS + 2 * PIECE_MS) * 1000000ll);
}

/* The virtual clock of a heavy callback may stand nearly still; the file's time is the wall's. */
static void slow_virtual_time_still_reaches_the_disk(void)
{
    static const char *const names[] = {"v.wav", "v.flac", "v.opus"};
    for (size_t k = 0; k < 3; k++) {
        struct takt_port *p = start_sink(names[k], TAKT_CLOCK_VIRTUAL);
        CHECK(p);
        uint32_t status;
        for (int i = 0; i < 24; i++) { /* 1.5 s of sound, in 1.2 s */
            CHECK_INT(give(p, &status), BLOCK_FRAMES);
            p->ops->service(p);
            takt_sleep_ms(50);
        }
        int64_t frames = claimed(names[k]);
        CHECK_INT(p->ops->stop(p, NULL), 0);
        p->ops->close(p);
        CHECK(frames > 24 * BLOCK_FRAMES - 8000);
        CHECK_INT(claimed(names[k]), 24 * BLOCK_FRAMES);
    }
}

/* ---- The disk hangs -------------------------------------------------------------------------- */

static void a_disk_that_hangs_holds_up_neither_stop_nor_close(void)
{
    struct takt_port *p = start_sink("hang.wav", TAKT_CLOCK_REAL);
    struct takt_error e;
    uint32_t status;
    CHECK(p);
    atomic_store(&hangs, true);
    for (int i = 0; i < 20; i++)
        give(p, &status);
    while (!atomic_load(&hanging))
        takt_sleep_ms(1);
    alarm(20); /* a failure is a hang */
    int64_t began = takt_now_ns();
    CHECK_INT(p->ops->stop(p, &e), TAKT_ERR_TIMEOUT);
    CHECK(strstr(e.text, "hang.wav"));
    CHECK_INT(p->ops->stop(p, &e), TAKT_ERR_TIMEOUT);
    CHECK_INT(p->ops->start(p, &e), TAKT_ERR_TIMEOUT);
    p->ops->close(p);
    CHECK(takt_now_ns() - began < 10000000000);
    alarm(0);
    /* The disk comes back, after all: what was left behind completes its file. */
    atomic_store(&hangs, false);
    for (int i = 0; i < 2000 && claimed("hang.wav") != 20 * BLOCK_FRAMES; i++)
        takt_sleep_ms(1);
    CHECK_INT(claimed("hang.wav"), 20 * BLOCK_FRAMES);
}

static void a_disk_that_comes_back_lets_stop_finish(void)
{
    struct takt_port *p = start_sink("back.wav", TAKT_CLOCK_REAL);
    uint32_t status;
    CHECK(p);
    atomic_store(&hangs, true);
    for (int i = 0; i < 20; i++)
        give(p, &status);
    while (!atomic_load(&hanging))
        takt_sleep_ms(1);
    int first = p->ops->stop(p, NULL);
    atomic_store(&hangs, false);
    int second = TAKT_ERR_TIMEOUT;
    for (int i = 0; i < 100 && second == TAKT_ERR_TIMEOUT; i++)
        second = p->ops->stop(p, NULL);
    p->ops->close(p);
    CHECK_INT(first, TAKT_ERR_TIMEOUT);
    CHECK_INT(second, 0);
    CHECK_INT(claimed("back.wav"), 20 * BLOCK_FRAMES);
}

/* After the engine has gone, nobody may be told anything. */
/* How many threads of this program write for a sink. */
static int writers(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *t; tasks && (t = readdir(tasks));) {
        char task[300], name[32] = "";
        snprintf(task, sizeof task, "/proc/self/task/%s/comm", t->d_name);
        FILE *f = fopen(task, "r");
        count += f && fgets(name, sizeof name, f) && strcmp(name, "takt-write\n") == 0;
        if (f)
            fclose(f);
    }
    if (tasks)
        closedir(tasks);
    return count;
}

static void what_is_left_behind_tells_nobody(void)
{
    struct rlimit before;
    struct takt_port *p = start_sink("mute.wav", TAKT_CLOCK_REAL);
    uint32_t status;
    CHECK(p);
    getrlimit(RLIMIT_FSIZE, &before);
    atomic_store(&hangs, true);
    give(p, &status);
    while (!atomic_load(&hanging))
        takt_sleep_ms(1);
    CHECK_INT(p->ops->stop(p, NULL), TAKT_ERR_TIMEOUT);
    p->ops->close(p);
    CHECK_INT(writers(), 1);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){100, before.rlim_max});
    int closes_before = closes;
    atomic_store(&hangs, false);
    struct stat st = {0};
    for (int i = 0; i < 20000 && closes == closes_before; i++)
        takt_sleep_ms(1);
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK(closes > closes_before);
    CHECK(stat(in_folder("mute.wav"), &st) == 0 && st.st_size <= 100);
    CHECK_INT(atomic_load(&events), 0);
    for (int i = 0; i < 20000 && writers(); i++)
        takt_sleep_ms(1);
    CHECK_INT(writers(), 0);
    /* Whoever comes next clears up after it: ThreadSanitizer and valgrind see what is never. */
    p = start_sink("next.wav", TAKT_CLOCK_REAL);
    CHECK(p);
    CHECK_INT(p->ops->stop(p, NULL), 0);
    p->ops->close(p);
}

/* ---- The disk refuses ------------------------------------------------------------------------ */

static void a_disk_that_refuses_at_the_close_is_heard(void)
{
    static const char *const names[] = {"c.wav", "c.flac", "c.opus"};
    for (size_t k = 0; k < 3; k++) {
        struct takt_port *p = start_sink(names[k], TAKT_CLOCK_REAL);
        struct takt_error e;
        uint32_t status;
        CHECK(p);
        give(p, &status);
        atomic_store(&refuses_close, true);
        int err = p->ops->stop(p, &e);
        atomic_store(&refuses_close, false);
        p->ops->close(p);
        CHECK_INT(err, TAKT_ERR_FULL);
        CHECK(strstr(e.text, names[k]));
        CHECK_INT(events, 1);
    }
}

/* However long the path: which file, why, and what became of it. */
static void the_event_of_a_full_disk_says_all(void)
{
    char name[200];
    for (int length = 1; length <= 190; length += 27) {
        struct rlimit before;
        memset(name, 'n', (size_t)length);
        strcpy(name + length, ".wav");
        struct takt_port *p = start_sink(name, TAKT_CLOCK_REAL);
        uint32_t status = 0;
        CHECK(p);
        getrlimit(RLIMIT_FSIZE, &before);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){20000, before.rlim_max});
        for (int i = 0; i < 5000 && !(status & TAKT_PORT_ENDED); i++) {
            give(p, &status);
            takt_sleep_ms(1);
        }
        p->ops->stop(p, NULL);
        setrlimit(RLIMIT_FSIZE, &before);
        p->ops->close(p);
        unlink(in_folder(name));
        CHECK_INT(events, 1);
        CHECK(strlen(event_text) < sizeof((struct takt_event){0}).text);
        CHECK(strstr(event_text, "n.wav") && strstr(event_text, strerror(EFBIG)) &&
              strstr(event_text, " s; ") && strstr(event_text, "is whole"));
    }
}

/* ---- More than 4 GiB ------------------------------------------------------------------------- */

/* The true limit, over holes: one piece at a time up to 4 GiB and past it. Before it the file is a
 * plain WAV, behind it an RF64, at every settle, and libsndfile agrees about the length. */
static void a_recording_grows_past_4_gib(void)
{
    enum { CHANNELS = 64, FRAMES = 1024 };
    static const float piece[CHANNELS * FRAMES];
    const uint64_t piece_bytes = (uint64_t)CHANNELS * FRAMES * sizeof(float);
    const uint64_t pieces = (4ull << GIB_SHIFT) / piece_bytes;
    struct takt_file_writer_cfg cfg = {
        .path = in_folder("big.wav"), .rate_hz = 48000, .channels = CHANNELS, .format = TAKT_F32};
    struct takt_file_writer *w;
    CHECK_INT(takt_file_writer_open(&cfg, &w, NULL), 0);
    atomic_store(&is_sparse, true);
    bool whole = true;
    for (uint64_t n = 1; n <= pieces + 2 && whole; n++) {
        whole = w->ops->write(w, piece, FRAMES, NULL) == 0;
        if (n + 2 < pieces)
            continue;
        char tag[4] = "";
        whole = whole && w->ops->settle(w, NULL) == 0;
        int fd = open(in_folder("big.wav"), O_RDONLY);
        whole = whole && pread(fd, tag, 4, 0) == 4;
        close(fd);
        whole = whole && !memcmp(tag, n < pieces ? "RIFF" : "RF64", 4) &&
                claimed("big.wav") == (int64_t)n * FRAMES;
        if (!whole)
            printf("# after %llu of %llu pieces: %.4s, %lld frames\n", (unsigned long long)n,
                   (unsigned long long)pieces, tag, (long long)claimed("big.wav"));
    }
    int last = w->ops->close(w, NULL);
    atomic_store(&is_sparse, false);
    int64_t frames = claimed("big.wav");
    unlink(in_folder("big.wav"));
    CHECK(whole);
    CHECK_INT(last, 0);
    CHECK_INT(frames, (int64_t)(pieces + 2) * FRAMES);
}

/* ---- What must not be recorded to ------------------------------------------------------------ */

static int open_one(const char *name, bool is_input, struct takt_port **p, struct takt_error *e)
{
    struct takt_port_cfg cfg = port_cfg(name, TAKT_CLOCK_VIRTUAL);
    cfg.is_input = is_input;
    return is_input ? takt_file_open_source(&cfg, p, e) : takt_file_open_sink(&cfg, p, e);
}

static int record_one(const char *name)
{
    uint32_t status;
    struct takt_port *p = start_sink(name, TAKT_CLOCK_VIRTUAL);
    if (!p)
        return -1;
    give(p, &status);
    int err = p->ops->stop(p, NULL);
    p->ops->close(p);
    return err;
}

static void play_and_record(const char *name)
{
    struct takt_port *source, *sink, *other;
    struct takt_error e;
    char link[20];
    snprintf(link, sizeof link, "link-%s", name);
    CHECK_INT(record_one(name), 0);
    CHECK(symlink(name, in_folder(link)) == 0);
    CHECK_INT(open_one(name, true, &source, &e), 0);
    CHECK_INT(open_one(name, false, &sink, &e), TAKT_ERR_IO);
    CHECK(strstr(e.text, name));
    CHECK_INT(open_one(link, false, &sink, &e), TAKT_ERR_IO);
    CHECK_INT(claimed(name), BLOCK_FRAMES);
    source->ops->close(source);
    /* Played only after create: start finds out. */
    CHECK_INT(open_one(name, false, &sink, &e), 0);
    CHECK_INT(open_one(name, true, &source, &e), 0);
    CHECK_INT(sink->ops->start(sink, &e), TAKT_ERR_IO);
    CHECK_INT(claimed(name), BLOCK_FRAMES);
    source->ops->close(source);
    /* Two recordings into one file. */
    CHECK_INT(sink->ops->start(sink, &e), 0);
    CHECK_INT(open_one(name, false, &other, &e), TAKT_ERR_IO);
    CHECK_INT(sink->ops->stop(sink, &e), 0);
    CHECK_INT(open_one(name, false, &other, &e), 0);
    other->ops->close(other);
    sink->ops->close(sink);
}

static void a_file_that_is_being_played_is_not_recorded_over(void)
{
    play_and_record("both.wav");
    play_and_record("both.flac");
    play_and_record("both.opus");
}

/* Being valid at every instant, it can be played while it grows. */
static void a_recording_can_be_played_while_it_grows(void)
{
    struct takt_port *sink = start_sink("grow.wav", TAKT_CLOCK_VIRTUAL), *source;
    uint32_t status;
    CHECK(sink);
    give(sink, &status);
    CHECK_INT(open_one("grow.wav", true, &source, NULL), 0);
    source->ops->close(source);
    CHECK_INT(sink->ops->stop(sink, NULL), 0);
    sink->ops->close(sink);
}

static void create_leaves_an_existing_file_as_it_is(void)
{
    struct takt_port *p;
    struct stat before, after;
    CHECK_INT(record_one("old.wav"), 0);
    CHECK(stat(in_folder("old.wav"), &before) == 0);
    CHECK_INT(open_one("old.wav", false, &p, NULL), 0);
    p->ops->close(p);
    CHECK(stat(in_folder("old.wav"), &after) == 0);
    CHECK_INT(after.st_size, before.st_size);
    CHECK(!memcmp(&after.st_mtim, &before.st_mtim, sizeof after.st_mtim));
    CHECK_INT(open_one("never.wav", false, &p, NULL), 0);
    p->ops->close(p);
    CHECK(access(in_folder("never.wav"), F_OK) != 0);
}

static void what_is_no_file_is_refused_at_once(void)
{
    struct takt_port *p;
    struct takt_error e;
    CHECK(mkfifo(in_folder("fifo.wav"), 0600) == 0);
    CHECK(mkdir(in_folder("folder.wav"), 0700) == 0);
    static const char *const names[] = {"fifo.wav", "folder.wav", "none/x.wav"};
    alarm(20); /* a failure is a hang */
    for (size_t i = 0; i < 3; i++)
        for (int is_input = 0; is_input < 2; is_input++) {
            CHECK(open_one(names[i], is_input, &p, &e) < 0);
            CHECK(!p && strstr(e.text, names[i]));
        }
    /* It becomes one between create and start. */
    CHECK_INT(open_one("late.wav", false, &p, &e), 0);
    CHECK(mkfifo(in_folder("late.wav"), 0600) == 0);
    int err = p->ops->start(p, &e);
    p->ops->close(p);
    alarm(0);
    CHECK(err < 0);
}

/* What create grants, start can do. */
static void rates_that_a_file_cannot_have_are_refused_by_create(void)
{
    static const uint32_t rates[] = {8000,  11025, 12000, 16000, 22050,  24000,  44100,  44101,
                                     48000, 65535, 65536, 65537, 88200,  96000,  176400, 192000,
                                     88201, 96001, 9999,  99999, 300000, 383999, 384000};
    static const char *const names[] = {"rate.wav", "rate.flac", "rate.opus"};
    int granted = 0, refused = 0;
    for (size_t r = 0; r < sizeof rates / sizeof *rates; r++)
        for (size_t k = 0; k < 3; k++) {
            struct takt_port_cfg cfg = port_cfg(names[k], TAKT_CLOCK_VIRTUAL);
            struct takt_port *p;
            struct takt_error e;
            cfg.rate_hz = rates[r];
            if (takt_file_open_sink(&cfg, &p, &e) < 0) {
                CHECK_INT(e.code, TAKT_ERR_UNSUPPORTED);
                CHECK(k > 0);
                refused++;
                continue;
            }
            uint32_t status;
            CHECK_INT(p->ops->start(p, &e), 0);
            give(p, &status);
            CHECK_INT(p->ops->stop(p, &e), 0);
            p->ops->close(p);
            CHECK_INT(claimed(names[k]), BLOCK_FRAMES);
            granted++;
        }
    CHECK(granted > 40 && refused > 5);
}

/* ---- Replay ---------------------------------------------------------------------------------- */

static unsigned char first_run[1 << 20], second_run[1 << 20];

static long record_noise(const char *name, unsigned char *into, uint32_t block)
{
    struct takt_port *p = start_sink(name, TAKT_CLOCK_VIRTUAL);
    if (!p)
        return -1;
    for (uint32_t at = 0; at < 64 * BLOCK_FRAMES; at += block) {
        float sound[BLOCK_FRAMES];
        const float *in[] = {sound};
        uint32_t status = 0;
        for (uint32_t i = 0; i < block; i++)
            sound[i] = (float)((at + i) * 2654435761u >> 8) * 0x1p-25f;
        p->ops->write(p, in, block, &status);
        p->ops->service(p);
    }
    p->ops->stop(p, NULL);
    p->ops->close(p);
    FILE *f = fopen(in_folder(name), "rb");
    long n = f ? (long)fread(into, 1, sizeof first_run, f) : -1;
    if (f)
        fclose(f);
    return n;
}

/* Another day, another second, other blocks: the same bytes. */
static void virtual_time_makes_the_same_bytes_each_time(void)
{
    static const char *const names[] = {"same.wav", "same.flac", "same.opus"};
    for (size_t k = 0; k < 3; k++) {
        long n = record_noise(names[k], first_run, BLOCK_FRAMES);
        CHECK(n > 5000);
        takt_sleep_ms(1100); /* libsndfile's chance begins with the second */
        CHECK_INT(record_noise(names[k], second_run, 64), n);
        CHECK(!memcmp(first_run, second_run, (size_t)n));
        CHECK_INT(claimed(names[k]), 64 * BLOCK_FRAMES);
    }
}

int main(void)
{
    if (!mkdtemp(folder))
        return 2;
    RUN(header_follows_on_a_disk_that_only_just_keeps_up);
    RUN(slow_virtual_time_still_reaches_the_disk);
    RUN(a_disk_that_comes_back_lets_stop_finish);
    RUN(a_disk_that_refuses_at_the_close_is_heard);
    RUN(the_event_of_a_full_disk_says_all);
    RUN_UNLESS_SANITIZED(a_recording_grows_past_4_gib);
    RUN(a_file_that_is_being_played_is_not_recorded_over);
    RUN(a_recording_can_be_played_while_it_grows);
    RUN(create_leaves_an_existing_file_as_it_is);
    RUN(rates_that_a_file_cannot_have_are_refused_by_create);
    RUN(virtual_time_makes_the_same_bytes_each_time);
    RUN(what_is_no_file_is_refused_at_once);
    RUN(a_disk_that_hangs_holds_up_neither_stop_nor_close);
    RUN(what_is_left_behind_tells_nobody);
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) != 0 || tap_done();
}
