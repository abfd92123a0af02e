/*
 * Concealment of lost PCM: how near it comes, and what it costs.
 *
 *     {"bench":"conceal","sound":"chord","loss_ms":1,"age_ms":0,"takt_db":…,"join_db":…,
 *      "repeat_db":…,"zero_db":…}
 *
 * Losses of that length are scattered over 20 s of sound at 48 kHz; the filter is found age_ms
 * before each. *_db: the sound that was missing over what was played wrong for it: more is better.
 * join: with what the join does wrong behind it; repeat: the last millisecond before the loss again
 * and again; zero: silence, which is 0 dB by definition. The last two are not charged for clicks.
 *
 *     {"bench":"conceal","channels":2,"frames":48,"heard_ns":…,"make_ns":…,"join_ns":…,
 *      "prepare_us":…}
 *
 * Medians over turns, in time of this thread.
 */
#include "net/conceal.h"
#include "base/random.h"
#include "bench.h"
#include "sim/scene.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { RATE_HZ = 48000, FRAMES = 20 * RATE_HZ, PACKET = RATE_HZ / 1000, CHANNELS_MOST = 8 };
static const double pi = 3.14159265358979323846;
static float sound[FRAMES], played[FRAMES];

/* ---- Sounds ------------------------------------------------------------------------------------
 */

/* C major on an organ: three notes of eight partials. */
static void play_chord(void)
{
    static const double notes_hz[] = {261.63, 329.63, 392.00};
    for (int i = 0; i < FRAMES; i++) {
        double x = 0;
        for (int k = 0; k < 3; k++)
            for (int h = 1; h <= 8; h++)
                x += 0.1 / h * sin(2 * pi * fmod(notes_hz[k] * h * i / RATE_HZ, 1) + k + h * h);
        sound[i] = (float)x;
    }
}

static bool play(const char *name)
{
    if (!strcmp(name, "chord")) {
        play_chord();
        return true;
    }
    struct takt_scene *s;
    struct takt_error e;
    if (takt_scene_open(
            &(struct takt_scene_cfg){.spec = name, .rate_hz = RATE_HZ, .seed = 1, .gain = 1}, &s,
            &e) < 0)
        return false;
    s->ops->render(s, sound, FRAMES);
    s->ops->close(s);
    return true;
}

/* ---- How near ----------------------------------------------------------------------------------
 */

struct ratio {
    double sound, wrong;
};

static double db(struct ratio r)
{
    return fmin(199, 10 * log10(r.sound / fmax(r.wrong, 1e-20 * r.sound)));
}

static void add(struct ratio *r, uint32_t first, uint32_t frames, uint32_t missing)
{
    for (uint32_t i = first; i < first + frames; i++) {
        double off = (double)played[i] - (double)sound[i];
        r->sound += i < first + missing ? (double)sound[i] * (double)sound[i] : 0;
        r->wrong += off * off;
    }
}

static void hear(struct takt_conceal *c, uint32_t first)
{
    float *planes[] = {played + first};
    memcpy(planes[0], sound + first, PACKET * sizeof *sound);
    takt_conceal_join(c, planes, PACKET);
    takt_conceal_heard(c, (const float *const *)planes, PACKET);
}

static void repeat_last(uint32_t first, uint32_t frames)
{
    for (uint32_t i = first; i < first + frames; i++)
        played[i] = i < first + PACKET ? sound[i - PACKET] : played[i - PACKET];
}

static void run(const char *name, uint32_t loss_ms, uint32_t age_ms)
{
    enum { JOIN = 6 };
    struct takt_conceal *c;
    if (takt_conceal_create(&(struct takt_conceal_cfg){RATE_HZ, 1}, &c) < 0)
        exit(1);
    struct takt_random r = takt_random_seed(1);
    struct ratio takt = {0}, joined = {0}, repeat = {0};
    uint32_t at = 0, end = FRAMES - (loss_ms + JOIN) * PACKET;
    for (;;) {
        uint32_t good = loss_ms + 60 + (uint32_t)takt_random_below(&r, 20);
        if (at + good * PACKET > end)
            break;
        for (uint32_t i = 0; i < good; i++, at += PACKET) {
            if (i == good - age_ms)
                takt_conceal_prepare(c);
            hear(c, at);
        }
        if (!age_ms)
            takt_conceal_prepare(c);
        takt_conceal_make(c, (float *[]){played + at}, loss_ms * PACKET);
        uint32_t behind = at + loss_ms * PACKET;
        for (uint32_t i = 0; i < JOIN; i++, behind += PACKET)
            hear(c, behind);
        add(&takt, at, loss_ms * PACKET, loss_ms * PACKET);
        add(&joined, at, behind - at, loss_ms * PACKET);
        repeat_last(at, loss_ms * PACKET);
        add(&repeat, at, loss_ms * PACKET, loss_ms * PACKET);
        at = behind;
    }
    printf("{\"bench\":\"conceal\",\"sound\":\"%s\",\"loss_ms\":%u,\"age_ms\":%u,"
           "\"takt_db\":%.1f,\"join_db\":%.1f,\"repeat_db\":%.1f,\"zero_db\":0.0}\n",
           name, loss_ms, age_ms, db(takt), db(joined), db(repeat));
    takt_conceal_destroy(c);
}

