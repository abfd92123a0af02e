/*
 * Datagrams over loopback. What this machine lacks (IPv6, multicast on lo) is skipped aloud.
 */
#include "base/random.h"
#include "fault.h"
#include "io/udp.h"
#include "takt/time.h"
#include "tap.h"

#include <dirent.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MS = 1000000, PATIENCE_NS = 2000 * MS, BATCH = 64 };

/* ---- The kernel's moods ---------------------------------------------------------------------- */

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __real_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags);
int __real_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t);
int __wrap_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t);

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);

static int64_t to_ns(const struct timespec *t)
{
    return t->tv_sec * 1000000000ll + t->tv_nsec;
}

static struct timespec to_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

static bool has_no_ipv6;
static bool is_moody;
static int broken; /* what every call fails with; 0: none */
static struct takt_random mood;

int __wrap_socket(int family, int type, int protocol)
{
    if (fault_now(EMFILE))
        return -1;
    if (has_no_ipv6 && family == AF_INET6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return fault_fd(__real_socket(family, type, protocol));
}

/* How many of n to do this time, or 0 with errno. */
static unsigned any_mood(unsigned n)
{
    static const int moods[] = {EINTR,        EAGAIN, ENOBUFS, ECONNREFUSED,
                                EHOSTUNREACH, EPERM,  EMSGSIZE};
    errno = broken;
    if (!broken && !is_moody)
        return n;
    if (!broken && takt_random_below(&mood, 2))
        return 1 + (unsigned)takt_random_below(&mood, n);
    if (!broken)
        errno = moods[takt_random_below(&mood, sizeof moods / sizeof *moods)];
    return 0;
}

int __wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
    n = any_mood(n);
    return n > 0 ? __real_sendmmsg(fd, m, n, flags) : -1;
}

/* The wall clock seems to have been set forward at set_at_ns, by what it read before. */
static int64_t set_at_ns, set_by_ns;

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
    int err = __real_clock_gettime(clock, t);
    if (clock == CLOCK_REALTIME)
        *t = to_timespec(to_ns(t) + set_by_ns);
    return err;
}

static void set_wall_clock(int64_t by_ns)
{
    struct timespec t;
    __real_clock_gettime(CLOCK_REALTIME, &t);
    set_at_ns = to_ns(&t);
    set_by_ns = by_ns;
}

/* And so in the kernel's stamps of what arrived later. */
static void set_stamps(struct mmsghdr *m, int count)
{
    for (int i = 0; i < count; i++) {
        struct cmsghdr *c = CMSG_FIRSTHDR(&m[i].msg_hdr);
        for (; c; c = CMSG_NXTHDR(&m[i].msg_hdr, c)) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(c), sizeof t);
            if (c->cmsg_type != SCM_TIMESTAMPNS || to_ns(&t) < set_at_ns)
                continue;
            t = to_timespec(to_ns(&t) + set_by_ns);
            memcpy(CMSG_DATA(c), &t, sizeof t);
        }
    }
}

int __wrap_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t)
{
    n = any_mood(n);
    int got = n > 0 ? __real_recvmmsg(fd, m, n, flags, t) : -1;
    if (set_at_ns)
        set_stamps(m, got);
    return got;
}

/* ---- Help ------------------------------------------------------------------------------------ */

static struct takt_address at(const char *text)
{
    struct takt_address a;
    struct takt_error e;
    if (takt_address_parse(text, 1, &a, &e) < 0)
        printf("# %s\n", e.text);
    return a;
}

/* With a port of the system's choice. */
static struct takt_address any_port(const char *text)
{
    struct takt_address a = at(text);
    takt_address_set_port(&a, 0);
    return a;
}

static struct takt_udp *open_udp(const struct takt_udp_cfg *cfg)
{
    struct takt_udp *u;
    struct takt_error e;
    if (takt_udp_open(cfg, &u, &e) < 0)
        printf("# %s\n", e.text);
    return u;
}

static struct takt_udp *listen_at(const char *text)
{
    return open_udp(&(struct takt_udp_cfg){.local = any_port(text)});
}

static struct takt_address local_of(const struct takt_udp *u)
{
    struct takt_address a;
    takt_udp_local(u, &a);
    return a;
}

/* Where to send to reach u from here, when it listens everywhere. */
static struct takt_address reach(const struct takt_udp *u, const char *host)
{
    struct takt_address a = at(host), local = local_of(u);
    takt_address_set_port(&a, takt_address_port(&local));
    return a;
}

static struct takt_udp *send_to(const struct takt_address *to, uint32_t count)
{
    return open_udp(&(struct takt_udp_cfg){.to = to, .to_count = count});
}

static struct takt_udp_stats stats_of(const struct takt_udp *u)
{
    struct takt_udp_stats s;
    takt_udp_read_stats(u, &s);
    return s;
}

static bool send_one(struct takt_udp *u, const void *data, uint32_t bytes, uint32_t to)
{
    struct takt_udp_datagram d = {.data = data, .bytes = bytes, .to = to, .error = -1};
    return takt_udp_send(u, &d, 1) == 1 && d.error == 0;
}

/* Whether one packet with these bytes comes, and no other is there. */
static bool hears(struct takt_udp *u, const void *data, uint32_t bytes)
{
    struct takt_udp_packet p[2];
    return takt_udp_receive(u, p, 1, PATIENCE_NS) == 1 && p[0].bytes == bytes &&
           !memcmp(p[0].data, data, bytes) && takt_udp_receive(u, p, 2, 0) == 0;
}

/* Loopback delivers before the sending call returns: what is not there now will not come. */
static bool hears_nothing(struct takt_udp *u)
{
    struct takt_udp_packet p;
    return takt_udp_receive(u, &p, 1, 0) == 0;
}

