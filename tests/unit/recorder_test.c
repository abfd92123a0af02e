/* takt_recorder on disks that are quick, hang, or are full. Each frame is worth its own number, so
 * what is in the file tells what was written, where, and in which order. */
#include "takt/recorder.h"

#include "base/random.h"
#include "device/file_writer.h"
#include "takt/time.h"
#include "tap.h"

#include <errno.h>
#include <math.h>
#include <sndfile.h>
#include <stdatomic.h>
#include <unistd.h>

enum { RATE_HZ = 8000, CHANNELS = 3, FRAMES_MAX = 64, MOST = 1 << 17 };

static char folder[] = "/tmp/takt-recorder-XXXXXX", path[300];
static float sound[CHANNELS][MOST], heard[MOST * CHANNELS];

static const char *in_folder(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* ---- What stands in for the disk ------------------------------------------------------------- */

static _Atomic bool hangs;
static _Atomic int hanging;
static _Atomic int64_t room_bytes = INT64_MAX; /* of a file; beyond, the disk is full */

static ssize_t disk(int fd, const void *data, size_t bytes, off_t offset)
{
    hanging++;
    while (atomic_load(&hangs))
        takt_sleep_ms(1);
    hanging--;
    if (offset + (off_t)bytes <= atomic_load(&room_bytes))
        return pwrite(fd, data, bytes, offset);
    errno = ENOSPC;
    return -1;
}

/* ---- Writing and reading --------------------------------------------------------------------- */

static struct takt_recorder_cfg cfg_of(const char *name, enum takt_clock clock)
{
    return (struct takt_recorder_cfg){.path = in_folder(name),
                                      .rate_hz = RATE_HZ,
                                      .channels = CHANNELS,
                                      .frames_max = FRAMES_MAX,
                                      .buffer_s = 0.5,
                                      .format = TAKT_F32,
                                      .clock = clock,
                                      .timeout_ms = 500};
}

static struct takt_recorder *start(const struct takt_recorder_cfg *cfg)
{
    struct takt_recorder *r;
    struct takt_error e;
    if (takt_recorder_create(cfg, &r, &e) == 0 && takt_recorder_start(r, &e) == 0)
        return r;
    printf("# %s\n", e.text);
    takt_recorder_destroy(r);
    return NULL;
}

/* The frames of the sound from `at` on. */
static void give(struct takt_recorder *r, size_t at, size_t frames)
{
    const float *x[CHANNELS];
    for (int c = 0; c < CHANNELS; c++)
        x[c] = sound[c] + at;
    takt_recorder_write(r, x, (uint32_t)frames);
}

/* How many frames the file has, all of them in heard[]; -1 when it cannot be read. */
static int64_t hear(const char *name)
{
    SF_INFO info = {0};
    SNDFILE *f = sf_open(in_folder(name), SFM_READ, &info);
    if (!f)
        return -1;
    int64_t frames = info.channels == CHANNELS ? sf_readf_float(f, heard, MOST) : -1;
    sf_close(f);
    return frames == info.frames ? frames : -1;
}

/* Are the frames from..to of the file those of the sound? */
static bool is_sound(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        for (size_t c = 0; c < CHANNELS; c++)
            if (heard[i * CHANNELS + c] != sound[c][i]) {
                printf("# frame %zu, channel %zu: %g\n", i, c, (double)heard[i * CHANNELS + c]);
                return false;
            }
    return true;
}

static bool is_silence(size_t from, size_t to)
{
    for (size_t i = from * CHANNELS; i < to * CHANNELS; i++)
        if (heard[i] != 0)
            return false;
    return true;
}

static struct takt_recording state(const struct takt_recorder *r)
{
    struct takt_recording now;
    takt_recorder_read(r, &now);
    return now;
}

/* Until so many frames are on disk, or 10 s are over. */
static bool has_recorded(const struct takt_recorder *r, uint64_t frames)
{
    for (int i = 0; i < 10000 && state(r).recorded_frames < frames; i++)
        takt_sleep_ms(1);
    return state(r).recorded_frames == frames;
}

/* ---- All of it ------------------------------------------------------------------------------- */

/* Also of none, of exactly frames_max, and of many times as much. */
static void writes_of_any_size_arrive_in_full_and_in_order(void)
{
    static const enum takt_clock clocks[] = {TAKT_CLOCK_VIRTUAL, TAKT_CLOCK_REAL};
    struct takt_random chance = takt_random_seed(5);
    for (int k = 0; k < 2; k++)
        for (uint32_t most = 1; most <= 64 * FRAMES_MAX; most *= 8) {
            struct takt_recorder_cfg cfg = cfg_of("any.wav", clocks[k]);
            cfg.buffer_s = 20; /* more than is written */
            struct takt_recorder *r = start(&cfg);
            CHECK(r);
            size_t at = 0, end = most * 24 < MOST / 4 ? most * 24 : MOST / 4;
            for (int i = 0; at < end; i++) {
                size_t n = i % 4 == 3 ? FRAMES_MAX : (size_t)takt_random_below(&chance, most + 1);
                n = n < end - at ? n : end - at;
                give(r, at, n);
                at += n;
            }
            int err = takt_recorder_stop(r, NULL);
            struct takt_recording all = state(r);
            takt_recorder_destroy(r);
            CHECK_INT(err, 0);
            CHECK_INT(all.recorded_frames, end);
            CHECK_INT(all.lost_frames, 0);
            CHECK_INT(hear("any.wav"), end);
            CHECK(is_sound(0, end));
        }
}

/* On a virtual clock the disk is waited for, however small the buffer. */
static void virtual_clock_loses_nothing_of_one_long_write(void)
{
    struct takt_recorder_cfg cfg = cfg_of("long.wav", TAKT_CLOCK_VIRTUAL);
    cfg.buffer_s = 0.1;
    struct takt_recorder *r = start(&cfg);
    CHECK(r);
    give(r, 0, MOST);
    int err = takt_recorder_stop(r, NULL);
    uint64_t lost = state(r).lost_frames;
    takt_recorder_destroy(r);
    CHECK_INT(err, 0);
    CHECK_INT(lost, 0);
    CHECK_INT(hear("long.wav"), MOST);
    CHECK(is_sound(0, MOST));
}

/* ---- The disk stalls ------------------------------------------------------------------------- */

static void stall_that_the_buffer_covers_loses_nothing(void)
{
    struct takt_recorder_cfg cfg = cfg_of("stall.wav", TAKT_CLOCK_REAL);
    struct takt_recorder *r = start(&cfg);
    CHECK(r);
    atomic_store(&hangs, true);
    size_t whole = (size_t)(cfg.buffer_s * RATE_HZ), at = 0;
    for (size_t n = 1; at < whole; n = n * 3 + 1) {
        n = n < whole - at ? n : whole - at;
        give(r, at, n);
        at += n;
    }
    atomic_store(&hangs, false);
    int err = takt_recorder_stop(r, NULL);
    struct takt_recording all = state(r);
    takt_recorder_destroy(r);
    CHECK_INT(err, 0);
    CHECK_INT(all.lost_frames, 0);
    CHECK_INT(all.gap_count, 0);
    CHECK_INT(hear("stall.wav"), whole);
    CHECK(is_sound(0, whole));
}

/* Twice: each time what is beyond the buffer is one gap, silence of its length stands in the file,
 * and what comes after is where it belongs. */
static void longer_stall_loses_counted_frames_and_tells_where(void)
{
    enum { MORE = 1000, AFTER = 300, TIMES = 2 };
    struct takt_recorder_cfg cfg = cfg_of("lost.wav", TAKT_CLOCK_REAL);
    struct takt_recorder *r = start(&cfg);
    CHECK(r);
    size_t room = (size_t)state(r).buffer_frames, at = 0, gap[TIMES];
    CHECK(room >= (size_t)(cfg.buffer_s * RATE_HZ) && 2 * (room + MORE + AFTER) < MOST);
    for (int k = 0; k < TIMES; k++) {
        atomic_store(&hangs, true);
        give(r, at, room + MORE / 2);
        give(r, at + room + MORE / 2, MORE / 2);
        gap[k] = at + room;
        atomic_store(&hangs, false);
        CHECK(has_recorded(r, gap[k]));
        at = gap[k] + MORE;
        give(r, at, AFTER);
        at += AFTER;
        CHECK(has_recorded(r, at));
    }
    int err = takt_recorder_stop(r, NULL);
    struct takt_recording all = state(r);
    takt_recorder_destroy(r);
    CHECK_INT(err, 0);
    CHECK_INT(all.lost_frames, TIMES * MORE);
    CHECK_INT(all.gap_count, TIMES);
    CHECK_INT(hear("lost.wav"), at);
    for (size_t k = 0, from = 0; k < TIMES; k++) {
        CHECK_INT(all.gaps[k].position, gap[k]);
        CHECK_INT(all.gaps[k].frames, MORE);
        CHECK(is_sound(from, gap[k]));
        CHECK(is_silence(gap[k], gap[k] + MORE));
        from = gap[k] + MORE;
    }
    CHECK(is_sound(gap[TIMES - 1] + MORE, at));
}

static void disk_that_hangs_holds_up_neither_stop_nor_destroy(void)
{
    struct takt_recorder_cfg cfg = cfg_of("hang.wav", TAKT_CLOCK_REAL);
    struct takt_recorder *r = start(&cfg);
    struct takt_error e;
    CHECK(r);
    alarm(30); /* a failure is a hang */
    atomic_store(&hangs, true);
    give(r, 0, 900);
    while (!atomic_load(&hanging))
        takt_sleep_ms(1);
    int first = takt_recorder_stop(r, &e), second = takt_recorder_stop(r, NULL);
    takt_recorder_destroy(r);
    atomic_store(&hangs, false);
    CHECK_INT(first, TAKT_ERR_TIMEOUT);
    CHECK_INT(second, TAKT_ERR_TIMEOUT);
    CHECK(strstr(e.text, "hang.wav"));
    /* It comes back, after all: what was left behind completes its file. */
    for (int i = 0; i < 10000 && hear("hang.wav") != 900; i++)
        takt_sleep_ms(1);
    alarm(0);
    CHECK_INT(hear("hang.wav"), 900);
    CHECK(is_sound(0, 900));
}

/* ---- The disk refuses ------------------------------------------------------------------------ */

/* Says so, and which file; what was written until then is whole. */
static void full_disk_is_told_and_ends_the_recording(void)
{
    static const enum takt_clock clocks[] = {TAKT_CLOCK_VIRTUAL, TAKT_CLOCK_REAL};
    for (int k = 0; k < 2; k++) {
        struct takt_recorder_cfg cfg = cfg_of("full.wav", clocks[k]);
        struct takt_recorder *r = start(&cfg);
        struct takt_error early, late;
        CHECK(r && !takt_recorder_failed(r, &early));
        atomic_store(&room_bytes, 30000); /* some 2490 frames */
        size_t at = 0;
        for (; at < 8000 && !takt_recorder_failed(r, NULL); at += 100) {
            give(r, at, 100);
            takt_sleep_ms(k);
        }
        for (int i = 0; i < 10000 && !takt_recorder_failed(r, NULL); i++)
            takt_sleep_ms(1);
        bool failed = takt_recorder_failed(r, &early);
        give(r, at, 5000);
        int err = takt_recorder_stop(r, &late);
        uint64_t recorded = state(r).recorded_frames;
        bool still = takt_recorder_failed(r, NULL);
        takt_recorder_destroy(r);
        atomic_store(&room_bytes, INT64_MAX);
        CHECK(failed && still);
        CHECK_INT(early.code, TAKT_ERR_FULL);
        CHECK_INT(early.os_errno, ENOSPC);
        CHECK(strstr(early.text, "full.wav") && strstr(early.text, strerror(ENOSPC)));
        CHECK_INT(err, TAKT_ERR_FULL);
        CHECK(strstr(late.text, "full.wav"));
        CHECK(recorded > 0 && recorded <= 2500);
        CHECK_INT(hear("full.wav"), recorded);
        CHECK(is_sound(0, recorded));
    }
}

/* No disk at all, and refused before anything starts. */
static void device_in_the_place_of_a_file_is_refused(void)
{
    struct takt_recorder_cfg cfg = cfg_of("device.wav", TAKT_CLOCK_REAL);
    struct takt_recorder *r;
    struct takt_error e;
    CHECK(symlink("/dev/full", path) == 0);
    CHECK_INT(takt_recorder_create(&cfg, &r, &e), TAKT_ERR_IO);
    CHECK(!r && strstr(e.text, "device.wav"));
    cfg = cfg_of("no-such-folder/x.wav", TAKT_CLOCK_REAL);
    CHECK_INT(takt_recorder_create(&cfg, &r, &e), TAKT_ERR_IO);
    CHECK(!r && strstr(e.text, "x.wav"));
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void recorder_starts_anew_as_often_as_one_likes(void)
{
    struct takt_recorder_cfg cfg = cfg_of("anew.wav", TAKT_CLOCK_REAL);
    struct takt_recorder *r;
    struct takt_error e;
    CHECK_INT(takt_recorder_create(&cfg, &r, &e), 0);
    give(r, 0, 100); /* not started: nothing happens */
    CHECK_INT(takt_recorder_stop(r, &e), 0);
    for (size_t frames = 3 * FRAMES_MAX; frames; frames /= 4) {
        CHECK_INT(takt_recorder_start(r, &e), 0);
        CHECK_INT(takt_recorder_start(r, &e), TAKT_ERR_STATE);
        give(r, 0, frames);
        CHECK_INT(takt_recorder_stop(r, &e), 0);
        CHECK_INT(takt_recorder_stop(r, &e), 0);
        CHECK_INT(state(r).recorded_frames, frames);
        CHECK_INT(hear("anew.wav"), frames);
        CHECK(is_sound(0, frames));
    }
    CHECK_INT(takt_recorder_start(r, &e), 0);
    give(r, 0, 2 * FRAMES_MAX + 1);
    takt_recorder_destroy(r); /* stops it */
    CHECK_INT(hear("anew.wav"), 2 * FRAMES_MAX + 1);
    takt_recorder_destroy(NULL);
}

static void settings_out_of_range_are_refused(void)
{
    const struct takt_recorder_cfg bad[] = {{.path = NULL},
                                            {.path = ""},
                                            {.path = "/tmp/x.mp3"},
                                            {.path = "/tmp/x.wav", .channels = 65},
                                            {.path = "/tmp/x.wav", .frames_max = 16385},
                                            {.path = "/tmp/x.wav", .buffer_s = 0.09},
                                            {.path = "/tmp/x.wav", .buffer_s = 601},
                                            {.path = "/tmp/x.wav", .buffer_s = (double)NAN}};
    struct takt_recorder *r;
    struct takt_error e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(takt_recorder_create(&bad[i], &r, &e), TAKT_ERR_ARG);
        CHECK(!r);
    }
}

int main(void)
{
    if (!mkdtemp(folder))
        return 2;
    takt_file_disk(disk);
    for (size_t c = 0; c < CHANNELS; c++)
        for (size_t i = 0; i < MOST; i++)
            sound[c][i] = (float)(1 + i * CHANNELS + c) / (MOST * CHANNELS + 1);
    RUN(writes_of_any_size_arrive_in_full_and_in_order);
    RUN(virtual_clock_loses_nothing_of_one_long_write);
    RUN(stall_that_the_buffer_covers_loses_nothing);
    RUN(longer_stall_loses_counted_frames_and_tells_where);
    RUN(disk_that_hangs_holds_up_neither_stop_nor_destroy);
    RUN(full_disk_is_told_and_ends_the_recording);
    RUN(device_in_the_place_of_a_file_is_refused);
    RUN(recorder_starts_anew_as_often_as_one_likes);
    RUN(settings_out_of_range_are_refused);
    takt_file_disk(NULL);
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) != 0 || tap_done();
}
