/* A link whose server is the test, and an engine that notes what it hears. */
#include "device/host.h"
#include "takt/time.h"
#include "tap.h"

struct hearing {
    struct takt_engine face;
    struct takt_link *link;
    uint32_t in_latency, out_latency; /* heard last */
    int cycles, told;
    uint32_t says_in_cycle; /* 0: nothing; else the latency that the server says meanwhile */
};

static bool cycle(struct takt_engine *face, const struct takt_cycle *c)
{
    struct hearing *h = (struct hearing *)face;
    h->cycles++;
    if (h->says_in_cycle)
        takt_link_latency(h->link, h->says_in_cycle, 2 * h->says_in_cycle);
    return true;
}

static void host_block(struct takt_engine *face, uint32_t frames)
{
}

static void latency(struct takt_engine *face, uint32_t in_frames, uint32_t out_frames)
{
    struct hearing *h = (struct hearing *)face;
    h->in_latency = in_frames;
    h->out_latency = out_frames;
    h->told++;
}

static void service(struct takt_engine *face)
{
}

static void event(struct takt_engine *face, enum takt_event_type type, enum takt_err code,
                  int os_errno, uint64_t value, const char *text)
{
}

static const struct takt_engine_ops engine_ops = {.cycle = cycle,
                                                  .host_block = host_block,
                                                  .latency = latency,
                                                  .service = service,
                                                  .event = event};

static int link_open(struct takt_link *l, struct takt_error *e)
{
    l->granted = (struct takt_granted){
        .rate_hz = 48000, .block_frames = 64, .latency_in_frames = 100, .latency_out_frames = 200};
    return 0;
}

static int link_begin(struct takt_link *l, struct takt_error *e)
{
    return 0;
}

static void link_close(struct takt_link *l)
{
}

static void link_free(struct takt_link *l)
{
    free(l);
}

static const struct takt_link_ops link_ops = {
    .open = link_open, .begin = link_begin, .close = link_close, .free = link_free};

static struct takt_link *made;

static int make(const struct takt_driver_cfg *cfg, struct takt_link **out, struct takt_error *e)
{
    made = *out = calloc(1, sizeof **out);
    made->ops = &link_ops;
    return 0;
}

static struct takt_driver *open_driver(struct hearing *h)
{
    struct takt_driver *d;
    struct takt_error e;
    *h = (struct hearing){.face = {&engine_ops}};
    struct takt_driver_cfg cfg = {.out_rest = "",
                                  .out_channels = 1,
                                  .rate_hz = 48000,
                                  .priority = TAKT_PRIORITY_OFF,
                                  .timeout_ns = 10000000000,
                                  .name = "host",
                                  .engine = &h->face};
    if (takt_host_open(&cfg, make, "test", &d, &e) < 0)
        return NULL;
    h->link = made;
    return d;
}

static struct takt_driver *open_started(struct hearing *h)
{
    struct takt_error e;
    struct takt_driver *d = open_driver(h);
    return d && d->ops->start(d, &e) == 0 ? d : NULL;
}

static bool serve(struct takt_link *l)
{
    static float plane[64];
    float *const out[] = {plane};
    int64_t now = takt_now_ns();
    return takt_link_cycle(l, &(struct takt_cycle){.frames = 64,
                                                   .out = out,
                                                   .due_known = true,
                                                   .due_ns = now,
                                                   .now_ns = now,
                                                   .deadline_ns = now + 1000000});
}

static void end(struct takt_driver *d)
{
    d->ops->stop(d, 10000000000, NULL);
    d->ops->close(d);
}

static void host_start_tells_the_latencies_that_were_granted_once(void)
{
    struct hearing h;
    struct takt_driver *d = open_started(&h);
    CHECK(d);
    bool served = serve(h.link);
    int told = h.told;
    uint32_t in = h.in_latency, out = h.out_latency;
    end(d);
    CHECK(served && h.cycles >= 1);
    CHECK_INT(told, 1);
    CHECK_INT(in, 100);
    CHECK_INT(out, 200);
}

/* Said in the midst of a cycle, on the thread that makes it: there it once waited for itself. */
static void host_latency_said_in_a_cycle_returns_and_is_heard_by_the_next(void)
{
    struct hearing h;
    struct takt_driver *d = open_started(&h);
    CHECK(d);
    h.says_in_cycle = 7;
    bool served = serve(h.link);
    uint32_t before = h.in_latency;
    h.says_in_cycle = 0;
    served = serve(h.link) && served;
    uint32_t in = h.in_latency, out = h.out_latency;
    int told = h.told;
    served = serve(h.link) && served;
    int told_later = h.told;
    end(d);
    CHECK(served);
    CHECK_INT(before, 100);
    CHECK_INT(in, 7);
    CHECK_INT(out, 14);
    CHECK_INT(told, 2);
    CHECK_INT(told_later, 2);
}

static void host_latency_said_before_the_start_is_told_by_it_and_not_again(void)
{
    struct hearing h;
    struct takt_error e;
    struct takt_driver *d = open_driver(&h);
    CHECK(d);
    takt_link_latency(h.link, 5, 6);
    bool started = d->ops->start(d, &e) == 0;
    uint32_t in = h.in_latency, out = h.out_latency;
    bool served = serve(h.link);
    int told = h.told;
    end(d);
    CHECK(started && served);
    CHECK_INT(in, 5);
    CHECK_INT(out, 6);
    CHECK_INT(told, 1);
}

int main(void)
{
    RUN(host_start_tells_the_latencies_that_were_granted_once);
    RUN(host_latency_said_in_a_cycle_returns_and_is_heard_by_the_next);
    RUN(host_latency_said_before_the_start_is_told_by_it_and_not_again);
    return tap_done();
}