static bool is_readable(const struct takt_udp *u, int timeout_ms)
{
    struct pollfd p = {.fd = takt_udp_fd(u), .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1 && p.revents == POLLIN;
}

static int open_fds(void)
{
    int count = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        count++;
    if (d)
        closedir(d);
    return count;
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 one = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = __real_socket(AF_INET6, SOCK_DGRAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&one, sizeof one) == 0;
    if (fd >= 0)
        __real_close(fd);
    return has;
}

static int read_option(const struct takt_udp *u, int level, int name)
{
    int value = -1;
    socklen_t bytes = sizeof value;
    return getsockopt(takt_udp_fd(u), level, name, &value, &bytes) == 0 ? value : -1;
}

static bool bring_up(const char *name)
{
    struct ifreq r = {.ifr_mtu = 1500};
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    int fd = __real_socket(AF_INET, SOCK_DGRAM, 0);
    bool is_set = ioctl(fd, SIOCSIFMTU, &r) == 0;
    r.ifr_flags = IFF_UP;
    is_set = is_set && ioctl(fd, SIOCSIFFLAGS, &r) == 0;
    __real_close(fd);
    return is_set;
}

/* Addresses may be used at once, not after a second. */
static void dont_look_for_duplicates(const char *setting)
{
    FILE *f = fopen(setting, "w");
    if (f) {
        fputs("0\n", f);
        fclose(f);
    }
}

/* A pair of interfaces with one end here, "veth0", and the other, too: over lo no IPv6 group goes.
 */
static bool add_pair(void)
{
    struct {
        struct nlmsghdr h;
        struct ifinfomsg i;
        struct nlattr info, kind;
        char name[8];
    } m = {.h = {.nlmsg_len = sizeof m,
                 .nlmsg_type = RTM_NEWLINK,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK},
           .info = {.nla_len = 2 * sizeof m.info + sizeof m.name, .nla_type = IFLA_LINKINFO},
           .kind = {.nla_len = sizeof m.kind + 5, .nla_type = IFLA_INFO_KIND},
           .name = "veth"};
    char answer[256];
    dont_look_for_duplicates("/proc/sys/net/ipv6/conf/all/accept_dad");
    dont_look_for_duplicates("/proc/sys/net/ipv6/conf/default/accept_dad");
    int fd = __real_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    bool is_told = send(fd, &m, sizeof m, 0) == sizeof m && recv(fd, answer, sizeof answer, 0) > 0;
    __real_close(fd);
    return is_told && bring_up("veth0") && bring_up("veth1");
}

/* Runs checks where there is nothing but a loopback whose path takes 1500 bytes; false when there
 * can be no such place. */
static bool in_own_network(void (*checks)(void))
{
    enum { IMPOSSIBLE = 77 };
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 || !bring_up("lo"))
            _exit(IMPOSSIBLE);
        checks();
        fflush(stdout);
        _exit(tap_skipped ? IMPOSSIBLE : tap_broken);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    bool is_possible = !WIFEXITED(status) || WEXITSTATUS(status) != IMPOSSIBLE;
    tap_broken |= is_possible && status != 0;
    return is_possible;
}

#define NEED_IPV6()                                                                                \
    if (!has_ipv6())                                                                               \
    SKIP("there is no IPv6 here")

/* ---- Receiving and sending ------------------------------------------------------------------- */

/* Batches of any number go out and come in as what they were, in order, from the sender. */
static bool brings_all(const char *host)
{
    struct takt_random r = takt_random_seed(1);
    struct takt_udp *in = listen_at(host);
    struct takt_address to = local_of(in);
    struct takt_udp *out = send_to(&to, 1);
    uint32_t sent = 0, heard = 0;
    bool right = true;
    for (int round = 0; right && round < 100; round++) {
        uint32_t words[150];
        struct takt_udp_datagram d[150];
        uint32_t count = (uint32_t)takt_random_below(&r, 151);
        for (uint32_t i = 0; i < count; i++) {
            words[i] = sent++;
            d[i] = (struct takt_udp_datagram){.data = &words[i], .bytes = sizeof *words};
        }
        right &= takt_udp_send(out, d, count) == count;
        while (right && heard < sent) {
            struct takt_udp_packet p[80];
            uint32_t max = (uint32_t)takt_random_below(&r, 81);
            int n = takt_udp_receive(in, p, max, PATIENCE_NS);
            right &= n >= (max > 0) && n <= (int)max && n <= BATCH;
            for (int i = 0; right && i < n; i++, heard++) {
                struct takt_address from = local_of(out);
                right &= p[i].bytes == sizeof heard && !memcmp(p[i].data, &heard, sizeof heard);
                right &= !p[i].is_truncated && takt_address_is_loopback(&p[i].from);
                right &= takt_address_port(&p[i].from) == takt_address_port(&from);
            }
        }
    }
    right &= hears_nothing(in) && stats_of(out).sent == sent && stats_of(in).received == sent;
    right &= stats_of(in).dropped == 0;
    takt_udp_close(in);
    takt_udp_close(out);
    return right;
}

static void udp_brings_batches_of_any_number_over_ipv4(void)
{
    CHECK(brings_all("127.0.0.1"));
}

static void udp_brings_batches_of_any_number_over_ipv6(void)
{
    NEED_IPV6();
    CHECK(brings_all("[::1]"));
}

/* One batch to receivers of both families and to one that listens everywhere. */
static void udp_sends_one_batch_to_many(void)
{
    NEED_IPV6();
    struct takt_udp *four = listen_at("127.0.0.1"), *six = listen_at("[::1]"),
                    *all = listen_at(":1");
    struct takt_address to[] = {local_of(four), local_of(six), reach(all, "127.0.0.1"),
                                reach(all, "[::1]")};
    struct takt_udp *out = send_to(to, 4);
    struct takt_udp_datagram d[] = {
        {"a", 1, 0, -1}, {"b", 1, 1, -1}, {"c", 1, 2, -1}, {"dd", 2, 3, -1}, {"ee", 2, 0, -1}};
    struct takt_udp_packet p[4];
    CHECK(four && six && all && out);
    CHECK_INT(takt_udp_send(out, d, 5), 5);
    for (int i = 0; i < 5; i++)
        CHECK_INT(d[i].error, 0);
    CHECK(takt_udp_receive(four, p, 4, PATIENCE_NS) == 2 && !memcmp(p[1].data, "ee", 2));
    CHECK(hears(six, "b", 1));
    CHECK_INT(takt_udp_receive(all, p, 4, PATIENCE_NS), 2);
    CHECK(p[0].data[0] == 'c' && p[0].from.sock.any.sa_family == AF_INET);
    CHECK(p[1].data[0] == 'd' && p[1].from.sock.any.sa_family == AF_INET6);
    takt_udp_close(four);
    takt_udp_close(six);
    takt_udp_close(all);
    takt_udp_close(out);
}

