/* Recordings as sources and sinks, and the writers below them. */
#include "base/random.h"
#include "device/file_port.h"
#include "device/file_writer.h"
#include "takt/time.h"
#include "tap.h"

#include <signal.h>
#include <sndfile.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char folder[] = "/tmp/takt-file-XXXXXX", path[64];

/* ---- What stands in for the engine, and for a memory that ends ----------------------------- */

static _Atomic int events, event_type, event_code;

static void note_event(struct takt_engine *g, enum takt_event_type type, enum takt_err code,
                       int os_errno, uint64_t value, const char *text)
{
    atomic_store(&event_type, type);
    atomic_store(&event_code, code);
    atomic_fetch_add(&events, 1);
}

static const struct takt_engine_ops engine_ops = {.event = note_event};
static struct takt_engine engine = {&engine_ops};

/* Our own allocations alone, as the linker wraps them: `fails_at` counts down to the one that
 * fails; `held` is how many live. */
static _Atomic long fails_at = -1, held;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
char *__real_strdup(const char *text);
void __real_free(void *old);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
char *__wrap_strdup(const char *text);
void __wrap_free(void *old);

static bool memory_ends(void)
{
    return atomic_load(&fails_at) >= 0 && atomic_fetch_sub(&fails_at, 1) == 0;
}

void *__wrap_malloc(size_t bytes)
{
    void *m = memory_ends() ? NULL : __real_malloc(bytes);
    held += m != NULL;
    return m;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    void *m = memory_ends() ? NULL : __real_calloc(count, bytes);
    held += m != NULL;
    return m;
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
    void *m = memory_ends() ? NULL : __real_aligned_alloc(align, bytes);
    held += m != NULL;
    return m;
}

char *__wrap_strdup(const char *text)
{
    char *m = memory_ends() ? NULL : __real_strdup(text);
    held += m != NULL;
    return m;
}

void __wrap_free(void *old)
{
    held -= old != NULL;
    __real_free(old);
}

/* Every write to disk is an instant at which the program may die: does a WAV then claim more than
 * is there? */
static _Atomic long instants, broken_promises;

ssize_t __real_pwrite64(int fd, const void *data, size_t count, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t count, off_t offset);

ssize_t __wrap_pwrite64(int fd, const void *data, size_t count, off_t offset)
{
    ssize_t n = __real_pwrite64(fd, data, count, offset);
    if (n < 0)
        return n; /* errno is the caller's */
    char name[32];
    uint32_t riff[2];
    struct stat st;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    FILE *f = fopen(name, "rb"); /* the descriptor itself is for writing alone */
    if (!f)
        return n;
    if (fread(riff, sizeof *riff, 2, f) == 2 && !memcmp(riff, "RIFF", 4) && !fstat(fd, &st)) {
        instants++;
        broken_promises += (uint64_t)riff[1] + 8 > (uint64_t)st.st_size;
    }
    fclose(f);
    return n;
}

