#include "fault.h"
#include "takt/snapshot.h"
#include "tap.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

static struct takt_snapshot *open_snapshot(size_t bytes)
{
    struct takt_snapshot *s;
    return takt_snapshot_create(&(struct takt_snapshot_cfg){bytes}, &s, NULL) == 0 ? s : NULL;
}

/* Any size, any alignment of the caller's memory, and not a byte beyond it. */
static void snapshot_read_gives_what_was_written_last(void)
{
    unsigned char from[80], to[80];
    for (size_t bytes = 1; bytes <= 64; bytes++)
        for (size_t shift = 0; shift < 8; shift++) {
            struct takt_snapshot *s = open_snapshot(bytes);
            CHECK(s);
            for (unsigned round = 0; round < 3; round++) {
                CHECK_INT(takt_snapshot_version(s), round);
                for (size_t i = 0; i < sizeof from; i++)
                    from[i] = (unsigned char)(i * 7 + round + 1);
                takt_snapshot_write(s, from + shift);
                memset(to, 0xee, sizeof to);
                CHECK(takt_snapshot_read(s, to + shift));
                CHECK(!memcmp(to + shift, from + shift, bytes));
                CHECK_INT(to[shift + bytes], 0xee);
                CHECK(shift == 0 || to[shift - 1] == 0xee);
            }
            takt_snapshot_destroy(s);
        }
}

static void snapshot_never_written_reads_zeros(void)
{
    struct takt_snapshot *s = open_snapshot(13);
    unsigned char to[13], zeros[13] = {0};
    memset(to, 0xee, sizeof to);
    CHECK(s && takt_snapshot_read(s, to));
    CHECK(!memcmp(to, zeros, sizeof to));
    CHECK_INT(takt_snapshot_version(s), 0);
    takt_snapshot_destroy(s);
}

/* The second half of what is written lies in a page that cannot be read at first, so the writer is
 * stopped halfway, in the handler, for as long as we like. */
static struct takt_snapshot *stopped;
static unsigned char *second_page;
static volatile sig_atomic_t gave_up, version_then;

static void while_stopped(int sig)
{
    static unsigned char to[4096];
    gave_up = !takt_snapshot_read(stopped, to);
    version_then = (sig_atomic_t)takt_snapshot_version(stopped);
    if (mprotect(second_page, 4096, PROT_READ | PROT_WRITE) < 0)
        _exit(1);
}

static void snapshot_read_of_a_stopped_writer_gives_up(void)
{
    static unsigned char to[4096];
    unsigned char *page =
        mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    memset(page, 5, 8192);
    second_page = page + 4096;
    stopped = open_snapshot(4096);
    CHECK(stopped);
    CHECK(mprotect(second_page, 4096, PROT_NONE) == 0);
    struct sigaction act = {.sa_handler = while_stopped}, old;
    sigaction(SIGSEGV, &act, &old);
    takt_snapshot_write(stopped, page + 2048);
    sigaction(SIGSEGV, &old, NULL);
    CHECK_INT(gave_up, 1);
    CHECK_INT(version_then, 0);
    CHECK(takt_snapshot_read(stopped, to));
    CHECK(!memcmp(to, page + 2048, 4096));
    takt_snapshot_destroy(stopped);
    munmap(page, 8192);
}

static void snapshot_create_refuses_what_cannot_be_and_survives_no_memory(void)
{
    static const size_t bad[] = {0, ((size_t)1 << 30) + 1, SIZE_MAX};
    struct takt_snapshot *s;
    struct takt_error e = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        s = (struct takt_snapshot *)1;
        CHECK_INT(takt_snapshot_create(&(struct takt_snapshot_cfg){bad[i]}, &s, &e), TAKT_ERR_ARG);
        CHECK(!s && e.text[0]);
    }
    long before = fault_held();
    s = (struct takt_snapshot *)1;
    fault_at(1);
    CHECK_INT(takt_snapshot_create(&(struct takt_snapshot_cfg){8}, &s, &e), TAKT_ERR_NOMEM);
    fault_at(0);
    CHECK(!s && e.code == TAKT_ERR_NOMEM);
    s = open_snapshot(8);
    takt_snapshot_destroy(s);
    takt_snapshot_destroy(NULL);
    CHECK_INT(fault_held(), before);
}

int main(void)
{
    RUN(snapshot_read_gives_what_was_written_last);
    RUN(snapshot_never_written_reads_zeros);
    RUN(snapshot_read_of_a_stopped_writer_gives_up);
    RUN(snapshot_create_refuses_what_cannot_be_and_survives_no_memory);
    return tap_done();
}
