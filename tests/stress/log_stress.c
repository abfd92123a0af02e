/* Threads that log against one worker, and against a ring that is too small for them. */
#include "stress.h"
#include "takt/log.h"
#include "takt/time.h"
#include "tap.h"

enum { THREADS = 4, PARTS = 3 };

struct shared {
    struct takt_log *log;
    int64_t deadline_ns;
    bool rests;
    /* The worker's: what came out. */
    uint64_t next[THREADS], lines, told;
    bool wrong, slow;
};

struct producer {
    struct shared *s;
    int number;
    uint64_t offered;
};

/* Lines come whole, and those of a thread in its order. */
static void take(const char *line, size_t bytes, void *arg)
{
    struct shared *s = arg;
    unsigned long long n, again, told;
    unsigned thread;
    char word[32];
    if (sscanf(line, "%*f warning: ... %llu message", &told) == 1) {
        s->told += told;
        return;
    }
    s->lines++;
    if (sscanf(line, "%*f info: %u %llu %31s %llu.\n", &thread, &n, word, &again) != 4 ||
        thread >= THREADS || n < s->next[thread] || n != again || line[bytes - 1] != '\n')
        s->wrong = true;
    else
        s->next[thread] = n + 1;
    if (s->slow && s->lines % 64 == 0)
        takt_sleep_until_ns(takt_now_ns() + 100000);
}

static void *produce(void *arg)
{
    struct producer *p = arg;
    static const char *const words[] = {"a", "word", "of-changing-length",
                                        "that-is-longer-than-others"};
    for (; !stress_over(p->s->deadline_ns); p->offered++) {
        unsigned long long n = p->offered;
        takt_log(p->s->log, TAKT_LOG_INFO, "%d %llu %s %llu.", p->number, n, words[n % 4], n);
        if (p->s->rests && n % 32 == 0)
            takt_sleep_until_ns(takt_now_ns() + 200000);
    }
    return NULL;
}

static bool run(struct takt_log_cfg cfg, bool rests, bool slow)
{
    struct shared s = {.deadline_ns = stress_deadline_ns(PARTS), .rests = rests, .slow = slow};
    struct producer p[THREADS];
    pthread_t t[THREADS];
    struct takt_log_counts c;
    uint64_t offered = 0;
    cfg.write = take;
    cfg.arg = &s;
    if (takt_log_create(&cfg, &s.log, NULL) < 0)
        return false;
    for (int i = 0; i < THREADS; i++) {
        p[i] = (struct producer){&s, i, 0};
        if (pthread_create(&t[i], NULL, produce, &p[i]))
            return false;
    }
    while (cfg.pumped && !stress_over(s.deadline_ns))
        takt_log_pump(s.log);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], NULL);
        offered += p[i].offered;
    }
    bool flushed = takt_log_flush(s.log, 30000) == 0;
    takt_log_counts(s.log, &c);
    takt_log_destroy(s.log);
    printf("# %llu messages: %llu lines, %llu told of as dropped\n", (unsigned long long)offered,
           (unsigned long long)s.lines, (unsigned long long)s.told);
    return flushed && !s.wrong && s.lines > 100 && s.lines == c.written && s.told == c.dropped &&
           s.lines + s.told == offered;
}

static void every_message_of_every_thread_is_a_whole_line_or_told_of_as_dropped(void)
{
    CHECK(run((struct takt_log_cfg){.ring_bytes = 1024}, false, true));
    CHECK(run((struct takt_log_cfg){.ring_bytes = 1024, .pumped = true}, false, false));
    CHECK(run((struct takt_log_cfg){.ring_bytes = 1 << 20}, true, false));
}

int main(void)
{
    RUN(every_message_of_every_thread_is_a_whole_line_or_told_of_as_dropped);
    return tap_done();
}