static const char *in_folder(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* ---- Sound, and what is expected of it ------------------------------------------------------- */

enum { RATE_HZ = 48000, SOUND_SAMPLES = 160000 };

static float sound[SOUND_SAMPLES], expected[SOUND_SAMPLES], got[SOUND_SAMPLES];

static void make_sound(uint64_t seed)
{
    struct takt_random r = takt_random_seed(seed);
    for (size_t i = 0; i < SOUND_SAMPLES; i++)
        sound[i] = (float)(takt_random_unit(&r) * 2.2 - 1.1); /* a little of it clips */
}

/* What a file of that format gives back for the first samples of `sound`. */
static void expect(enum takt_sample format, size_t samples)
{
    static unsigned char packed[SOUND_SAMPLES * 4];
    struct takt_encode_state st;
    takt_encode_init(&st, TAKT_DITHER_OFF, TAKT_CLIP_INTEGERS, 1);
    takt_encode(packed, format, 1, sound, samples, &st);
    takt_decode(expected, packed, format, 1, samples);
}

static struct takt_file_writer_cfg cfg_of(const char *name, enum takt_sample format,
                                          uint32_t channels)
{
    return (struct takt_file_writer_cfg){.path = in_folder(name),
                                         .rate_hz = RATE_HZ,
                                         .channels = channels,
                                         .format = format,
                                         .seed = 1};
}

/* Writes frames of `sound` in pieces of any length. Returns 0, or the error. */
static int write_file(const struct takt_file_writer_cfg *cfg, uint32_t frames)
{
    struct takt_random r = takt_random_seed(frames);
    struct takt_file_writer *w;
    int err = takt_file_writer_open(cfg, &w, NULL);
    if (err < 0)
        return err;
    for (uint32_t at = 0; at < frames && !err;) {
        uint32_t n = 1 + (uint32_t)takt_random_below(&r, 3000);
        n = n < frames - at ? n : frames - at;
        err = w->ops->write(w, sound + (size_t)at * cfg->channels, n, NULL);
        at += n;
    }
    int last = w->ops->close(w, NULL);
    return err ? err : last;
}

/* Reads all of it through libsndfile into `got`: frames, or -1. */
static long read_file(const char *name, SF_INFO *info)
{
    memset(info, 0, sizeof *info);
    SNDFILE *file = sf_open(in_folder(name), SFM_READ, info);
    if (!file)
        return -1;
    long n = (long)sf_readf_float(file, got, SOUND_SAMPLES / info->channels);
    sf_close(file);
    return n;
}

/* ---- The writers ----------------------------------------------------------------------------- */

static bool reads_back(const char *name, enum takt_sample format, uint32_t channels,
                       uint32_t frames)
{
    struct takt_file_writer_cfg cfg = cfg_of(name, format, channels);
    SF_INFO info;
    if (write_file(&cfg, frames) < 0)
        return false;
    expect(format, (size_t)frames * channels);
    long n = read_file(name, &info);
    bool same = n == (long)frames && info.frames == n && info.samplerate == RATE_HZ &&
                info.channels == (int)channels &&
                !memcmp(got, expected, (size_t)frames * channels * sizeof *got);
    if (!same)
        printf("# %s, %s, %u channels, %u frames: %ld came back\n", name, takt_sample_name(format),
               channels, frames, n);
    return same;
}

static const enum takt_sample wav_formats[] = {TAKT_F32, TAKT_S16, TAKT_S24, TAKT_S32, TAKT_U8};

static void wav_gives_back_what_was_written(void)
{
    make_sound(1);
    for (size_t f = 0; f < sizeof wav_formats / sizeof *wav_formats; f++)
        for (uint32_t channels = 1; channels <= 9; channels++) {
            for (uint32_t frames = 0; frames <= ROUNDS(100); frames++)
                CHECK(reads_back("x.wav", wav_formats[f], channels, frames));
            for (uint32_t frames = 1020; frames <= 1030; frames++)
                CHECK(reads_back("x.wav", wav_formats[f], channels, frames));
        }
}

static void flac_gives_back_what_was_written(void)
{
    make_sound(2);
    for (uint32_t channels = 1; channels <= 8; channels++)
        for (int deep = 0; deep < 2; deep++) {
            enum takt_sample format = deep ? TAKT_S24 : TAKT_S16;
            for (uint32_t frames = 1; frames <= 20; frames++)
                CHECK(reads_back("x.flac", format, channels, frames));
            for (uint32_t frames = 4094; frames <= 4099; frames++)
                CHECK(reads_back("x.flac", format, channels, frames));
            CHECK(reads_back("x.flac", format, channels, 12345));
        }
}

static unsigned char bytes[1 << 20];

static long load(const char *name)
{
    FILE *f = fopen(in_folder(name), "rb");
    long n = f ? (long)fread(bytes, 1, sizeof bytes, f) : -1;
    if (f)
        fclose(f);
    return n;
}

static uint64_t number(long at, int count)
{
    uint64_t x = 0;
    for (int i = count; i-- > 0;)
        x = x << 8 | bytes[at + i];
    return x;
}

/* Where the chunk's content begins, or -1; the chunks must end where the file does. */
static long find_chunk(const char *tag, long size)
{
    long found = -1, at = 12;
    while (at + 8 <= size) {
        if (!memcmp(bytes + at, tag, 4))
            found = at + 8;
        uint64_t n = number(at + 4, 4);
        if (n == 0xffffffff)
            n = number(12 + 8 + 8, 8);
        at += 8 + (long)(n + (n & 1));
    }
    return at == size ? found : -1;
}

static void wav_header_says_what_is_there(void)
{
    make_sound(3);
    for (size_t f = 0; f < sizeof wav_formats / sizeof *wav_formats; f++)
        for (uint32_t channels = 1; channels <= 9; channels++)
            for (uint32_t frames = 0; frames <= 3; frames++) {
                enum takt_sample format = wav_formats[f];
                struct takt_file_writer_cfg cfg = cfg_of("x.wav", format, channels);
                CHECK_INT(write_file(&cfg, frames), 0);
                long size = load("x.wav");
                size_t frame_bytes = channels * takt_sample_bytes(format);
                CHECK(!memcmp(bytes, "RIFF", 4) && !memcmp(bytes + 8, "WAVE", 4));
                CHECK_INT(number(4, 4) + 8, size);
                CHECK_INT(size % 2, 0);
                long fmt = find_chunk("fmt ", size), data = find_chunk("data", size);
                CHECK(fmt > 0 && data > 0);
                CHECK_INT(number(data - 4, 4), frames * frame_bytes);
                CHECK_INT(number(fmt + 2, 2), channels);
                CHECK_INT(number(fmt + 8, 4), RATE_HZ * frame_bytes);
                CHECK_INT(number(fmt + 12, 2), frame_bytes);
                CHECK_INT(number(fmt + 14, 2), takt_sample_bytes(format) * 8);
                CHECK_INT(number(fmt, 2), format == TAKT_F32 ? 3 : channels > 2 ? 0xfffe : 1);
                long fact = find_chunk("fact", size);
                CHECK_INT(fact > 0, format == TAKT_F32);
                if (fact > 0)
                    CHECK_INT(number(fact, 4), frames);
            }
}

/* At every settle, not only at the end, and for every piece between them. */
static void wav_is_whole_after_every_settle(void)
{
    make_sound(4);
    struct takt_file_writer_cfg cfg = cfg_of("x.wav", TAKT_U8, 1);
    struct takt_file_writer *w;
    SF_INFO info;
    expect(TAKT_U8, 2000);
    CHECK_INT(takt_file_writer_open(&cfg, &w, NULL), 0);
    for (uint32_t at = 0, n = 1; at + n < 2000; at += n, n = n % 37 + 1) {
        CHECK_INT(w->ops->write(w, sound + at, n, NULL), 0);
        CHECK_INT(w->ops->settle(w, NULL), 0);
        CHECK_INT(read_file("x.wav", &info), at + n);
        CHECK(!memcmp(got, expected, (at + n) * sizeof *got));
        long size = load("x.wav");
        CHECK(size > 8 && number(4, 4) + 8 <= (uint64_t)size);
    }
    CHECK_INT(w->ops->close(w, NULL), 0);
}

static void wav_never_claims_what_is_not_there(void)
{
    make_sound(17);
    instants = broken_promises = 0;
    for (uint32_t channels = 1; channels <= 5; channels++) {
        struct takt_file_writer_cfg cfg = cfg_of("x.wav", TAKT_S24, channels);
        struct takt_file_writer *w;
        CHECK_INT(takt_file_writer_open(&cfg, &w, NULL), 0);
        for (uint32_t at = 0, n = 1; at + n < 20000; at += n, n = n * 5 % 1999) {
            CHECK_INT(w->ops->write(w, sound + (size_t)at * channels, n, NULL), 0);
            if (n % 3 == 0)
                CHECK_INT(w->ops->settle(w, NULL), 0);
        }
        CHECK_INT(w->ops->close(w, NULL), 0);
    }
    CHECK(instants > 100);
    CHECK_INT(broken_promises, 0);
}

static void flac_tells_its_length_at_every_settle(void)
{
    make_sound(5);
    struct takt_file_writer_cfg cfg = cfg_of("x.flac", TAKT_S16, 1);
    struct takt_file_writer *w;
    SF_INFO info;
    expect(TAKT_S16, 100000);
    CHECK_INT(takt_file_writer_open(&cfg, &w, NULL), 0);
    for (uint32_t at = 0; at < 100000; at += 1000) {
        CHECK_INT(w->ops->write(w, sound + at, 1000, NULL), 0);
        if (at % 5000 == 0)
            CHECK_INT(w->ops->settle(w, NULL), 0);
        if (at < 10000)
            continue;
        long n = read_file("x.flac", &info);
        CHECK(n <= (long)at + 1000 && n > (long)at - 10000);
        CHECK_INT(info.frames, n);
        CHECK(!memcmp(got, expected, (size_t)n * sizeof *got));
    }
    CHECK_INT(w->ops->close(w, NULL), 0);
    CHECK_INT(read_file("x.flac", &info), 100000);
}

static void wav_becomes_rf64_where_riff_ends(void)
{
    enum { MAX = 65536 };
    make_sound(6);
    expect(TAKT_S16, 60000);
    for (uint32_t frames = 32700; frames <= 32800; frames++) {
        struct takt_file_writer_cfg cfg = cfg_of("x.wav", TAKT_S16, 1);
        SF_INFO info;
        cfg.riff_bytes_max = MAX;
        CHECK_INT(write_file(&cfg, frames), 0);
        long size = load("x.wav");
        bool big = size - 8 > MAX;
        CHECK(!memcmp(bytes, big ? "RF64" : "RIFF", 4));
        CHECK(!memcmp(bytes + 12, big ? "ds64" : "JUNK", 4));
        if (big) {
            CHECK_INT(number(4, 4), 0xffffffff);
            CHECK_INT(number(20, 8) + 8, size);
            CHECK_INT(number(28, 8), frames * 2ull);
            CHECK_INT(number(36, 8), frames);
        }
        CHECK(find_chunk("data", size) > 0);
        CHECK_INT(read_file("x.wav", &info), frames);
        CHECK_INT(info.format & SF_FORMAT_TYPEMASK, big ? SF_FORMAT_RF64 : SF_FORMAT_WAV);
        CHECK(!memcmp(got, expected, frames * sizeof *got));
    }
}

/* RLIMIT_FSIZE is a disk that is full, without a disk. */
static void a_full_disk_leaves_a_whole_file(void)
{
    static const char *const names[] = {"f.wav", "f.flac", "f.opus"};
    make_sound(7);
    signal(SIGXFSZ, SIG_IGN);
    for (size_t k = 0; k < 3; k++)
        for (rlim_t limit = 20000; limit < 20500; limit += 61) {
            struct rlimit before;
            struct takt_file_writer *w;
            struct takt_error e;
            SF_INFO info;
            struct takt_file_writer_cfg cfg = cfg_of(names[k], k < 2 ? TAKT_S16 : 0, 1);
            CHECK_INT(takt_file_writer_open(&cfg, &w, &e), 0);
            getrlimit(RLIMIT_FSIZE, &before);
            setrlimit(RLIMIT_FSIZE, &(struct rlimit){limit, before.rlim_max});
            int err = 0;
            for (uint32_t at = 0; at < 150000 && !err; at += 1000)
                err = w->ops->write(w, sound + at, 1000, &e);
            int last = w->ops->close(w, NULL);
            setrlimit(RLIMIT_FSIZE, &before);
            CHECK_INT(err, TAKT_ERR_FULL);
            CHECK(strstr(e.text, names[k]));
            CHECK_INT(last, 0);
            long n = read_file(names[k], &info);
            CHECK(n > 1000);
            CHECK_INT(info.frames, n);
            long size = load(names[k]);
            CHECK(k != 0 || find_chunk("data", size) > 0);
            expect(TAKT_S16, 20000);
            CHECK(k == 2 || !memcmp(got, expected, (size_t)n * sizeof *got));
        }
}

static void a_writer_without_memory_leaves_nothing(void)
{
    static const char *const names[] = {"m.wav", "m.flac", "m.opus"};
    for (size_t k = 0; k < 3; k++) {
        int err = -1;
        long before = held, n = 0;
        for (; err < 0; n++) {
            struct takt_file_writer_cfg cfg = cfg_of(names[k], 0, 2);
            struct takt_file_writer *w;
            unlink(path);
            atomic_store(&fails_at, n);
            err = takt_file_writer_open(&cfg, &w, NULL);
            atomic_store(&fails_at, -1);
            if (err < 0) {
                CHECK_INT(err, TAKT_ERR_NOMEM);
                CHECK(!w);
                CHECK(access(path, F_OK) != 0);
            } else {
                CHECK_INT(w->ops->close(w, NULL), 0);
            }
            CHECK_INT(held, before);
        }
        CHECK(n > 3);
    }
}

/* ---- Sinks -------------------------------------------------------------------------------------
 */

static struct takt_port_cfg port_cfg(const char *name, bool is_input, uint32_t channels,
                                     enum takt_clock clock)
{
    return (struct takt_port_cfg){.rest = in_folder(name),
                                  .is_input = is_input,
                                  .rate_hz = 8000,
                                  .channels = channels,
                                  .block_frames_max = 512,
                                  .format = is_input ? TAKT_SAMPLE_DEFAULT : TAKT_F32,
                                  .clock = clock,
                                  .seed = 1,
                                  .engine = &engine,
                                  .buffer_s = 4,
                                  .timeout_ns = 10000000000ll};
}

/* What the file should hold in the end, frame by frame. */
static size_t script_frames;

static uint32_t give(struct takt_port *p, uint32_t frames, uint32_t *status)
{
    const float *in[1] = {sound + script_frames};
    uint32_t n = p->ops->write(p, in, frames, status);
    for (uint32_t i = 0; i < frames; i++)
        expected[script_frames + i] = i < n ? sound[script_frames + i] : 0.0f;
    script_frames += frames;
    return n;
}

static void lose(struct takt_port *p, uint64_t frames)
{
    p->ops->lost(p, frames);
    for (uint64_t i = 0; i < frames; i++)
        expected[script_frames++] = 0.0f;
}

static struct takt_port *start_sink(enum takt_clock clock)
{
    struct takt_port_cfg cfg = port_cfg("s.wav", false, 1, clock);
    struct takt_port *p;
    script_frames = 0;
    if (takt_file_open_sink(&cfg, &p, NULL) < 0)
        return NULL;
    if (p->ops->start(p, NULL) == 0)
        return p;
    p->ops->close(p);
    return NULL;
}

static bool holds_the_script(void)
{
    SF_INFO info;
    long n = read_file("s.wav", &info);
    if (n != (long)script_frames)
        printf("# %ld frames, not %zu\n", n, script_frames);
    return n == (long)script_frames && !memcmp(got, expected, script_frames * sizeof *got);
}

static void lost_is_silence_exactly_there(void)
{
    make_sound(8);
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct takt_random r = takt_random_seed(seed);
        struct takt_port *p = start_sink(TAKT_CLOCK_VIRTUAL);
        CHECK(p);
        while (script_frames < 20000 + seed * 1000) {
            uint32_t status = 0, n = 1 + (uint32_t)takt_random_below(&r, 512);
            for (uint64_t k = takt_random_below(&r, 4); k > 1; k--)
                lose(p, takt_random_below(&r, 700));
            CHECK_INT(give(p, n, &status), n);
            CHECK_INT(status, 0);
            p->ops->service(p);
        }
        lose(p, takt_random_below(&r, 700));
        CHECK_INT(p->ops->stop(p, NULL), 0);
        p->ops->close(p);
        CHECK(holds_the_script());
    }
}

