/*
 * The whole way, in real time: a stream whose callback writes numbered frames to a sender, over
 * this machine's loopback, to a receiver that a second stream's callback reads, 64-frame blocks on
 * both sides, L24 in packets of 1 ms. Both devices are sim's, so nothing but takt adds delay.
 *
 *     bench-net_loopback [SECONDS [plain | key | flood]]
 *
 * The floor is what no program can go below: a block to capture, a packet to fill, a block to play.
 * "latency_ms" is from a frame's capture to its conversion, by what both streams say of their
 * blocks. "wrong" counts the frames that are not the next one sent, from the end of
 * the fade on that the first sound comes up with, which are those that were resampled, too;
 * "stalled" counts the blocks of either stream that the machine kept from being in time, whose
 * frames are lost by nobody's fault but its own, with the wrong frames within three seconds of them
 * in "wrong_stalled" instead: so long a receiver may resample that makes its delay longer.
 *
 * "cpu_percent" is what all threads that sender and receiver have take of a core, and their calls
 * in both callbacks; "bare_percent" is what two threads take that do nothing but what no program
 * can do without: one is woken each millisecond and sends 312 bytes over loopback, the other waits
 * for them and reads. It is measured before and after the rest. On a virtual machine that alone can
 * be more than 3 % of a core.
 *
 * flood: the stream is encrypted, and a third thread sends 100 000 datagrams a second to the same
 * port, of noise, with a header of RTP, and with that of the stream itself and a forged end, in
 * turn. "flood_s" is how many there were a second, "flood_taken" the share of these that the
 * receiver read and refused. Then the bars are that nothing of the stream is late, lost or dropped;
 * how long it takes is not judged, as on two cores three threads wait for each other.
 *
 * Bars: latency_ms within 1 ms of the floor, wrong 0, cpu_percent 3 or 1.5 times bare_percent, of
 * the two the larger. Exit: 0 when they hold, 1 when not.
 */
#include "bench.h"

#include <takt/takt.h>

#include <arpa/inet.h>
#include <math.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define AT "127.0.0.1:25004"

enum {
    RATE = 48000,
    BLOCK = 64,
    BITS = 15,
    STEPS = 1 << BITS,
    RECORDS = 1 << 16,
    FADE = RATE / 200
};
static const double floor_ms = 1e3 * (2.0 * BLOCK / RATE) + 1, over_ms_max = 1, cpu_max = 3,
                    bare_max = 1.5;

struct bench {
    struct takt_send *send;
    struct takt_recv *recv;
    /* When the block with this number was captured; its frames follow each other. */
    _Atomic int64_t captured_ns[RECORDS];
    _Atomic int64_t stalled_ns; /* when a block of either was late, last */
    _Atomic uint64_t stalled;

    uint64_t position; /* of what the sender wrote */
    float left[BLOCK], right[BLOCK];

    bool is_heard;
    uint64_t next;
    uint64_t frames, wrong, wrong_stalled, silent, faded;
    double *latency_ms;
    size_t latencies, room;
    int64_t send_ns, recv_ns; /* in the calls */
};

static void note_stall(struct bench *b, const struct takt_block *block)
{
    if (block->lost_frames == 0 && block->now_ns <= block->deadline_ns)
        return;
    atomic_store(&b->stalled_ns, block->now_ns);
    atomic_fetch_add(&b->stalled, 1);
}

static enum takt_next speak(const struct takt_block *block, void *arg)
{
    struct bench *b = arg;
    const float *planes[2] = {b->left, b->right};
    note_stall(b, block);
    if (block->lost_frames && block->position) {
        takt_send_write(b->send, NULL, (uint32_t)block->lost_frames,
                        block->in_first_ns - (int64_t)block->lost_frames * 1000000000 / RATE);
        b->position += block->lost_frames;
    }
    atomic_store(&b->captured_ns[b->position / BLOCK % RECORDS], block->in_first_ns);
    for (uint32_t i = 0; i < block->frames; i++) {
        uint64_t n = b->position + i + 1; /* 0 is silence */
        b->left[i] = (float)(n % STEPS) / STEPS;
        b->right[i] = (float)(n / STEPS % STEPS) / STEPS;
    }
    int64_t before_ns = bench_now_ns();
    takt_send_write(b->send, planes, block->frames, block->in_first_ns);
    b->send_ns += bench_now_ns() - before_ns;
    b->position += block->frames;
    return TAKT_CONTINUE;
}

