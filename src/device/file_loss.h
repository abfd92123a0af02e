/*
 * device/file_loss.h - what a recording lost because its disk did not keep up, and where.
 *
 * The device thread counts; anyone reads. Positions are frames of the recording itself, so that a
 * gap can be found in the file.
 */
#ifndef TAKT_DEVICE_FILE_LOSS_H
#define TAKT_DEVICE_FILE_LOSS_H

#include "takt/snapshot.h"
#include "takt/stream.h"

struct takt_file_loss {
    struct takt_snapshot *shown; /* a struct kept, see below */
    struct takt_file_loss_kept {
        uint64_t frames, gaps;
        struct takt_gap last[TAKT_GAPS_KEPT]; /* gap number n is at n % TAKT_GAPS_KEPT */
    } kept;
};

/* Errors: TAKT_ERR_NOMEM. Thread: control. RT: no. */
int takt_file_loss_init(struct takt_file_loss *l, struct takt_error *e);
void takt_file_loss_fini(struct takt_file_loss *l); /* takes a zeroed one, too */

/* Nothing is lost yet. Thread: control, while the device thread is not there. RT: no. */
void takt_file_loss_reset(struct takt_file_loss *l);

/* `frames` more are missing from `position` on; directly behind the last ones, they are one gap.
 * Thread: device. RT: yes (wait-free). */
void takt_file_loss_note(struct takt_file_loss *l, uint64_t position, uint64_t frames);

/* Fills in lost_frames, gap_count and gaps. Thread: any. RT: yes (bounded). */
void takt_file_loss_read(const struct takt_file_loss *l, struct takt_recording *out);

/* "x.wav: recording lost 12000 frames from 3:12.500 on: the disk did not keep up". RT: no. */
void takt_file_loss_text(char *to, size_t size, const char *path, uint32_t rate_hz,
                         struct takt_gap gap, uint64_t gaps);

#endif