/* Answers go to whom a packet came from, IPv4 or IPv6. */
static void udp_set_to_aims_at_a_sender(void)
{
    struct takt_udp *in = listen_at(":1");
    struct takt_address to = reach(in, "127.0.0.1"), none = {0};
    struct takt_udp *out = send_to(&to, 1);
    struct takt_udp_packet p;
    CHECK(in && out && send_one(out, "ping", 4, 0));
    CHECK_INT(takt_udp_receive(in, &p, 1, PATIENCE_NS), 1);
    CHECK(!send_one(in, "early", 5, 0));
    CHECK_INT(takt_udp_set_to(in, 0, &p.from), 0);
    CHECK(send_one(in, "pong", 4, 0) && hears(out, "pong", 4));
    CHECK_INT(takt_udp_set_to(in, 0, &none), 0);
    CHECK(!send_one(in, "late", 4, 0) && hears_nothing(out));
    CHECK_INT(stats_of(in).failed, 2);
    CHECK_INT(takt_udp_set_to(in, 1, &p.from), TAKT_ERR_ARG);
    struct takt_address six = at("[2001:db8::1]:5");
    CHECK_INT(takt_udp_set_to(out, 0, &six), TAKT_ERR_UNSUPPORTED);
    takt_udp_close(in);
    takt_udp_close(out);
}

/* Without IPv6 an open ear is one for IPv4, and IPv6 destinations are refused by name. */
static void udp_without_ipv6_listens_to_ipv4(void)
{
    has_no_ipv6 = true;
    struct takt_udp *in = listen_at(":1"), *none;
    struct takt_address to = reach(in, "127.0.0.1"), six = at("[::1]:5");
    struct takt_udp *out = send_to(&to, 1);
    struct takt_error e;
    int err = takt_udp_open(&(struct takt_udp_cfg){.to = &six, .to_count = 1}, &none, &e);
    has_no_ipv6 = false;
    CHECK(in && out && send_one(out, "x", 1, 0) && hears(in, "x", 1));
    CHECK(err == TAKT_ERR_UNSUPPORTED && !none && strstr(e.text, "no IPv6"));
    takt_udp_close(in);
    takt_udp_close(out);
}

static void udp_cuts_what_is_too_long_and_says_so(void)
{
    static uint8_t data[2000];
    static const uint32_t sizes[] = {0, 1, 99, 100, 101, 2000, 5};
    struct takt_udp *in =
        open_udp(&(struct takt_udp_cfg){.local = any_port("127.0.0.1"), .bytes_max = 100});
    struct takt_address to = local_of(in);
    struct takt_udp *out = send_to(&to, 1);
    struct takt_udp_packet p[8];
    for (int i = 0; i < 2000; i++)
        data[i] = (uint8_t)i;
    for (int i = 0; i < 7; i++)
        CHECK(send_one(out, data, sizes[i], 0));
    CHECK_INT(takt_udp_receive(in, p, 8, PATIENCE_NS), 7);
    for (int i = 0; i < 7; i++) {
        CHECK_INT(p[i].bytes, sizes[i] < 100 ? sizes[i] : 100);
        CHECK_INT(p[i].is_truncated, sizes[i] > 100);
        CHECK(!memcmp(p[i].data, data, p[i].bytes));
    }
    CHECK_INT(stats_of(in).truncated, 2);
    takt_udp_close(in);
    takt_udp_close(out);
}

/* ---- Stamps ---------------------------------------------------------------------------------- */

/* A packet arrives after it was sent and before it is read; on loopback, even before the sending
 * call returns, however late it is read. The kernel takes a moment to begin with its stamps. */
static bool stamps_between(const char *host)
{
    struct takt_udp *in = listen_at(host);
    struct takt_address to = local_of(in);
    struct takt_udp *out = send_to(&to, 1);
    struct takt_udp_packet p[10];
    bool right = true, is_kernels = false;
    int64_t last_ns = 0;
    for (int i = 0; right && i < 200 && !is_kernels; i++) {
        int64_t before_ns = takt_now_ns();
        for (int k = 0; k < 10; k++)
            right &= send_one(out, "x", 1, 0);
        int64_t after_ns = takt_now_ns();
        takt_sleep_ms(3);
        int n = takt_udp_receive(in, p, 10, PATIENCE_NS);
        int64_t read_ns = takt_now_ns();
        right &= n == 10;
        is_kernels = i >= 20;
        for (int k = 0; right && k < n; k++) {
            right &= p[k].arrival_ns >= before_ns - MS && p[k].arrival_ns <= read_ns;
            right &= p[k].arrival_ns >= last_ns - MS;
            is_kernels &= p[k].arrival_ns <= after_ns + MS;
            last_ns = p[k].arrival_ns;
        }
    }
    right &= is_kernels && stats_of(in).unstamped == 0 && stats_of(in).clock_steps == 0;
    takt_udp_close(in);
    takt_udp_close(out);
    return right;
}

static void udp_stamps_packets_when_they_arrive(void)
{
    CHECK(stamps_between("127.0.0.1"));
}

static void udp_stamps_packets_when_they_arrive_over_ipv6(void)
{
    NEED_IPV6();
    CHECK(stamps_between("[::1]"));
}