static void a_full_ring_drops_and_time_stays_true(void)
{
    make_sound(9);
    for (int drops = 1; drops <= 3; drops++) {
        struct takt_port *p = start_sink(TAKT_CLOCK_VIRTUAL);
        CHECK(p);
        int full = 0;
        for (int round = 0; round < drops; round++) {
            for (int i = 0; i < 80; i++) { /* 40960 frames, above the four seconds it holds */
                uint32_t status = 0, n = give(p, 512, &status);
                CHECK_INT(status, n < 512 ? TAKT_PORT_FULL : 0);
                full += n < 512;
            }
            p->ops->service(p);
        }
        CHECK(full >= drops);
        uint32_t status = 0;
        CHECK_INT(give(p, 300, &status), 300);
        CHECK_INT(p->ops->stop(p, NULL), 0);
        p->ops->close(p);
        CHECK(holds_the_script());
    }
}

/* More gaps than there is room for marks: what comes behind them is dropped, and counted, until one
 * is free; everything else is where it was. */
static void more_gaps_than_marks_are_at_their_places(void)
{
    make_sound(10);
    struct takt_port *p = start_sink(TAKT_CLOCK_VIRTUAL);
    CHECK(p);
    uint64_t dropped = 0;
    for (int i = 0; i < 12000; i++) {
        uint32_t status = 0, n;
        lose(p, 3);
        n = give(p, 2, &status);
        CHECK_INT(status, n < 2 ? TAKT_PORT_FULL : 0);
        dropped += 2 - n;
        if (i % 5000 == 4999)
            p->ops->service(p);
    }
    struct takt_recording rec = {0};
    CHECK_INT(p->ops->stop(p, NULL), 0);
    p->ops->recording(p, &rec);
    p->ops->close(p);
    CHECK(dropped > 1000 && dropped < 4000);
    CHECK_INT(rec.lost_frames, dropped);
    CHECK_INT(rec.recorded_frames, script_frames);
    CHECK(holds_the_script());
}

