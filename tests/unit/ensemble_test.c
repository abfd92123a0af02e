#include "base/random.h"
#include "fault.h"
#include "net/ensemble.h"
#include "tap.h"

#include <math.h>

/*
 * Receivers of 1 ms packets of L16, whose samples are a function of the source and the frame alone,
 * beside an ensemble of the same receivers.
 */
enum { MS = 1000000, RATE = 48000, PACKET = 48, CHANNELS = 2, PULL = 64, VOICES = 3 };

static const struct takt_receiver_format l16 = {
    96, {.codec = TAKT_CODEC_L16, .rate_hz = RATE, .channels = CHANNELS, .frames = PACKET}};

static struct takt_receiver *make(void)
{
    struct takt_receiver *r;
    struct takt_error e;
    struct takt_receiver_cfg cfg = {.channels = CHANNELS, .formats = &l16, .formats_count = 1};
    return takt_receiver_create(&cfg, &r, &e) < 0 ? NULL : r;
}

/* A sine of 500 Hz at a quarter of full scale; each source has a phase of its own. */
static int16_t sample(uint32_t source, int64_t m)
{
    return (int16_t)lround(8192 * sin(2 * 3.14159265358979 * (double)(m % 96) / 96 + source));
}

static uint8_t payload[PACKET * CHANNELS * 2];

static struct takt_net_packet packet_of(uint32_t source, uint32_t number)
{
    uint8_t *to = payload;
    for (uint32_t i = 0; i < PACKET; i++)
        for (uint32_t c = 0; c < CHANNELS; c++) {
            uint16_t x = (uint16_t)sample(source + c, (int64_t)number * PACKET + i);
            *to++ = (uint8_t)(x >> 8);
            *to++ = (uint8_t)x;
        }
    return (struct takt_net_packet){.arrival_ns = (int64_t)number * MS + MS,
                                    .ssrc = source + 1,
                                    .seq = (uint16_t)number,
                                    .timestamp = number * PACKET,
                                    .payload_type = 96,
                                    .bytes = sizeof payload,
                                    .payload = payload};
}

/* One block: its time and its sound. */
struct out {
    float memory[CHANNELS][PULL], *planes[CHANNELS];
};

static struct out *open_out(struct out *o)
{
    for (int c = 0; c < CHANNELS; c++)
        o->planes[c] = o->memory[c];
    return o;
}

static int64_t time_of(int block)
{
    return (int64_t)block * PULL * 1000000000 / RATE;
}

static void pull(struct takt_ensemble *m, int block, struct out *o, uint32_t frames)
{
    takt_ensemble_pull(m, time_of(block), time_of(block) + 3 * MS, o->planes, frames);
}

static bool open_ensemble(struct takt_ensemble *m)
{
    struct takt_error e;
    return takt_ensemble_init(m, RATE, CHANNELS, PULL, &e) == TAKT_OK;
}

/* ---- ----------------------------------------------------------------------------------------- */

/* Beside the same receivers alone: one is the same to the bit, several are their sum. */
static void check_sum(uint32_t voices)
{
    struct takt_ensemble m;
    struct takt_receiver *together[VOICES], *alone[VOICES];
    struct out mixed, single;
    uint32_t sent = 0;
    double heard = 0;
    CHECK(open_ensemble(&m));
    for (uint32_t v = 0; v < voices; v++) {
        CHECK((together[v] = make()) && (alone[v] = make()));
        takt_ensemble_attach(&m, v * 3, together[v]);
    }
    open_out(&mixed);
    open_out(&single);
    for (int block = 0; block < 1000; block++) {
        for (; (int64_t)sent * MS + MS <= time_of(block); sent++)
            for (uint32_t v = 0; v < voices && sent % 50 != 7; v++) {
                struct takt_net_packet p = packet_of(v, sent);
                takt_ensemble_packet(&m, v * 3, &p);
                takt_receiver_packet(alone[v], &p);
                takt_ensemble_packet(&m, v * 3 + 1, &p); /* nobody is there */
            }
        uint32_t frames = block % 3 ? PULL : PULL / 2;
        float sum[CHANNELS][PULL];
        pull(&m, block, &mixed, frames);
        for (uint32_t v = 0; v < voices; v++) {
            takt_receiver_pull(alone[v], time_of(block), time_of(block) + 3 * MS, single.planes,
                               frames);
            for (int c = 0; c < CHANNELS; c++)
                for (uint32_t i = 0; i < frames; i++)
                    sum[c][i] = v ? sum[c][i] + single.memory[c][i] : single.memory[c][i];
        }
        for (int c = 0; c < CHANNELS; c++) {
            CHECK(memcmp(sum[c], mixed.memory[c], frames * sizeof sum[c][0]) == 0);
            heard = fmax(heard, fabs((double)sum[c][0]));
        }
    }
    CHECK(heard > 0.2);
    CHECK(!takt_ensemble_released(&m));
    takt_ensemble_clear(&m);
    for (uint32_t v = 0; v < voices; v++) {
        takt_receiver_destroy(together[v]);
        takt_receiver_destroy(alone[v]);
    }
}

