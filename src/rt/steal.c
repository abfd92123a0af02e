/*
 * A reader looks for two samples from the newest backwards. The place that the next sample goes to
 * is never looked at, and when the count has changed meanwhile the answer is not taken: at twenty
 * samples a second the next block will do.
 *
 * Invariants: `lock` guards the writing side; only its holder adds to the record.
 */
#include "rt/steal.h"

#include "rt/background.h"
#include "sync/wake.h"
#include "takt/time.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const int64_t every_ns = 50 * 1000000LL;
static const int64_t ending_ns = 1000 * 1000000LL;

/* ---- The record -----------------------------------------------------------------------------
 */

void takt_steal_add(struct takt_steal *s, int64_t begun_ns, int64_t ended_ns,
                    const int64_t *stolen_ns, uint32_t cpus)
{
    uint64_t n = atomic_load_explicit(&s->count, memory_order_relaxed);
    uint32_t at = n % TAKT_STEAL_KEPT;
    atomic_store_explicit(&s->begun_ns[at], begun_ns, memory_order_relaxed);
    atomic_store_explicit(&s->ended_ns[at], ended_ns, memory_order_relaxed);
    for (uint32_t i = 0; i < cpus && i < TAKT_STEAL_CPUS; i++)
        atomic_store_explicit(&s->stolen_ns[i][at], stolen_ns[i], memory_order_relaxed);
    atomic_store_explicit(&s->cpus, cpus < TAKT_STEAL_CPUS ? cpus : TAKT_STEAL_CPUS,
                          memory_order_relaxed);
    atomic_store_explicit(&s->count, n + 1, memory_order_release);
}

static int64_t get(const _Atomic int64_t *value)
{
    return atomic_load_explicit(value, memory_order_acquire);
}

enum takt_steal_say takt_steal_between(const struct takt_steal *s, int cpu, int64_t from_ns,
                                       int64_t to_ns, int64_t *stolen_ns)
{
    uint64_t count = atomic_load_explicit(&s->count, memory_order_acquire);
    uint64_t kept = count < TAKT_STEAL_KEPT ? count : TAKT_STEAL_KEPT - 1;
    if (cpu < 0 || (uint32_t)cpu >= atomic_load_explicit(&s->cpus, memory_order_relaxed))
        return TAKT_STEAL_UNKNOWN;
    const _Atomic int64_t *stolen = s->stolen_ns[cpu];
    uint64_t n = count, oldest = count - kept;
    int64_t after = -1;
    for (; n > oldest && get(&s->begun_ns[(n - 1) % TAKT_STEAL_KEPT]) >= to_ns; n--)
        after = get(&stolen[(n - 1) % TAKT_STEAL_KEPT]);
    while (n > oldest && get(&s->ended_ns[(n - 1) % TAKT_STEAL_KEPT]) > from_ns)
        n--;
    bool has_before = n > oldest;
    int64_t before = has_before ? get(&stolen[(n - 1) % TAKT_STEAL_KEPT]) : 0;
    if (atomic_load_explicit(&s->count, memory_order_relaxed) != count)
        return TAKT_STEAL_NOT_YET;
    if (!has_before)
        return TAKT_STEAL_UNKNOWN;
    if (after < 0)
        return TAKT_STEAL_NOT_YET;
    *stolen_ns = after - before;
    return TAKT_STEAL_KNOWN;
}

/* ---- Reading it -----------------------------------------------------------------------------
 */

/* A CPU that is off has no line: its number counts, not its place. */
static bool read_line(const char *line, uint32_t *cpu, int64_t *ticks)
{
    char *at;
    if (strncmp(line, "cpu", 3) != 0 || line[3] < '0' || line[3] > '9')
        return false;
    *cpu = (uint32_t)strtoul(line + 3, &at, 10);
    for (int i = 0; i < 8; i++)
        *ticks = strtoll(at, &at, 10);
    return true;
}

uint32_t takt_steal_read(const char *text, int64_t *stolen_ns, uint32_t max)
{
    int64_t tick_ns = 1000000000 / sysconf(_SC_CLK_TCK), ticks;
    uint32_t cpu, count = 0;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!read_line(line, &cpu, &ticks) || cpu >= max)
            continue;
        for (; count <= cpu; count++)
            stolen_ns[count] = 0;
        stolen_ns[cpu] = ticks * tick_ns;
    }
    return count;
}

static ssize_t read_text(int fd, char *to, size_t size)
{
    ssize_t n = pread(fd, to, size - 1, 0);
    to[n > 0 ? n : 0] = '\0';
    return n;
}

/* ---- The process's own ----------------------------------------------------------------------
 */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static struct takt_steal own;
static struct takt_wake wake;
static int followers, fd = -1;
static bool runs;

/* With the lock held. The lines of the CPUs come first, so what does not fit is not missed. */
static void sample(void)
{
    enum { LINE = 128 };
    static char text[TAKT_STEAL_CPUS * LINE];
    static int64_t stolen[TAKT_STEAL_CPUS];
    int64_t begun_ns = takt_now_ns();
    if (read_text(fd, text, sizeof text) > 0) {
        uint32_t cpus = takt_steal_read(text, stolen, TAKT_STEAL_CPUS);
        takt_steal_add(&own, begun_ns, takt_now_ns(), stolen, cpus);
    }
}

static void *keep(void *arg)
{
    pthread_mutex_lock(&lock);
    while (followers) {
        sample();
        pthread_mutex_unlock(&lock);
        takt_wake_wait(&wake, takt_now_ns() + every_ns);
        pthread_mutex_lock(&lock);
    }
    close(fd);
    fd = -1;
    runs = false;
    pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&lock);
    return arg;
}

/* Is there a hypervisor, or was anything ever taken? */
static bool can_steal(void)
{
    char text[8192];
    int64_t stolen[64];
    int info = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
    bool is_guest =
        info >= 0 && read_text(info, text, sizeof text) > 0 && strstr(text, " hypervisor") != NULL;
    if (info >= 0)
        close(info);
    if (is_guest || read_text(fd, text, sizeof text) <= 0)
        return is_guest;
    uint32_t cpus = takt_steal_read(text, stolen, 64);
    for (uint32_t i = 0; i < cpus; i++)
        is_guest |= stolen[i] > 0;
    return is_guest;
}

static bool begin(void)
{
    if (runs)
        return true;
    fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
    runs = fd >= 0 && can_steal();
    if (runs)
        sample(); /* so that there is one before the first block */
    if (runs && takt_background(keep, NULL) != 0)
        runs = false;
    if (!runs && fd >= 0) {
        close(fd);
        fd = -1;
    }
    return runs;
}

const struct takt_steal *takt_steal_follow(void)
{
    pthread_mutex_lock(&lock);
    followers++;
    bool has_record = begin();
    if (!has_record)
        followers--;
    pthread_mutex_unlock(&lock);
    return has_record ? &own : NULL;
}

void takt_steal_leave(void)
{
    pthread_mutex_lock(&lock);
    if (--followers == 0)
        takt_wake_signal(&wake);
    int64_t until_ns = takt_now_ns() + ending_ns; /* a forked child has no such thread */
    struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};
    while (runs && !followers)
        if (pthread_cond_clockwait(&ended, &lock, CLOCK_MONOTONIC, &until) == ETIMEDOUT)
            break;
    pthread_mutex_unlock(&lock);
}

void takt_steal_sample(void)
{
    pthread_mutex_lock(&lock);
    if (runs)
        sample();
    pthread_mutex_unlock(&lock);
}
