/* A source of another rate: sine ports through stream/convert.h. */
#include "stream/convert.h"
#include "tap.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

enum { CHANNELS = 3, FRAMES_MAX = 1 << 17 };

/* Channel c is a sine of c + 1 thousandths of the rate; it ends, and may be short once. */
struct sine {
    struct takt_port base;
    uint64_t at, length;
    uint64_t short_at; /* this frame is not there in time */
    uint32_t longest;
    int closed;
};

static double sine_at(double frame, uint32_t channel)
{
    return sin(2 * pi * frame * (channel + 1) * 1e-3);
}

static uint32_t sine_read(struct takt_port *p, float *const *out, uint32_t frames, uint32_t *status)
{
    struct sine *s = (struct sine *)p;
    uint64_t left = s->length - s->at;
    uint32_t n = frames < left ? frames : (uint32_t)left;
    s->longest = frames > s->longest ? frames : s->longest;
    if (s->short_at && s->at >= s->short_at) {
        s->short_at = 0;
        *status |= TAKT_PORT_SHORT;
        return 0;
    }
    for (uint32_t c = 0; c < CHANNELS; c++)
        for (uint32_t i = 0; i < n; i++)
            out[c][i] = (float)sine_at((double)(s->at + i), c);
    s->at += n;
    *status |= n < frames ? TAKT_PORT_ENDED : 0;
    return n;
}

static void sine_close(struct takt_port *p)
{
    ((struct sine *)p)->closed++;
}

static const struct takt_port_ops sine_ops = {.read = sine_read, .close = sine_close};
static float got[CHANNELS][FRAMES_MAX];
static uint32_t statuses;

/* Reads it all in blocks, *frames in all. */
static void convert(struct sine *s, uint32_t from_hz, uint32_t to_hz, uint32_t block,
                    enum takt_clock clock, uint32_t *frames)
{
    struct takt_error e;
    struct takt_port *port;
    uint32_t n = 0;
    s->base.ops = &sine_ops;
    statuses = 0;
    struct takt_port_cfg cfg = {
        .rate_hz = to_hz, .channels = CHANNELS, .block_frames_max = block, .clock = clock};
    CHECK_INT(takt_convert_open(&cfg, from_hz, &s->base, &port, &e), 0);
    CHECK_INT(port->ops->start(port, &e), 0);
    for (uint32_t status = 0; !(status & TAKT_PORT_ENDED) && n + block <= FRAMES_MAX;) {
        float *out[CHANNELS] = {got[0] + n, got[1] + n, got[2] + n};
        status = 0;
        n += port->ops->read(port, out, block, &status);
        statuses |= status;
    }
    port->ops->close(port);
    CHECK_INT(s->closed, 1);
    CHECK(s->longest <= takt_convert_need(block, to_hz, from_hz));
    *frames = n;
}

static void any_rate_and_block_gives_the_source_in_place_and_to_the_frame(void)
{
    static const uint32_t pairs[][2] = {{44100, 48000}, {48000, 44100}, {8000, 48000},
                                        {96000, 48000}, {11025, 44100}, {48000, 8000}};
    static const uint32_t blocks[] = {1, 7, 64, 100, 1024, 4096};
    static const uint64_t lengths[] = {1, 2, 50, 999, 4000, 10007};
    for (int p = 0; p < 6; p++)
        for (int b = 0; b < 6; b++)
            for (int l = 0; l < 6; l++) {
                double ratio = (double)pairs[p][1] / pairs[p][0];
                struct sine s = {.length = lengths[l]};
                uint32_t n = 0;
                convert(&s, pairs[p][0], pairs[p][1], blocks[b], TAKT_CLOCK_REAL, &n);
                CHECK_INT(n, (int64_t)ceil((double)lengths[l] * ratio - 1e-6));
                /* Away from its ends, where it is cut off. */
                double worst = 0, edge = 40 * fmax(ratio, 1);
                for (uint32_t c = 0; c < CHANNELS; c++)
                    for (uint32_t i = (uint32_t)edge; i + edge < n; i++)
                        worst = fmax(worst, fabs((double)got[c][i] - sine_at(i / ratio, c)));
                CHECK(worst < 1e-3);
            }
}

static void on_a_virtual_clock_it_is_as_exact_as_can_be(void)
{
    struct sine s = {.length = 20000};
    uint32_t n = 0;
    convert(&s, 96000, 48000, 256, TAKT_CLOCK_VIRTUAL, &n);
    double worst = 0;
    CHECK_INT(n, 10000);
    for (uint32_t i = 200; i < 9800; i++)
        worst = fmax(worst, fabs((double)got[0][i] - sine_at(i * 2.0, 0)));
    CHECK(worst < 1e-5);
}

static void data_that_is_late_is_silence_that_keeps_its_place(void)
{
    struct sine s = {.length = 20000, .short_at = 5000};
    uint32_t n = 0;
    convert(&s, 44100, 48000, 64, TAKT_CLOCK_REAL, &n);
    CHECK(statuses & TAKT_PORT_SHORT);
    CHECK(n > (uint32_t)(20000 * 48 / 44.1));
    double worst = 0, ratio = 48 / 44.1;
    for (uint32_t i = 100; i < 5000 * ratio - 100; i++)
        worst = fmax(worst, fabs((double)got[0][i] - sine_at(i / ratio, 0)));
    CHECK(worst < 1e-3);
}

static void ratio_beyond_sixteen_is_refused(void)
{
    struct sine s = {.base.ops = &sine_ops};
    struct takt_error e = {0};
    struct takt_port *port;
    struct takt_port_cfg cfg = {.rate_hz = 384000, .channels = 1, .block_frames_max = 64};
    CHECK_INT(takt_convert_open(&cfg, 8000, &s.base, &port, &e), TAKT_ERR_ARG);
    CHECK(!port && e.text[0] && s.closed == 1);
}

int main(void)
{
    RUN(any_rate_and_block_gives_the_source_in_place_and_to_the_frame);
    RUN(on_a_virtual_clock_it_is_as_exact_as_can_be);
    RUN(data_that_is_late_is_silence_that_keeps_its_place);
    RUN(ratio_beyond_sixteen_is_refused);
    return tap_done();
}