static void ensemble_of_one_is_it_bit_by_bit(void)
{
    check_sum(1);
}

static void ensemble_of_several_is_their_sum(void)
{
    check_sum(2);
    if (!tap_broken)
        check_sum(3);
}

static void ensemble_of_nobody_is_silent(void)
{
    struct takt_ensemble m;
    struct out o;
    CHECK(open_ensemble(&m));
    open_out(&o);
    o.memory[1][PULL - 1] = 1;
    pull(&m, 0, &o, PULL);
    for (int i = 0; i < PULL; i++)
        CHECK(o.memory[0][i] == 0 && o.memory[1][i] == 0);
    takt_ensemble_clear(&m);
}

/* Detached in the middle of a sine, with packets that stop or do not: no step is larger than the
 * sine's own and a little. It is released once, after its time and not before. */
static void ensemble_detach_fades_and_releases_once(void)
{
    for (int kind = 0; kind < 2; kind++) { /* 1: another one takes the place */
        struct takt_ensemble m;
        struct out o;
        uint32_t sent = 0, released = 0;
        float last = 0, step = 0, loudest_late = 0;
        int gone_at = -1;
        struct takt_receiver *r = make(), *other = make();
        CHECK(open_ensemble(&m) && r && other);
        open_out(&o);
        takt_ensemble_attach(&m, 2, r);
        for (int block = 0; block < 600; block++) {
            for (; (int64_t)sent * MS + MS <= time_of(block); sent++) {
                struct takt_net_packet p = packet_of(0, sent);
                if (block < 300)
                    takt_ensemble_packet(&m, 2, &p);
            }
            if (block == 300)
                kind ? takt_ensemble_attach(&m, 2, other) : takt_ensemble_detach(&m, 2);
            pull(&m, block, &o, PULL);
            for (int i = 0; i < PULL; i++) {
                if (block > 200)
                    step = fmaxf(step, fabsf(o.memory[0][i] - last));
                last = o.memory[0][i];
                if (block >= 300 + TAKT_ENSEMBLE_FADE_MS * RATE / 1000 / PULL)
                    loudest_late = fmaxf(loudest_late, fabsf(last));
            }
            for (struct takt_receiver *old; (old = takt_ensemble_released(&m)); released++) {
                CHECK(old == r);
                gone_at = block;
            }
        }
        CHECK_INT(released, 1);
        CHECK_INT(gone_at, 300 + TAKT_ENSEMBLE_FADE_MS * RATE / 1000 / PULL - 1);
        CHECK(step > 0 && step < 0.05F);
        CHECK(loudest_late == 0);
        takt_ensemble_clear(&m);
        takt_receiver_destroy(r);
        takt_receiver_destroy(other);
    }
}