static void a_sink_with_its_worker_writes_all(void)
{
    make_sound(11);
    struct takt_random r = takt_random_seed(1);
    for (int again = 0; again < 3; again++) {
        struct takt_port *p = start_sink(TAKT_CLOCK_REAL);
        CHECK(p);
        for (int i = 0; i < 150; i++) {
            uint32_t status = 0;
            if (takt_random_below(&r, 10) == 0)
                lose(p, 100);
            give(p, 1 + (uint32_t)takt_random_below(&r, 512), &status);
            usleep(1000);
        }
        CHECK_INT(p->ops->stop(p, NULL), 0);
        p->ops->close(p);
        CHECK(holds_the_script());
    }
}

static void a_sink_that_fails_says_so_once(void)
{
    make_sound(12);
    struct rlimit before;
    SF_INFO info;
    struct takt_error e;
    signal(SIGXFSZ, SIG_DFL); /* the worker must not take the program with it */
    getrlimit(RLIMIT_FSIZE, &before);
    struct takt_port *p = start_sink(TAKT_CLOCK_REAL);
    CHECK(p);
    atomic_store(&events, 0);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){50001, before.rlim_max});
    uint32_t status = 0;
    for (int i = 0; i < 5000 && !(status & TAKT_PORT_ENDED); i++) {
        script_frames = 0;
        give(p, 512, &status);
        usleep(500);
    }
    int err = p->ops->stop(p, &e);
    setrlimit(RLIMIT_FSIZE, &before);
    p->ops->close(p);
    CHECK(status & TAKT_PORT_ENDED);
    CHECK_INT(err, TAKT_ERR_FULL);
    CHECK_INT(events, 1);
    CHECK_INT(event_type, TAKT_EVENT_SINK_FAILED);
    CHECK_INT(event_code, TAKT_ERR_FULL);
    long n = read_file("s.wav", &info);
    CHECK(n > 512);
    CHECK_INT(info.frames, n);
}