/* The number that stands in a frame; 0 for silence, and UINT64_MAX for what is none. */
static uint64_t number_of(float left, float right)
{
    double low = (double)left * STEPS, high = (double)right * STEPS;
    if (low != floor(low) || high != floor(high) || low < 0 || high < 0)
        return UINT64_MAX;
    return (uint64_t)low + (uint64_t)high * STEPS;
}

static void look(struct bench *b, const struct takt_block *block)
{
    bool is_stalled = block->now_ns - atomic_load(&b->stalled_ns) < 3000000000;
    for (uint32_t i = 0; i < block->frames; i++) {
        uint64_t n = number_of(block->out[0][i], block->out[1][i]);
        if (!b->is_heard && (n == 0 || n == UINT64_MAX) && b->faded == 0) {
            b->silent++;
            continue;
        }
        if (b->faded < FADE) {
            b->faded++;
            continue;
        }
        bool is_next = !b->is_heard || n == b->next;
        b->is_heard = true;
        b->frames++;
        b->wrong += !is_next && !is_stalled;
        b->wrong_stalled += !is_next && is_stalled;
        b->next = n && n != UINT64_MAX ? n + 1 : b->next + 1;
        if (i == 0 && is_next && b->latencies < b->room) {
            uint64_t at = n - 1;
            int64_t first_ns = atomic_load(&b->captured_ns[at / BLOCK % RECORDS]);
            double captured = (double)first_ns + (double)(at % BLOCK) * 1e9 / RATE;
            b->latency_ms[b->latencies++] = ((double)block->out_first_ns - captured) * 1e-6;
        }
    }
}

static enum takt_next hear(const struct takt_block *block, void *arg)
{
    struct bench *b = arg;
    note_stall(b, block);
    int64_t before_ns = bench_now_ns();
    takt_recv_read(b->recv, block->now_ns, block->out_first_ns, block->out, block->frames);
    b->recv_ns += bench_now_ns() - before_ns;
    look(b, block);
    return TAKT_CONTINUE;
}

/* ---- What the system takes ------------------------------------------------------------------- */

enum { BARE_MS = 1000, BARE_BYTES = 312 };

struct bare {
    int in, out;
    _Atomic bool quits;
    _Atomic int64_t cpu_ns[2];
};

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void bare_send(void *arg)
{
    struct bare *b = arg;
    char packet[BARE_BYTES] = {0};
    int64_t now_ns = bench_now_ns();
    for (int i = 1; i <= BARE_MS; i++) {
        takt_sleep_until_ns(now_ns + i * 1000000ll);
        if (send(b->out, packet, sizeof packet, 0) < 0)
            break;
    }
    atomic_store(&b->cpu_ns[0], cpu_ns());
}

static void bare_read(void *arg)
{
    struct bare *b = arg;
    char packet[BARE_BYTES];
    while (!atomic_load(&b->quits)) {
        struct pollfd f = {.fd = b->in, .events = POLLIN};
        if (poll(&f, 1, 50) > 0)
            bench_barrier(), (void)!recv(b->in, packet, sizeof packet, MSG_DONTWAIT);
        atomic_store(&b->cpu_ns[1], cpu_ns());
    }
}

/* Percent of a core, or -1. */
static double bare_percent(void)
{
    static struct bare b;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof at;
    struct takt_thread *threads[2] = {NULL, NULL};
    b = (struct bare){.in = socket(AF_INET, SOCK_DGRAM, 0), .out = socket(AF_INET, SOCK_DGRAM, 0)};
    bool runs = bind(b.in, (struct sockaddr *)&at, bytes) == 0 &&
                getsockname(b.in, (struct sockaddr *)&at, &bytes) == 0 &&
                connect(b.out, (struct sockaddr *)&at, bytes) == 0 &&
                takt_thread_start(&(struct takt_thread_cfg){.entry = bare_read, .arg = &b},
                                  &threads[0], NULL) == 0 &&
                takt_thread_start(&(struct takt_thread_cfg){.entry = bare_send, .arg = &b},
                                  &threads[1], NULL) == 0;
    takt_thread_join(threads[1], -1);
    atomic_store(&b.quits, true);
    takt_thread_join(threads[0], -1);
    close(b.in);
    close(b.out);
    return runs ? 1e-4 * (double)(b.cpu_ns[0] + b.cpu_ns[1]) / BARE_MS : -1;
}