/* Sends until the stamps are the kernel's. */
static bool warm_up(struct takt_udp *in, struct takt_udp *out)
{
    for (int i = 0; i < 500; i++) {
        struct takt_udp_packet p;
        send_one(out, "x", 1, 0);
        int64_t after_ns = takt_now_ns();
        takt_sleep_ms(2);
        if (takt_udp_receive(in, &p, 1, PATIENCE_NS) == 1 && p.arrival_ns <= after_ns)
            return true;
    }
    return false;
}

/* Packets that wait while the wall clock is set, and those after them, keep their times. */
static void check_step(struct takt_udp *in, struct takt_udp *out, int64_t by_ns)
{
    int64_t before_ns[10], after_ns[10];
    uint64_t steps = stats_of(in).clock_steps;
    for (int i = 0; i < 10; i++) {
        if (i == 5)
            set_wall_clock(by_ns);
        before_ns[i] = takt_now_ns();
        CHECK(send_one(out, "x", 1, 0));
        after_ns[i] = takt_now_ns();
    }
    for (int i = 0; i < 10;) { /* in more than one batch */
        struct takt_udp_packet p[3];
        int n = takt_udp_receive(in, p, 3, PATIENCE_NS);
        CHECK(n > 0);
        for (int k = 0; k < n; k++, i++)
            CHECK(p[k].arrival_ns >= before_ns[i] - MS && p[k].arrival_ns <= after_ns[i] + MS);
    }
    CHECK_INT(stats_of(in).clock_steps, steps + (by_ns != 0));
}

static void udp_stamps_outlive_a_step_of_the_wall_clock(void)
{
    static const int64_t steps_ns[] = {3600000000000, -3600000000000, 10000000000, -10000000000};
    struct takt_udp_packet p;
    for (int i = 0; i < 4 && !tap_broken; i++) {
        struct takt_udp *in = listen_at("127.0.0.1");
        struct takt_address to = local_of(in);
        struct takt_udp *out = send_to(&to, 1);
        CHECK(warm_up(in, out));
        check_step(in, out, steps_ns[i]);
        takt_udp_close(in);
        takt_udp_close(out);
        set_by_ns = set_at_ns = 0;
    }
    /* A small one is forgotten with the next empty socket. */
    struct takt_udp *in = listen_at("127.0.0.1");
    struct takt_address to = local_of(in);
    struct takt_udp *out = send_to(&to, 1);
    CHECK(warm_up(in, out));
    set_wall_clock(20 * MS);
    CHECK(send_one(out, "x", 1, 0));
    CHECK_INT(takt_udp_receive(in, &p, 1, PATIENCE_NS), 1);
    CHECK(hears_nothing(in) && send_one(out, "x", 1, 0));
    CHECK_INT(takt_udp_receive(in, &p, 1, PATIENCE_NS), 1);
    CHECK(hears_nothing(in) && send_one(out, "x", 1, 0));
    int64_t after_ns = takt_now_ns();
    takt_sleep_ms(30);
    CHECK_INT(takt_udp_receive(in, &p, 1, PATIENCE_NS), 1);
    CHECK(p.arrival_ns <= after_ns + MS);
    set_by_ns = set_at_ns = 0;
    takt_udp_close(in);
    takt_udp_close(out);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static void udp_receive_ends_when_its_time_is_over(void)
{
    struct takt_udp *in = listen_at("127.0.0.1");
    struct takt_udp_packet p;
    CHECK_INT(takt_udp_receive(in, &p, 1, 0), 0);
    int64_t before_ns = takt_now_ns();
    CHECK_INT(takt_udp_receive(in, &p, 1, 3 * MS), 0);
    CHECK(takt_now_ns() - before_ns >= 3 * MS);
    takt_udp_close(in);
}

/* A wake-up is neither lost when nobody waits yet nor kept when it has been seen. */
static void udp_wake_ends_the_next_wait_once(void)
{
    struct takt_udp *in = listen_at("127.0.0.1");
    struct takt_address to = local_of(in);
    struct takt_udp *out = send_to(&to, 1);
    struct takt_udp_packet p;
    takt_udp_wake(in);
    takt_udp_wake(in);
    CHECK_INT(takt_udp_receive(in, &p, 1, 0), 0);
    CHECK_INT(takt_udp_receive(in, &p, 1, -1), 0);
    int64_t before_ns = takt_now_ns();
    CHECK_INT(takt_udp_receive(in, &p, 1, 3 * MS), 0);
    CHECK(takt_now_ns() - before_ns >= 3 * MS);
    CHECK(send_one(out, "x", 1, 0));
    CHECK_INT(takt_udp_receive(in, &p, 1, -1), 1);
    takt_udp_wake(in);
    CHECK(send_one(out, "x", 1, 0) && is_readable(in, 2000));
    CHECK_INT(takt_udp_receive(in, &p, 1, -1), 1);
    CHECK_INT(takt_udp_receive(in, &p, 1, 0), 0);
    takt_udp_close(in);
    takt_udp_close(out);
}

static void *receive_for_ever(void *arg)
{
    struct takt_udp_packet p[8];
    uintptr_t heard = 0;
    for (int n; (n = takt_udp_receive(arg, p, 8, -1)) > 0;)
        heard += (uintptr_t)n;
    return (void *)heard;
}

static void udp_wake_ends_a_wait_in_another_thread(void)
{
    struct takt_udp *in = listen_at("127.0.0.1");
    struct takt_address to = local_of(in);
    struct takt_udp *out = send_to(&to, 1);
    pthread_t thread;
    void *heard;
    CHECK_INT(pthread_create(&thread, NULL, receive_for_ever, in), 0);
    for (int i = 0; i < 100; i++)
        CHECK(send_one(out, "x", 1, 0));
    while (stats_of(in).received < 100)
        sched_yield();
    takt_udp_wake(in);
    pthread_join(thread, &heard);
    CHECK_INT((uintptr_t)heard, 100);
    takt_udp_close(in);
    takt_udp_close(out);
}

static void udp_fd_is_readable_when_there_are_packets(void)
{
    struct takt_udp *in = listen_at("127.0.0.1");
    struct takt_address to = local_of(in);
    struct takt_udp *out = send_to(&to, 1);
    CHECK(!is_readable(in, 0));
    CHECK(send_one(out, "x", 1, 0));
    CHECK(is_readable(in, 2000));
    CHECK(hears(in, "x", 1));
    CHECK(!is_readable(in, 0));
    takt_udp_close(in);
    takt_udp_close(out);
}

/* ---- What goes wrong ------------------------------------------------------------------------- */

/* What the kernel has no room for it counts: all that was sent is heard or counted. */
static void udp_counts_what_the_kernel_drops(void)
{
    static const uint8_t data[500];
    struct takt_udp *in =
        open_udp(&(struct takt_udp_cfg){.local = any_port("127.0.0.1"), .receive_bytes = 8192});
    struct takt_address to = local_of(in);
    struct takt_udp *out = send_to(&to, 1);
    struct takt_udp_packet p[BATCH];
    uint64_t heard = 0, sent = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 300; i++, sent++)
            CHECK(send_one(out, data, sizeof data, 0));
        for (int n; (n = takt_udp_receive(in, p, BATCH, 20 * MS)) > 0;)
            heard += (uint64_t)n;
        CHECK(send_one(out, data, sizeof data, 0)); /* which brings the count */
        CHECK_INT(takt_udp_receive(in, p, BATCH, PATIENCE_NS), 1);
        heard++, sent++;
        CHECK(stats_of(in).dropped > 0);
        CHECK_INT(heard + stats_of(in).dropped, sent);
    }
    CHECK(stats_of(in).receive_bytes > 0 && stats_of(in).receive_bytes < 65536);
    takt_udp_close(in);
    takt_udp_close(out);
}