/* The disk is full only for the last piece, which stop writes. */
static void a_sink_that_fails_in_stop_fails_as_well(void)
{
    struct rlimit before;
    struct takt_error e;
    SF_INFO info;
    signal(SIGXFSZ, SIG_DFL);
    getrlimit(RLIMIT_FSIZE, &before);
    struct takt_port *p = start_sink(TAKT_CLOCK_REAL);
    CHECK(p);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){2000, before.rlim_max});
    uint32_t status = 0;
    give(p, 512, &status);
    give(p, 512, &status);
    int err = p->ops->stop(p, &e);
    setrlimit(RLIMIT_FSIZE, &before);
    p->ops->close(p);
    CHECK_INT(err, TAKT_ERR_FULL);
    CHECK_INT(read_file("s.wav", &info), info.frames);
}

static void a_port_without_memory_leaves_nothing(void)
{
    make_sound(13);
    struct takt_file_writer_cfg source = cfg_of("p.wav", TAKT_S16, 1);
    source.rate_hz = 8000;
    CHECK_INT(write_file(&source, 1000), 0);
    for (int is_input = 0; is_input < 2; is_input++) {
        int err = -1;
        long before = held, n = 0;
        for (; err < 0; n++) {
            struct takt_port_cfg cfg =
                port_cfg(is_input ? "p.wav" : "q.wav", is_input, 1, TAKT_CLOCK_REAL);
            struct takt_port *p = NULL;
            atomic_store(&fails_at, n);
            err = is_input ? takt_file_open_source(&cfg, &p, NULL)
                           : takt_file_open_sink(&cfg, &p, NULL);
            if (err >= 0)
                err = p->ops->start(p, NULL);
            atomic_store(&fails_at, -1);
            CHECK(err == 0 || err == TAKT_ERR_NOMEM);
            if (p && err >= 0)
                CHECK_INT(p->ops->stop(p, NULL), 0);
            if (p)
                p->ops->close(p);
            CHECK_INT(held, before);
        }
        CHECK(n > 4);
    }
}

