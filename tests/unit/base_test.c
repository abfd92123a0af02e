#include "base/fail.h"
#include "base/random.h"
#include "tap.h"

#include <errno.h>

static void fail_keeps_code_errno_and_text(void)
{
    struct takt_error e;
    CHECK_INT(takt_fail(&e, TAKT_ERR_IO, ENOSPC, "%s: cannot write", "x.wav"), TAKT_ERR_IO);
    CHECK_INT(e.code, TAKT_ERR_IO);
    CHECK_INT(e.os_errno, ENOSPC);
    CHECK(!strcmp(e.text, "x.wav: cannot write: No space left on device"));
}

static void fail_cuts_what_does_not_fit(void)
{
    struct takt_error e;
    for (int n = 0; n < 600; n++) {
        char big[601];
        memset(big, 'a', (size_t)n);
        big[n] = 0;
        takt_fail(&e, TAKT_ERR_ARG, n & 1 ? EIO : 0, "%s", big);
        CHECK(memchr(e.text, 0, sizeof e.text));
    }
    CHECK_INT(takt_fail(NULL, TAKT_ERR_ARG, 0, "no place for it"), TAKT_ERR_ARG);
}

static void err_name_of_any_int_is_a_word(void)
{
    for (int c = -300; c < 300; c++)
        CHECK(takt_err_name(c)[0]);
    CHECK(!strcmp(takt_err_name(TAKT_ERR_SYSTEM), "system"));
    CHECK(!strcmp(takt_err_name(INT32_MIN), "unknown"));
}

static void random_is_the_published_sequence(void)
{
    struct takt_random r = takt_random_seed(1234567);
    CHECK(takt_random_u64(&r) == 6457827717110365317u);
    CHECK(takt_random_u64(&r) == 3203168211198807973u);
    for (int i = 0; i < 10000; i++) {
        double u = takt_random_unit(&r);
        CHECK(u >= 0 && u < 1);
        CHECK(takt_random_below(&r, 7) < 7);
    }
}

int main(void)
{
    RUN(fail_keeps_code_errno_and_text);
    RUN(fail_cuts_what_does_not_fit);
    RUN(err_name_of_any_int_is_a_word);
    RUN(random_is_the_published_sequence);
    return tap_done();
}