/* Packets are lost at random; the filter is found anew at each loss, or every so many ms. */
static void run_random(const char *name, uint32_t percent, uint32_t every_ms)
{
    struct takt_conceal *c;
    if (takt_conceal_create(&(struct takt_conceal_cfg){RATE_HZ, 1}, &c) < 0)
        exit(1);
    struct takt_random r = takt_random_seed(1);
    struct ratio takt = {0}, all = {0};
    bool was_lost = false;
    for (uint32_t p = 0, at = 0; at + PACKET <= FRAMES; p++, at += PACKET) {
        bool lost = p > 100 && takt_random_below(&r, 100) < percent;
        if (every_ms ? p % every_ms == 0 : lost && !was_lost)
            takt_conceal_prepare(c);
        if (lost)
            takt_conceal_make(c, (float *[]){played + at}, PACKET);
        else
            hear(c, at);
        add(lost ? &takt : &all, at, PACKET, PACKET);
        was_lost = lost;
    }
    all.wrong += takt.wrong;
    all.sound += takt.sound;
    printf("{\"bench\":\"conceal\",\"sound\":\"%s\",\"lost_percent\":%u,\"every_ms\":%u,"
           "\"takt_db\":%.1f,\"all_db\":%.1f}\n",
           name, percent, every_ms, db(takt), db(all));
    takt_conceal_destroy(c);
}

/* ---- What it costs -----------------------------------------------------------------------------
 */

enum { HEARD, MAKE, JOIN, PREPARE, CALLS };

static double used_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* 20 ms of sound, of which the filter is found, and one packet missing, and one behind it. */
static void time_once(struct takt_conceal *c, uint32_t channels, uint32_t first, double ns[CALLS])
{
    enum { HEARD_PACKETS = 20 };
    static float missing[CHANNELS_MOST][PACKET];
    float *planes[CHANNELS_MOST], *to[CHANNELS_MOST];
    double at = used_ns();
    for (uint32_t p = 0; p < HEARD_PACKETS; p++) {
        for (uint32_t i = 0; i < channels; i++)
            planes[i] = sound + first + p * PACKET + 1000 * i, to[i] = missing[i];
        takt_conceal_heard(c, (const float *const *)planes, PACKET);
    }
    double heard = used_ns();
    takt_conceal_prepare(c);
    double prepared = used_ns();
    takt_conceal_make(c, to, PACKET);
    double made = used_ns();
    takt_conceal_join(c, to, PACKET);
    double joined = used_ns();
    ns[HEARD] = (heard - at) / HEARD_PACKETS;
    ns[PREPARE] = prepared - heard;
    ns[MAKE] = made - prepared;
    ns[JOIN] = joined - made;
}

static void time_all(uint32_t channels)
{
    enum { TURNS = 401 };
    static double all[CALLS][TURNS];
    struct takt_conceal *c;
    if (takt_conceal_create(&(struct takt_conceal_cfg){RATE_HZ, channels}, &c) < 0)
        exit(1);
    for (int turn = 0; turn < TURNS; turn++) {
        double ns[CALLS];
        time_once(c, channels, (uint32_t)turn * 1000, ns);
        for (int i = 0; i < CALLS; i++)
            all[i][turn] = ns[i];
    }
    printf("{\"bench\":\"conceal\",\"channels\":%u,\"frames\":%d,\"heard_ns\":%.0f,"
           "\"make_ns\":%.0f,\"join_ns\":%.0f,\"prepare_us\":%.1f}\n",
           channels, PACKET, bench_median(all[HEARD], TURNS), bench_median(all[MAKE], TURNS),
           bench_median(all[JOIN], TURNS), bench_median(all[PREPARE], TURNS) / 1000);
    takt_conceal_destroy(c);
}

int main(void)
{
    static const char *const names[] = {"tone=440", "chord",
                                        "voice",    "guitar",
                                        "pink",     "rec=/usr/share/sounds/alsa/Front_Center.wav"};
    static const uint32_t losses_ms[] = {1, 2, 5, 10, 20}, ages_ms[] = {0, 10, 50};
    static const uint32_t channels[] = {1, 2, 8};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        for (size_t i = 0; play(names[k]) && i < sizeof losses_ms / sizeof *losses_ms; i++)
            for (size_t j = 0; j < (losses_ms[i] == 1 ? 3 : 1); j++)
                run(names[k], losses_ms[i], ages_ms[j]);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        for (uint32_t every_ms = 0; play(names[k]) && every_ms <= 20; every_ms += 10)
            run_random(names[k], 5, every_ms);
    play("voice");
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
        time_all(channels[i]);
    return 0;
}
