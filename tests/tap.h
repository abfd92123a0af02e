/*
 * tests/tap.h - the smallest test harness that Meson reads (TAP).
 *
 *     static void ring_write_when_full_drops_and_counts(void)
 *     {
 *         CHECK(takt_ring_write(r, x, 9) == 8);
 *     }
 *     int main(void)
 *     {
 *         RUN(ring_write_when_full_drops_and_counts);
 *         return tap_done();
 *     }
 *
 * A test fails at its first CHECK that does not hold, and says where and with what values.
 */
#ifndef TAKT_TESTS_TAP_H
#define TAKT_TESTS_TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_run, tap_failed;
static const char *tap_skipped;
static bool tap_broken;

static inline void tap_fail(const char *file, int line, const char *what)
{
    printf("# %s:%d: %s\n", file, line, what);
    tap_broken = true;
}

/* Ends the test when x is false. Use only directly in a test function returning void. */
#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            tap_fail(__FILE__, __LINE__, #x);                                                      \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* The same, printing the two integers compared. */
#define CHECK_INT(a, b)                                                                            \
    do {                                                                                           \
        long long a_ = (long long)(a), b_ = (long long)(b);                                        \
        if (a_ != b_) {                                                                            \
            printf("# %lld is not %lld\n", a_, b_);                                                \
            tap_fail(__FILE__, __LINE__, #a " == " #b);                                            \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* |a - b| <= eps, printing both. NaN never passes. */
#define CHECK_NEAR(a, b, eps)                                                                      \
    do {                                                                                           \
        double a_ = (double)(a), b_ = (double)(b), d_ = a_ > b_ ? a_ - b_ : b_ - a_;               \
        if (!(d_ <= (double)(eps))) {                                                              \
            printf("# %.9g is not within %.3g of %.9g\n", a_, (double)(eps), b_);                  \
            tap_fail(__FILE__, __LINE__, #a " near " #b);                                          \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* Leaves the test as skipped: only where a part that the test needs is not installed. */
#define SKIP(why)                                                                                  \
    do {                                                                                           \
        tap_skipped = (why);                                                                       \
        return;                                                                                    \
    } while (0)

#define RUN(test) tap_one(#test, test)

/* Whether this is built with a sanitizer that has threads, memory and system calls of its own. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* How many rounds of n a search makes. What one thread does alone is twenty times slower under
 * ThreadSanitizer, which has nothing to find in it. */
#if defined __SANITIZE_THREAD__
#define THREAD_SANITIZED 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZED 1
#endif
#endif
#ifndef THREAD_SANITIZED
#define THREAD_SANITIZED 0
#endif
#define ROUNDS(n) (THREAD_SANITIZED ? (n) / 10 + 1 : (n))

/* For what needs a process of one thread: ThreadSanitizer has one of its own. */
#define RUN_UNLESS_THREAD_SANITIZED(test) THREAD_SANITIZED ? (void)(test) : tap_one(#test, test)

/* For what a sanitizer spoils: counts of page faults and system calls, much work of one thread. */
#define RUN_UNLESS_SANITIZED(test) SANITIZED ? (void)(test) : tap_one(#test, test)

static inline void tap_one(const char *name, void (*test)(void))
{
    tap_broken = false;
    tap_skipped = NULL;
    test();
    tap_run++;
    tap_failed += tap_broken;
    printf("%sok %d - %s%s%s\n", tap_broken ? "not " : "", tap_run, name,
           tap_skipped ? " # SKIP " : "", tap_skipped ? tap_skipped : "");
    fflush(stdout);
}

static inline int tap_done(void)
{
    printf("1..%d\n", tap_run);
    return tap_failed ? 1 : 0;
}

#endif