/* ---- A flood --------------------------------------------------------------------------------- */

enum { FLOOD_EACH_MS = 100, FLOOD_BYTES = 316, FLOOD_KINDS = 3, PORT = 25004 };

struct flood {
    struct bench *bench;
    _Atomic bool quits;
    uint64_t sent;
    double seconds;
};

/* A datagram of this kind; that of the stream has its SSRC. */
static void forge(uint8_t *out, uint64_t n, uint32_t ssrc)
{
    uint32_t x = (uint32_t)n * 2654435761u + 1;
    for (int i = 0; i < FLOOD_BYTES; i++)
        out[i] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 24);
    if (n % FLOOD_KINDS == 0)
        return;
    out[0] = 0x80;
    out[1] = 97;
    for (int i = 0; n % FLOOD_KINDS == 2 && i < 4; i++)
        out[8 + i] = (uint8_t)(ssrc >> (24 - 8 * i));
}

static void run_flood(void *arg)
{
    static uint8_t datagrams[FLOOD_EACH_MS][FLOOD_BYTES];
    static struct iovec parts[FLOOD_EACH_MS];
    static struct mmsghdr list[FLOOD_EACH_MS];
    struct flood *f = arg;
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        return;
    for (int i = 0; i < FLOOD_EACH_MS; i++) {
        parts[i] = (struct iovec){datagrams[i], FLOOD_BYTES};
        list[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    int64_t from_ns = bench_now_ns(), due_ns = from_ns;
    while (!atomic_load(&f->quits)) {
        struct takt_send_stats now;
        takt_send_read_stats(f->bench->send, &now);
        for (int i = 0; i < FLOOD_EACH_MS; i++)
            forge(datagrams[i], f->sent + (uint64_t)i, now.ssrc);
        int sent = sendmmsg(fd, list, FLOOD_EACH_MS, 0);
        f->sent += sent > 0 ? (uint64_t)sent : 0;
        takt_sleep_until_ns(due_ns += 1000000);
    }
    f->seconds = (double)(bench_now_ns() - from_ns) * 1e-9;
    close(fd);
}

static uint64_t refused(const struct takt_recv_stats *st)
{
    const struct takt_recv_refused *r = &st->refused;
    return r->malformed + r->foreign + r->undescribed + r->forged + r->plain + r->encrypted +
           r->replayed + r->untried;
}

/* ---- The streams ----------------------------------------------------------------------------- */

static int start(struct takt_stream_cfg cfg, struct takt_stream **out, struct takt_error *e)
{
    cfg.rate_hz = RATE;
    cfg.block_frames = BLOCK;
    int err = takt_stream_create(&cfg, out, e);
    return err < 0 ? err : takt_stream_start(*out);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 20;
    bool is_flooded = argc > 2 && !strcmp(argv[2], "flood");
    bool is_secret = is_flooded || (argc > 2 && !strcmp(argv[2], "key"));
    static struct bench b;
    struct takt_key key = {{1, 2, 3}};
    struct takt_stream *in = NULL, *out = NULL;
    struct takt_error e;
    double bare = bare_percent();
    b.room = (size_t)(seconds + 2) * RATE / BLOCK;
    b.latency_ms = calloc(b.room, sizeof *b.latency_ms);
    atomic_store(&b.stalled_ns, -3000000000);
    if (!b.latency_ms ||
        takt_recv_create(&(struct takt_recv_cfg){.at = AT, .key = is_secret ? &key : NULL}, &b.recv,
                         &e) < 0 ||
        takt_send_create(&(struct takt_send_cfg){.to = (const char *const[]){AT},
                                                 .to_count = 1,
                                                 .packet_ms = 1,
                                                 .key = is_secret ? &key : NULL},
                         &b.send, &e) < 0 ||
        start((struct takt_stream_cfg){.out = {.device = "sim:", .channels = 2},
                                       .process = hear,
                                       .arg = &b},
              &out, &e) < 0 ||
        start((struct takt_stream_cfg){.in = {.device = "sim:", .channels = 2},
                                       .process = speak,
                                       .arg = &b},
              &in, &e) < 0)
        return takt_die(&e);
    long long steal = bench_steal_ticks();
    struct flood flood = {.bench = &b};
    struct takt_thread *flooder = NULL;
    takt_sleep_ms(500);
    if (is_flooded &&
        takt_thread_start(&(struct takt_thread_cfg){.entry = run_flood, .arg = &flood}, &flooder,
                          &e) < 0)
        return takt_die(&e);
    takt_sleep_ms((uint32_t)(seconds * 1e3));
    atomic_store(&flood.quits, true);
    takt_thread_join(flooder, -1);
    struct takt_recv_stats heard;
    struct takt_send_stats sent;
    takt_recv_read_stats(b.recv, &heard);
    takt_send_read_stats(b.send, &sent);
    takt_stream_destroy(in);
    takt_stream_destroy(out);
    takt_send_destroy(b.send);
    takt_recv_destroy(b.recv);

    bare = 0.5 * (bare + bare_percent());

    double p95 = bench_quantile(b.latency_ms, b.latencies, 0.95);
    double p50 = bench_median(b.latency_ms, b.latencies);
    double calls_s = (double)(b.send_ns + b.recv_ns) * 1e-9;
    double cpu = 100 * (heard.cpu_s + sent.cpu_s + calls_s) / seconds;
    bool is_fast =
        p50 - floor_ms <= over_ms_max && b.wrong == 0 && cpu <= fmax(cpu_max, bare_max * bare);
    bool is_whole = heard.counts.late + heard.counts.lost + heard.ring_dropped == 0 &&
                    flood.sent > 0.9e3 * FLOOD_EACH_MS * flood.seconds;
    bool holds = b.latencies > 0 && (is_flooded ? is_whole : is_fast);
    const struct takt_recv_source *s = &heard.source[0];
    printf(
        "{\"bench\":\"net_loopback\",\"seconds\":%g,\"encrypted\":%s,\"latency_ms\":{\"p50\":%.3f,"
        "\"p95\":%.3f},\"floor_ms\":%.3f,\"over_ms\":%.3f,\"frames\":%llu,\"wrong\":%llu,"
        "\"wrong_stalled\":%llu,\"stalled\":%llu,\"silent_s\":%.3f,\"cpu_percent\":%.2f,"
        "\"bare_percent\":%.2f,\"calls_percent\":%.2f,\"exact\":%s,\"told_ms\":%.3f,\"target_ms\":%"
        ".3f,"
        "\"delay_ms\":%.3f,\"late\":%llu,\"lost\":%llu,\"dropped\":%llu,\"flood_s\":%.0f,"
        "\"flood_taken\":%.3f,\"wake_us\":[%.0f,%.0f],\"steal_ticks\":%lld,\"holds\":%s}\n",
        seconds, is_secret ? "true" : "false", p50, p95, floor_ms, p50 - floor_ms,
        (unsigned long long)b.frames, (unsigned long long)b.wrong,
        (unsigned long long)b.wrong_stalled, (unsigned long long)b.stalled, (double)b.silent / RATE,
        cpu, bare, 100 * calls_s / seconds, s->exact ? "true" : "false", s->latency_ms,
        s->target_ms, s->delay_ms, (unsigned long long)heard.counts.late,
        (unsigned long long)heard.counts.lost, (unsigned long long)heard.ring_dropped,
        flood.sent ? (double)flood.sent / flood.seconds : 0,
        flood.sent ? (double)refused(&heard) / (double)flood.sent : 0, sent.wake_us[0],
        sent.wake_us[1], bench_steal_ticks() - steal, holds ? "true" : "false");
    free(b.latency_ms);
    return holds ? 0 : 1;
}