/* ---- Sources -----------------------------------------------------------------------------------
 */

/* Reads a source to its end in pieces of any length into `got`. Frames, or the error. */
static long read_source(const struct takt_port_cfg *cfg, long frames_max)
{
    struct takt_random r = takt_random_seed(5);
    struct takt_port *p;
    int err = takt_file_open_source(cfg, &p, NULL);
    if (err < 0)
        return err;
    err = p->ops->start(p, NULL);
    long total = 0;
    uint32_t status = 0;
    while (!err && !(status & TAKT_PORT_ENDED) && total < frames_max) {
        float planes[TAKT_CHANNELS_MAX][512], *out[TAKT_CHANNELS_MAX];
        for (uint32_t c = 0; c < cfg->channels; c++)
            out[c] = planes[c];
        if (cfg->clock == TAKT_CLOCK_VIRTUAL)
            p->ops->service(p);
        status = 0;
        uint32_t n = p->ops->read(p, out, 1 + (uint32_t)takt_random_below(&r, 512), &status);
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t c = 0; c < cfg->channels; c++) {
                size_t at = ((size_t)total + i) * cfg->channels + c;
                if (at < SOUND_SAMPLES)
                    got[at] = planes[c][i];
            }
        total += n;
        if (cfg->clock == TAKT_CLOCK_REAL && (status & TAKT_PORT_SHORT))
            usleep(1000);
    }
    p->ops->stop(p, NULL);
    p->ops->close(p);
    return err ? err : total;
}

