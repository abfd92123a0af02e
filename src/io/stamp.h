/*
 * io/stamp.h - when a packet arrived, on CLOCK_MONOTONIC, from the kernel's stamp, which is on
 * CLOCK_REALTIME.
 *
 *     takt_stamp_measure(&c, mono_before_ns, real_ns, mono_after_ns); // with each batch
 *     arrival_ns = takt_stamp_convert(&c, stamp_ns, mono_after_ns);   // each packet of it
 *     takt_stamp_drained(&c);                                         // the socket is empty
 *
 * The kernel steers both clocks alike, so their difference stays the same to the nanosecond until
 * somebody sets the wall clock. Each measurement brackets it between two readings; what all of them
 * since the last such step leave possible is a few tens of ns wide.
 *
 * Packets that wait in the socket while the wall clock is set have stamps from before. Until the
 * socket was empty once, the old difference is tried as well, and a packet gets the one that makes
 * it younger without putting it into the future. That is wrong only for a packet that has waited
 * longer than the clock was set by, and then by as much as the clock was set by.
 *
 * Pure. Thread: one at a time. RT: yes (wait-free), O(1), all calls.
 */
#ifndef TAKT_IO_STAMP_H
#define TAKT_IO_STAMP_H

#include <stdbool.h>
#include <stdint.h>

/* Set all to zero to begin with. */
struct takt_stamp_clock {
    bool is_set;
    int64_t low_ns, high_ns; /* realtime - monotonic lies between these */
    bool has_before;
    int64_t before_ns; /* what the difference was before the last step */
    uint64_t steps;    /* how often the wall clock was set by more than 10 us */
};

/* CLOCK_REALTIME, read between two readings of CLOCK_MONOTONIC. */
void takt_stamp_measure(struct takt_stamp_clock *c, int64_t before_ns, int64_t real_ns,
                        int64_t after_ns);

/* When that was; never later than now_ns, on CLOCK_MONOTONIC. Needs a measurement. */
int64_t takt_stamp_convert(const struct takt_stamp_clock *c, int64_t real_ns, int64_t now_ns);

/* No packet that arrived before the last measurement is still to be converted. */
void takt_stamp_drained(struct takt_stamp_clock *c);

#endif