/* Nobody listens: each call goes on as if somebody did, and the answers are counted. */
static bool counts_refusals(const char *host)
{
    struct takt_udp *gone = listen_at(host);
    struct takt_address to = local_of(gone);
    struct takt_udp *out =
        open_udp(&(struct takt_udp_cfg){.to = &to, .to_count = 1, .is_connected = true});
    struct takt_udp_packet p;
    bool right = takt_udp_set_to(out, 0, &to) == TAKT_ERR_STATE;
    takt_udp_close(gone);
    for (int i = 0; i < 10; i++) {
        struct takt_udp_datagram d[3] = {{"x", 1, 0, -1}, {"y", 1, 0, -1}, {"z", 1, 0, -1}};
        right &= takt_udp_send(out, d, 3) == 3 && d[0].error == 0 && d[2].error == 0;
        right &= i % 2 || takt_udp_receive(out, &p, 1, MS) == 0;
    }
    struct takt_udp_stats s = stats_of(out);
    right &= s.sent == 30 && s.refused >= 5 && s.refused <= 30;
    right &= s.failed + s.unsent + s.too_large + s.unreachable + s.received == 0;
    gone = open_udp(&(struct takt_udp_cfg){.local = to}); /* and now somebody does */
    right &= send_one(out, "back", 4, 0) && hears(gone, "back", 4);
    takt_udp_close(gone);
    takt_udp_close(out);
    return right;
}

static void udp_counts_refusals_and_goes_on(void)
{
    CHECK(counts_refusals("127.0.0.1"));
}

static void udp_counts_refusals_and_goes_on_over_ipv6(void)
{
    NEED_IPV6();
    CHECK(counts_refusals("[::1]"));
}

/* A connected socket hears its peer alone. */
static void udp_connected_hears_nobody_else(void)
{
    struct takt_udp *peer = listen_at("127.0.0.1");
    struct takt_address to = local_of(peer);
    struct takt_udp *u =
        open_udp(&(struct takt_udp_cfg){.to = &to, .to_count = 1, .is_connected = true});
    struct takt_address back = local_of(u);
    struct takt_udp *other = send_to(&back, 1);
    CHECK(takt_address_is_loopback(&back));
    CHECK(send_one(other, "no", 2, 0));
    CHECK_INT(takt_udp_set_to(peer, 0, &back), 0);
    CHECK(send_one(peer, "yes", 3, 0) && hears(u, "yes", 3));
    takt_udp_close(peer);
    takt_udp_close(u);
    takt_udp_close(other);
}

/* One datagram that no path takes does not keep back its neighbours. */
static void udp_tells_what_is_too_large_and_sends_the_rest(void)
{
    static const uint8_t data[65535];
    struct takt_udp *in =
        open_udp(&(struct takt_udp_cfg){.local = any_port("127.0.0.1"), .bytes_max = 65535});
    struct takt_address to = local_of(in);
    for (int is_connected = 0; is_connected < 2; is_connected++) {
        struct takt_udp *out = open_udp(&(struct takt_udp_cfg){
            .to = &to, .to_count = 1, .is_connected = is_connected, .send_bytes = 1 << 20});
        struct takt_udp_datagram d[] = {{data, 65508, 0, 0},
                                        {data, 10, 0, -1},
                                        {data, 65535, 0, 0},
                                        {data, 20, 0, -1},
                                        {data, 65535, 0, 0}};
        struct takt_udp_packet p[5];
        CHECK_INT(takt_udp_send(out, d, 5), 2);
        CHECK(d[0].error == EMSGSIZE && d[2].error == EMSGSIZE && d[4].error == EMSGSIZE);
        CHECK(d[1].error == 0 && d[3].error == 0);
        CHECK_INT(stats_of(out).too_large, 3);
        CHECK_INT(stats_of(out).unreachable + stats_of(out).failed, 0);
        CHECK_INT(takt_udp_receive(in, p, 5, PATIENCE_NS), 2);
        takt_udp_close(out);
    }
    takt_udp_close(in);
}

/* Exactly what fits the path is taken. */
static void check_fits(const char *to_text, uint32_t fits)
{
    static const uint8_t data[1500];
    struct takt_address to = at(to_text);
    struct takt_udp *out = send_to(&to, 1);
    struct takt_udp_datagram d[] = {{data, fits + 1, 0, 0}, {data, fits, 0, -1}};
    CHECK_INT(takt_udp_send(out, d, 2), 1);
    CHECK_INT(d[0].error, EMSGSIZE);
    CHECK_INT(d[1].error, 0);
    takt_udp_close(out);
}