static void a_source_gives_every_sample(void)
{
    static const struct {
        const char *name;
        enum takt_sample format;
    } kinds[] = {{"r.wav", TAKT_S16}, {"r.wav", TAKT_S24}, {"r.wav", TAKT_U8},
                 {"r.wav", TAKT_F32}, {"r.wav", TAKT_S32}, {"r.flac", TAKT_S16},
                 {"r.flac", TAKT_S24}};
    make_sound(14);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (uint32_t channels = 1; channels <= 2; channels++)
            for (int clock = 0; clock < 2; clock++) {
                struct takt_file_writer_cfg file = cfg_of(kinds[k].name, kinds[k].format, channels);
                file.rate_hz = 8000; /* 8 s: several times what is read ahead */
                CHECK_INT(write_file(&file, 64001), 0);
                expect(kinds[k].format, 64001ul * channels);
                struct takt_port_cfg cfg = port_cfg(kinds[k].name, true, channels,
                                                    clock ? TAKT_CLOCK_REAL : TAKT_CLOCK_VIRTUAL);
                CHECK_INT(read_source(&cfg, 1000000), 64001);
                CHECK(!memcmp(got, expected, 64001ul * channels * sizeof *got));
            }
}

static void store(const char *name, const unsigned char *from, long count)
{
    FILE *f = fopen(in_folder(name), "wb");
    if (f) {
        fwrite(from, 1, (size_t)count, f);
        fclose(f);
    }
}

static long hostile_opened, hostile_refused;

/* Plays it as a stream would, at its own rate. It may be refused, or end anywhere. A hang ends the
 * whole test by SIGALRM. */
static bool survives(const char *name)
{
    SF_INFO info;
    struct takt_error e = {0};
    alarm(20);
    SNDFILE *file = takt_file_open_sound(in_folder(name), &info, &e);
    if (!file) {
        hostile_refused++;
        return e.code < 0 && e.text[0];
    }
    sf_close(file);
    struct takt_port_cfg cfg = port_cfg(name, true, 1, TAKT_CLOCK_VIRTUAL);
    cfg.channels = (uint32_t)info.channels;
    cfg.rate_hz = (uint32_t)info.samplerate;
    if (cfg.rate_hz < 8000 || cfg.rate_hz > 384000)
        return true; /* no stream runs at that */
    hostile_opened++;
    return read_source(&cfg, 3000000) < 3000000;
}

