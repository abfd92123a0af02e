/* base/assert.h - asserts for takt's own mistakes. They stay on in every build, cost a compare,
 * and stop the program at the line that broke, since sound built on a broken invariant is worse
 * than none. What comes from outside is checked and refused, never asserted. */
#ifndef TAKT_BASE_ASSERT_H
#define TAKT_BASE_ASSERT_H

/* Writes one line to stderr without allocating, then aborts. */
_Noreturn void takt_assert_failed(const char *what, const char *file, int line);

#define TAKT_ASSERT(x)                                                                             \
    do {                                                                                           \
        if (__builtin_expect(!(x), 0))                                                             \
            takt_assert_failed(#x, __FILE__, __LINE__);                                            \
    } while (0)

#endif