static void check_that_all_fits(void)
{
    check_fits("127.0.0.1:5", 1472);
    if (has_ipv6())
        check_fits("[::1]:5", 1452);
}

static void udp_never_fragments(void)
{
    if (!in_own_network(check_that_all_fits))
        SKIP("no network of its own to be had");
}

/* Whatever the kernel answers, each datagram is sent or says why not, and the counters agree. */
static void udp_send_accounts_for_every_datagram(void)
{
    struct takt_udp *in = listen_at("127.0.0.1");
    struct takt_address to = local_of(in);
    uint64_t heard = 0, all = 0, sent = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct takt_udp *out = open_udp(&(struct takt_udp_cfg){
            .to = &to, .to_count = 1, .to_max = 2, .packets_max = 8, .is_connected = seed % 2});
        struct takt_udp_datagram d[40];
        mood = takt_random_seed(seed);
        uint32_t count = (uint32_t)takt_random_below(&mood, 41), good = 0;
        for (uint32_t i = 0; i < count; i++)
            d[i] = (struct takt_udp_datagram){"data", 4, takt_random_below(&mood, 5) == 0, -1};
        is_moody = true;
        uint32_t n = takt_udp_send(out, d, count);
        is_moody = false;
        for (uint32_t i = 0; i < count; i++) {
            CHECK(d[i].error >= 0 && (d[i].error || d[i].to == 0));
            good += d[i].error == 0;
        }
        struct takt_udp_stats s = stats_of(out);
        CHECK_INT(n, good);
        CHECK_INT(s.sent, n);
        CHECK_INT(s.sent + s.too_large + s.unsent + s.failed, count);
        all += count;
        sent += n;
        while (heard < sent) {
            struct takt_udp_packet p[64];
            int k = takt_udp_receive(in, p, 64, PATIENCE_NS);
            CHECK(k > 0);
            heard += (uint64_t)k;
        }
        takt_udp_close(out);
    }
    CHECK(hears_nothing(in));
    CHECK(sent > 0 && sent < all);
    takt_udp_close(in);
}

/* Nor does it lose a packet for what is no packet. */
static void udp_receive_goes_on_after_answers_and_signals(void)
{
    struct takt_udp *in = listen_at("127.0.0.1");
    struct takt_address to = local_of(in);
    struct takt_udp *out = send_to(&to, 1);
    mood = takt_random_seed(9);
    for (uint32_t i = 0; i < 2000; i++) {
        struct takt_udp_packet p;
        CHECK(send_one(out, &i, sizeof i, 0));
        is_moody = true;
        int n = takt_udp_receive(in, &p, 1, PATIENCE_NS);
        is_moody = false;
        CHECK_INT(n, 1);
        CHECK(!memcmp(p.data, &i, sizeof i));
    }
    CHECK(stats_of(in).refused > 0 && stats_of(in).unreachable > 0);
    broken = EBADF;
    struct takt_udp_packet p;
    CHECK_INT(takt_udp_receive(in, &p, 1, 0), TAKT_ERR_IO);
    broken = ECONNREFUSED; /* for ever */
    CHECK_INT(takt_udp_receive(in, &p, 1, 0), 0);
    broken = 0;
    takt_udp_close(in);
    takt_udp_close(out);
}

/* ---- Settings -------------------------------------------------------------------------------- */

