#include "device/file_loss.h"

#include "device/file_place.h"

#include <stdio.h>
#include <string.h>

int takt_file_loss_init(struct takt_file_loss *l, struct takt_error *e)
{
    return takt_snapshot_create(&(struct takt_snapshot_cfg){.bytes = sizeof l->kept}, &l->shown, e);
}

void takt_file_loss_fini(struct takt_file_loss *l)
{
    takt_snapshot_destroy(l->shown);
    l->shown = NULL;
}

void takt_file_loss_reset(struct takt_file_loss *l)
{
    memset(&l->kept, 0, sizeof l->kept);
    takt_snapshot_write(l->shown, &l->kept);
}

void takt_file_loss_note(struct takt_file_loss *l, uint64_t position, uint64_t frames)
{
    struct takt_file_loss_kept *k = &l->kept;
    struct takt_gap *last = &k->last[(k->gaps - 1) % TAKT_GAPS_KEPT];
    k->frames += frames;
    if (k->gaps && last->position + last->frames == position)
        last->frames += frames;
    else
        k->last[k->gaps++ % TAKT_GAPS_KEPT] = (struct takt_gap){position, frames};
    takt_snapshot_write(l->shown, k);
}

void takt_file_loss_read(const struct takt_file_loss *l, struct takt_recording *out)
{
    struct takt_file_loss_kept k;
    if (!takt_snapshot_read(l->shown, &k))
        return;
    uint64_t kept = k.gaps < TAKT_GAPS_KEPT ? k.gaps : TAKT_GAPS_KEPT;
    out->lost_frames = k.frames;
    out->gap_count = k.gaps;
    for (uint64_t i = 0; i < kept; i++)
        out->gaps[i] = k.last[(k.gaps - kept + i) % TAKT_GAPS_KEPT];
}

/* Rounded down, so that the gap is never before the time that is told. */
static void put_time(char *to, size_t size, uint64_t frames, uint32_t rate_hz)
{
    unsigned long long ms = frames / rate_hz * 1000 + frames % rate_hz * 1000 / rate_hz;
    if (ms >= 3600000)
        snprintf(to, size, "%llu:%02llu:%02llu.%03llu", ms / 3600000, ms / 60000 % 60,
                 ms / 1000 % 60, ms % 1000);
    else
        snprintf(to, size, "%llu:%02llu.%03llu", ms / 60000, ms / 1000 % 60, ms % 1000);
}

void takt_file_loss_text(char *to, size_t size, const char *path, uint32_t rate_hz,
                         struct takt_gap gap, uint64_t gaps)
{
    char time[64], in_gaps[40] = "";
    put_time(time, sizeof time, gap.position, rate_hz);
    if (gaps > 1)
        snprintf(in_gaps, sizeof in_gaps, " in %llu gaps", (unsigned long long)gaps);
    snprintf(to, size, "%s: recording lost %llu frame%s%s from %s on: the disk did not keep up",
             takt_file_tail(path), (unsigned long long)gap.frames, gap.frames == 1 ? "" : "s",
             in_gaps, time);
}