/* The fade itself, of a sine that goes on: the old receiver has 100 ms of packets ahead. */
static void ensemble_fade_of_running_sound_has_no_step(void)
{
    struct takt_ensemble m;
    struct out o;
    float last = 0, step = 0;
    uint32_t sent = 0;
    struct takt_receiver *r = make();
    struct takt_error e;
    struct takt_receiver_cfg cfg = {
        .channels = CHANNELS, .formats = &l16, .formats_count = 1, .latency_ms = 150};
    takt_receiver_destroy(r);
    CHECK(takt_receiver_create(&cfg, &r, &e) == TAKT_OK && open_ensemble(&m));
    open_out(&o);
    takt_ensemble_attach(&m, 0, r);
    for (int block = 0; block < 1000; block++) {
        for (; (int64_t)sent * MS + MS <= time_of(block); sent++) {
            struct takt_net_packet p = packet_of(0, sent);
            takt_ensemble_packet(&m, 0, &p);
        }
        if (block == 700)
            takt_ensemble_detach(&m, 0);
        pull(&m, block, &o, PULL);
        for (int i = 0; i < PULL; i++) {
            if (block > 600)
                step = fmaxf(step, fabsf(o.memory[0][i] - last));
            last = o.memory[0][i];
        }
    }
    /* A sine of 500 Hz and 1/4 has steps of 0.0164. */
    CHECK(step > 0.016F && step < 0.018F);
    CHECK(takt_ensemble_released(&m) == r && !takt_ensemble_released(&m));
    takt_ensemble_clear(&m);
    takt_receiver_destroy(r);
}

/* Whoever comes and goes in whatever order: each that was attached comes back once, and none while
 * it is heard. */
static void ensemble_gives_each_receiver_back_once(void)
{
    enum { MANY = 40 };
    struct takt_ensemble m;
    struct takt_receiver *all[MANY];
    bool is_in[MANY] = {0};
    int at[TAKT_RECEIVER_SOURCES_MAX];
    uint32_t given = 0, back = 0;
    struct out o;
    struct takt_random chance = takt_random_seed(3);
    CHECK(open_ensemble(&m));
    open_out(&o);
    memset(at, -1, sizeof at);
    for (int i = 0; i < MANY; i++)
        CHECK((all[i] = make()));
    for (int round = 0; round < ROUNDS(4000); round++) {
        uint32_t place = (uint32_t)takt_random_below(&chance, 4);
        int i = (int)takt_random_below(&chance, MANY);
        if (!is_in[i] && takt_random_below(&chance, 3)) {
            takt_ensemble_attach(&m, place, all[i]);
            is_in[i] = true;
            at[place] = i;
            given++;
        } else if (takt_random_below(&chance, 2)) {
            takt_ensemble_detach(&m, place);
            at[place] = -1;
        }
        if (round % 4 == 0)
            pull(&m, round, &o, 1 + (uint32_t)takt_random_below(&chance, PULL));
        for (struct takt_receiver *old; (old = takt_ensemble_released(&m)); back++) {
            int which = 0;
            while (which < MANY && all[which] != old)
                which++;
            CHECK(which < MANY && is_in[which]);
            for (int p = 0; p < TAKT_RECEIVER_SOURCES_MAX; p++)
                CHECK(at[p] != which);
            is_in[which] = false;
        }
    }
    for (uint32_t p = 0; p < 4; p++)
        takt_ensemble_detach(&m, p);
    for (int block = 0; block < 100; block++)
        pull(&m, 4000 + block, &o, PULL);
    while (takt_ensemble_released(&m))
        back++;
    CHECK(given > 100);
    CHECK_INT(given, back);
    takt_ensemble_clear(&m);
    for (int i = 0; i < MANY; i++)
        takt_receiver_destroy(all[i]);
}

static void ensemble_without_memory_holds_nothing(void)
{
    for (int n = 1; n <= 3; n++) {
        struct takt_ensemble m;
        struct takt_error e;
        long before = fault_held();
        fault_at(n);
        int err = takt_ensemble_init(&m, RATE, CHANNELS, PULL, &e);
        bool happened = fault_happened();
        fault_at(0);
        CHECK_INT(err, happened ? TAKT_ERR_NOMEM : TAKT_OK);
        CHECK_INT(happened, n <= 2);
        takt_ensemble_clear(&m);
        CHECK_INT(fault_held(), before);
    }
}

int main(void)
{
    RUN(ensemble_of_one_is_it_bit_by_bit);
    RUN(ensemble_of_several_is_their_sum);
    RUN(ensemble_of_nobody_is_silent);
    RUN(ensemble_detach_fades_and_releases_once);
    RUN(ensemble_fade_of_running_sound_has_no_step);
    RUN(ensemble_gives_each_receiver_back_once);
    RUN(ensemble_without_memory_holds_nothing);
    return tap_done();
}