static void udp_marks_packets_as_asked(void)
{
    struct takt_udp *u = listen_at("127.0.0.1");
    CHECK_INT(read_option(u, IPPROTO_IP, IP_TOS), 46 << 2);
    CHECK_INT(read_option(u, IPPROTO_IP, IP_MULTICAST_TTL), 1);
    CHECK_INT(read_option(u, IPPROTO_IP, IP_MULTICAST_LOOP), 1);
    CHECK_INT(read_option(u, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DO);
    CHECK_INT(read_option(u, SOL_SOCKET, SO_REUSEADDR), 0);
    takt_udp_close(u);
    u = open_udp(&(struct takt_udp_cfg){.local = any_port("127.0.0.1"),
                                        .dscp = TAKT_UDP_DSCP_OFF,
                                        .hops = 7,
                                        .is_unheard_here = true});
    CHECK_INT(read_option(u, IPPROTO_IP, IP_TOS), 0);
    CHECK_INT(read_option(u, IPPROTO_IP, IP_TTL), 7);
    CHECK_INT(read_option(u, IPPROTO_IP, IP_MULTICAST_TTL), 7);
    CHECK_INT(read_option(u, IPPROTO_IP, IP_MULTICAST_LOOP), 0);
    takt_udp_close(u);
}

/* A socket of both families is set for both. */
static void udp_marks_packets_of_both_families(void)
{
    NEED_IPV6();
    struct takt_udp *u = open_udp(&(struct takt_udp_cfg){
        .local = any_port(":1"), .dscp = 34, .hops = 9, .is_unheard_here = true});
    CHECK_INT(read_option(u, IPPROTO_IPV6, IPV6_V6ONLY), 0);
    CHECK_INT(read_option(u, IPPROTO_IPV6, IPV6_TCLASS), 34 << 2);
    CHECK_INT(read_option(u, IPPROTO_IP, IP_TOS), 34 << 2);
    CHECK_INT(read_option(u, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 9);
    CHECK_INT(read_option(u, IPPROTO_IPV6, IPV6_MULTICAST_HOPS), 9);
    CHECK_INT(read_option(u, IPPROTO_IP, IP_TTL), 9);
    CHECK_INT(read_option(u, IPPROTO_IPV6, IPV6_MULTICAST_LOOP), 0);
    CHECK_INT(read_option(u, IPPROTO_IPV6, IPV6_MTU_DISCOVER), IPV6_PMTUDISC_DO);
    CHECK_INT(read_option(u, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DO);
    takt_udp_close(u);
    u = listen_at("[::1]");
    CHECK_INT(read_option(u, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    CHECK_INT(read_option(u, IPPROTO_IPV6, IPV6_TCLASS), 46 << 2);
    takt_udp_close(u);
}

static void udp_open_refuses_what_cannot_be(void)
{
    struct takt_udp *taken = listen_at("127.0.0.1");
    struct takt_address four = any_port("127.0.0.1"), port5 = at("127.0.0.1:5"),
                        six = at("[::1]:5"), any = at(":5"), group = at("239.1.2.3:5"), none = {0};
    struct takt_address other = at("[ff05::1]:5"), far = at("192.0.2.1:50005");
    const struct {
        struct takt_udp_cfg cfg;
        int err;
        const char *says;
    } wrong[] = {
        {{.packets_max = 1025}, TAKT_ERR_ARG, "packets_max of 1025; give 1 to 1024"},
        {{.bytes_max = 65536}, TAKT_ERR_ARG, "bytes_max"},
        {{.hops = 256}, TAKT_ERR_ARG, "hops"},
        {{.dscp = 64}, TAKT_ERR_ARG, "dscp"},
        {{.dscp = -2}, TAKT_ERR_ARG, "dscp"},
        {{.receive_bytes = UINT32_MAX}, TAKT_ERR_ARG, "receive_bytes"},
        {{.send_bytes = UINT32_MAX}, TAKT_ERR_ARG, "send_bytes"},
        {{.to = &port5, .to_count = UINT32_MAX}, TAKT_ERR_ARG, "to_count"},
        {{.to_max = UINT32_MAX}, TAKT_ERR_ARG, "to_max"},
        {{.to = &none, .to_count = 1}, TAKT_ERR_ARG, "none is nowhere to send to"},
        {{.to = &any, .to_count = 1}, TAKT_ERR_ARG, "[::]:5 is nowhere to send to"},
        {{.is_connected = true}, TAKT_ERR_ARG, "connected"},
        {{.to = &group, .to_count = 1, .is_connected = true}, TAKT_ERR_ARG, "connected"},
        {{.local = four, .source = far}, TAKT_ERR_ARG, "a source is for listening to a group"},
        {{.local = other, .source = far}, TAKT_ERR_ARG, "same family"},
        {{.local = four, .to = &six, .to_count = 1}, TAKT_ERR_ARG, "other family"},
        {{.local = far}, TAKT_ERR_NOT_FOUND, "192.0.2.1:50005 is no address of this machine"},
        {{.local = local_of(taken)}, TAKT_ERR_IO, "is taken; give another port"},
    };
    int fds = open_fds();
    long held = fault_held();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct takt_udp *u = taken;
        struct takt_error e = {.text = ""};
        int err = takt_udp_open(&wrong[i].cfg, &u, &e);
        if (err != wrong[i].err || !strstr(e.text, wrong[i].says))
            printf("# %zu: %d: %s\n", i, err, e.text);
        CHECK_INT(err, wrong[i].err);
        CHECK(!u && strstr(e.text, wrong[i].says));
        CHECK(takt_udp_open(&wrong[i].cfg, &u, NULL) == err && !u);
    }
    CHECK_INT(open_fds(), fds);
    CHECK_INT(fault_held(), held);
    takt_udp_close(taken);
    takt_udp_close(NULL);
}

/* Each request for memory or a descriptor fails once: nothing is kept, and the error says so. */
static void udp_open_gives_all_back_when_a_request_fails(void)
{
    struct takt_address to = at("127.0.0.1:5");
    struct takt_udp_cfg cfg = {.local = any_port("127.0.0.1"), .to = &to, .to_count = 1};
    int fds = open_fds(), n = 1;
    long held = fault_held();
    for (bool is_over = false; !is_over; n++) {
        struct takt_udp *u;
        struct takt_error e;
        fault_at(n);
        int err = takt_udp_open(&cfg, &u, &e);
        is_over = !fault_happened();
        fault_at(0);
        CHECK(is_over ? err == 0 && u : (err == TAKT_ERR_NOMEM || err == TAKT_ERR_SYSTEM) && !u);
        takt_udp_close(u);
        CHECK_INT(fault_held(), held);
        CHECK_INT(open_fds(), fds);
    }
    CHECK_INT(n, 11); /* seven blocks, two descriptors, and once without a fault */
}

static void udp_takes_no_memory_once_open(void)
{
    struct takt_udp *in = listen_at("127.0.0.1");
    struct takt_address to = local_of(in);
    struct takt_udp *out = send_to(&to, 1);
    fault_at(1);
    for (int i = 0; i < 100; i++) {
        CHECK(send_one(out, "x", 1, 0) && hears(in, "x", 1));
        CHECK_INT(takt_udp_set_to(out, 0, &to), 0);
        struct takt_udp_packet p;
        takt_udp_wake(in);
        CHECK_INT(takt_udp_receive(in, &p, 1, -1), 0);
        CHECK(!fault_happened());
    }
    fault_at(0);
    takt_udp_close(in);
    takt_udp_close(out);
}

/* ---- Groups ---------------------------------------------------------------------------------- */

/* Whether groups work on lo at all, without a line of what is tested. */
static bool has_groups_on_lo(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(47110)};
    struct ip_mreqn lo = {.imr_ifindex = (int)if_nametoindex("lo")};
    struct timeval patience = {.tv_sec = 1};
    char data;
    to.sin_addr.s_addr = lo.imr_multiaddr.s_addr = htonl(0xef4d0102);
    int in = __real_socket(AF_INET, SOCK_DGRAM, 0), out = __real_socket(AF_INET, SOCK_DGRAM, 0);
    bool has = bind(in, (struct sockaddr *)&to, sizeof to) == 0;
    setsockopt(in, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    has = has && setsockopt(in, IPPROTO_IP, IP_ADD_MEMBERSHIP, &lo, sizeof lo) == 0;
    has = has && setsockopt(out, IPPROTO_IP, IP_MULTICAST_IF, &lo, sizeof lo) == 0;
    has = has && sendto(out, "x", 1, 0, (struct sockaddr *)&to, sizeof to) == 1;
    has = has && recv(in, &data, 1, 0) == 1;
    __real_close(in);
    __real_close(out);
    return has;
}

/* Whether a group brings what is sent to it. */
static bool has_group(const char *group)
{
    struct takt_udp *in, *out;
    struct takt_address a = at(group);
    struct takt_udp_cfg hear = {.local = a}, say = {.to = &a, .to_count = 1};
    if (takt_udp_open(&hear, &in, NULL) < 0)
        return false;
    bool has =
        takt_udp_open(&say, &out, NULL) == 0 && send_one(out, "x", 1, 0) && hears(in, "x", 1);
    takt_udp_close(in);
    takt_udp_close(out);
    return has;
}

/* All who joined hear it, and those alone. */
static void check_group(const char *group, const char *other_group)
{
    struct takt_address a = at(group), b = at(other_group), to[] = {a, b};
    struct takt_udp *one = open_udp(&(struct takt_udp_cfg){.local = a});
    struct takt_udp *two = open_udp(&(struct takt_udp_cfg){.local = a});
    struct takt_udp *other = open_udp(&(struct takt_udp_cfg){.local = b});
    struct takt_udp *out = send_to(to, 2);
    CHECK(one && two && other && out);
    CHECK(send_one(out, "a", 1, 0) && hears(one, "a", 1) && hears(two, "a", 1));
    CHECK(hears_nothing(other));
    CHECK(send_one(out, "b", 1, 1) && hears(other, "b", 1) && hears_nothing(one));
    takt_udp_close(one);
    takt_udp_close(two);
    takt_udp_close(other);
    takt_udp_close(out);
}

static void udp_group_is_heard_by_all_who_joined(void)
{
    if (!has_groups_on_lo())
        SKIP("no multicast on lo");
    check_group("239.77.1.2:47111%lo", "239.77.1.3:47111%lo");
}

static void check_ipv6_groups(void)
{
    bool is_there = false;
    if (add_pair())
        for (int i = 0; i < 100 && !is_there; i++, takt_sleep_ms(10))
            is_there = has_group("[ff02::7711%veth0]:47112"); /* the link comes up on its own */
    if (!is_there)
        SKIP("no interface to be had");
    check_group("[ff02::7711%veth0]:47113", "[ff02::7712%veth0]:47113");
    check_group("[ff05::7711%veth0]:47114", "[ff05::7712%veth0]:47114");
}

static void udp_group_is_heard_by_all_who_joined_over_ipv6(void)
{
    NEED_IPV6();
    if (!in_own_network(check_ipv6_groups))
        SKIP("no network of its own to be had");
}

/* Of a group with a source only that one is heard. */
static void udp_group_with_a_source_hears_it_alone(void)
{
    if (!has_groups_on_lo())
        SKIP("no multicast on lo");
    struct takt_address group = at("232.77.1.2:47115%lo");
    struct takt_udp *in =
        open_udp(&(struct takt_udp_cfg){.local = group, .source = at("127.0.0.2")});
    struct takt_udp_cfg cfg = {.to = &group, .to_count = 1};
    cfg.local = any_port("127.0.0.2");
    struct takt_udp *meant = open_udp(&cfg);
    cfg.local = any_port("127.0.0.3");
    struct takt_udp *other = open_udp(&cfg);
    CHECK(in && meant && other);
    CHECK(send_one(other, "no", 2, 0) && send_one(meant, "yes", 3, 0));
    CHECK(hears(in, "yes", 3));
    takt_udp_close(in);
    takt_udp_close(meant);
    takt_udp_close(other);
}

static int fds_before;

static void udp_leaves_no_descriptor_open(void)
{
    CHECK_INT(open_fds(), fds_before);
    CHECK_INT(fault_held(), 0);
}

int main(void)
{
    fds_before = open_fds();
    RUN(udp_brings_batches_of_any_number_over_ipv4);
    RUN(udp_brings_batches_of_any_number_over_ipv6);
    RUN(udp_sends_one_batch_to_many);
    RUN(udp_set_to_aims_at_a_sender);
    RUN(udp_without_ipv6_listens_to_ipv4);
    RUN(udp_cuts_what_is_too_long_and_says_so);
    RUN(udp_stamps_packets_when_they_arrive);
    RUN(udp_stamps_packets_when_they_arrive_over_ipv6);
    RUN(udp_stamps_outlive_a_step_of_the_wall_clock);
    RUN(udp_receive_ends_when_its_time_is_over);
    RUN(udp_wake_ends_the_next_wait_once);
    RUN(udp_wake_ends_a_wait_in_another_thread);
    RUN(udp_fd_is_readable_when_there_are_packets);
    RUN(udp_counts_what_the_kernel_drops);
    RUN(udp_counts_refusals_and_goes_on);
    RUN(udp_counts_refusals_and_goes_on_over_ipv6);
    RUN(udp_connected_hears_nobody_else);
    RUN(udp_tells_what_is_too_large_and_sends_the_rest);
    RUN_UNLESS_THREAD_SANITIZED(udp_never_fragments); /* it has threads, which cannot unshare */
    RUN(udp_send_accounts_for_every_datagram);
    RUN(udp_receive_goes_on_after_answers_and_signals);
    RUN(udp_marks_packets_as_asked);
    RUN(udp_marks_packets_of_both_families);
    RUN(udp_open_refuses_what_cannot_be);
    RUN(udp_open_gives_all_back_when_a_request_fails);
    RUN(udp_takes_no_memory_once_open);
    RUN(udp_group_is_heard_by_all_who_joined);
    RUN_UNLESS_THREAD_SANITIZED(udp_group_is_heard_by_all_who_joined_over_ipv6);
    RUN(udp_group_with_a_source_hears_it_alone);
    RUN(udp_leaves_no_descriptor_open);
    return tap_done();
}