static const char *const kinds[] = {"h.wav", "h.flac", "h.opus"};

static long make_victim(size_t kind, unsigned char *into)
{
    struct takt_file_writer_cfg cfg = cfg_of(kinds[kind], kind < 2 ? TAKT_S16 : 0, 2);
    int err = write_file(&cfg, kind == 2 ? 3000 : 200);
    long size = load(kinds[kind]);
    if (err < 0 || size <= 200)
        printf("# %s: error %d, %ld bytes\n", kinds[kind], err, size);
    if (err < 0 || size < 0)
        return -1;
    memcpy(into, bytes, (size_t)size);
    return size;
}

static unsigned char victim[1 << 20], broken[1 << 20];

static void every_truncation_is_survived(void)
{
    make_sound(15);
    hostile_opened = hostile_refused = 0;
    for (size_t k = 0; k < 3; k++) {
        long size = make_victim(k, victim);
        CHECK(size > 200);
        for (long n = 0; n <= size; n += THREAD_SANITIZED ? 11 : 1) {
            store(kinds[k], victim, n);
            CHECK(survives(kinds[k]));
        }
    }
    alarm(0);
    CHECK(hostile_opened > 100 && hostile_refused > 100);
}

static void two_thousand_mutations_are_survived(void)
{
    make_sound(16);
    struct takt_random r = takt_random_seed(16);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    hostile_opened = hostile_refused = 0;
    for (size_t k = 0; k < 3; k++) {
        long size = make_victim(k, victim);
        CHECK(size > 200);
        for (int i = 0; i < ROUNDS(2000); i++) {
            memcpy(broken, victim, (size_t)size);
            uint64_t changes = 1 + takt_random_below(&r, 6);
            /* Half of them in the headers, where the lengths are. */
            uint64_t reach = i & 1 ? (uint64_t)size : 100;
            for (uint64_t m = 0; m < changes; m++)
                broken[takt_random_below(&r, reach)] =
                    i & 2 ? (unsigned char)takt_random_u64(&r)
                          : (unsigned char)(takt_random_below(&r, 2) ? 0xff : 0x00);
            store(kinds[k], broken, size);
            CHECK(survives(kinds[k]));
        }
    }
    alarm(0);
    getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_maxrss - before.ru_maxrss < 1 << 20); /* KiB: a sanitizer holds some back */
    CHECK(hostile_opened > ROUNDS(2000) / 4 && hostile_refused > ROUNDS(2000) / 20);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 2;
    RUN(wav_gives_back_what_was_written);
    RUN(flac_gives_back_what_was_written);
    RUN(wav_header_says_what_is_there);
    RUN(wav_is_whole_after_every_settle);
    RUN(wav_never_claims_what_is_not_there);
    RUN(flac_tells_its_length_at_every_settle);
    RUN(wav_becomes_rf64_where_riff_ends);
    RUN(a_full_disk_leaves_a_whole_file);
    RUN(a_writer_without_memory_leaves_nothing);
    RUN(lost_is_silence_exactly_there);
    RUN(a_full_ring_drops_and_time_stays_true);
    RUN(more_gaps_than_marks_are_at_their_places);
    RUN(a_sink_with_its_worker_writes_all);
    RUN(a_sink_that_fails_says_so_once);
    RUN(a_sink_that_fails_in_stop_fails_as_well);
    RUN(a_port_without_memory_leaves_nothing);
    RUN(a_source_gives_every_sample);
    RUN(every_truncation_is_survived);
    RUN(two_thousand_mutations_are_survived);
    for (const char *const *n =
             (const char *const[]){"x.wav", "x.flac", "f.wav", "f.flac", "f.opus", "m.wav",
                                   "m.flac", "m.opus", "s.wav", "p.wav", "q.wav", "r.wav", "r.flac",
                                   "h.wav", "h.flac", "h.opus", NULL};
         *n; n++)
        unlink(in_folder(*n));
    rmdir(folder);
    return tap_done();
}
