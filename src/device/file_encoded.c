/*
 * FLAC and Ogg Opus, encoded by libsndfile onto our own descriptor, so that we see each piece as
 * it goes to disk.
 *
 * A FLAC file that was never closed has no length in its STREAMINFO, and players then refuse it or
 * show none. Each of libFLAC's frames reaches us in one piece; we count them, and write the count,
 * which is five bytes long, into STREAMINFO behind each. An Ogg file's length is on its last page;
 * pages are made to be flushed every quarter of a second, and reach the disk whole.
 *
 * Headers alone are no recording to most players. So the file's beginning is held in memory, and
 * the file is made, or emptied, only when it can begin with its first sound.
 *
 * Invariants: good_bytes is where the last whole piece ends (a FLAC frame, an Ogg page), in the
 * file or, while there is a head, in that.
 */
#include "base/fail.h"
#include "base/random.h"
#include "device/file_ogg.h"
#include "device/file_place.h"
#include "device/file_writer.h"

#include <errno.h>
#include <sndfile.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STREAMINFO_AT = 8,     /* behind "fLaC" and the block's header */
    BLOCK_SIZE_AT = 2,     /* in STREAMINFO: the largest block, 2 bytes, high byte first */
    TOTAL_AT = 13,         /* in STREAMINFO: 36 bits, beginning with the lower half of this byte */
    FIRST_LATENCY_MS = 20, /* Ogg: of the first page of sound … */
    PAGE_LATENCY_MS = 250, /* … and of those behind it */
    HEADER_PAGES = 2,
    HEAD_BYTES_MAX = (HEADER_PAGES + 1) * TAKT_OGG_PAGE_BYTES_MAX,
    TOTAL_END = STREAMINFO_AT + TOTAL_AT + 5
};

struct encoded {
    struct takt_file_writer base;
    char *path;
    int fd;
    bool flac, failed;
    int failure; /* errno of the write that failed */
    SNDFILE *file;
    uint32_t channels;
    uint64_t at, end_bytes; /* the encoder's place in the file, and the file's length */
    uint64_t good_bytes;
    uint64_t flac_frames; /* whole ones in the file */
    uint64_t given_frames;
    unsigned char *head;             /* what is held back; NULL once it is on disk */
    struct takt_ogg *ogg;            /* NULL in a FLAC */
    int ogg_pages;                   /* in the head */
    struct takt_encode_state *coder; /* FLAC: dither before the encoder rounds */
    enum takt_sample format;
    int32_t *piece;
};

/* ---- What libsndfile writes ------------------------------------------------------------------ */

static sf_count_t io_length(void *user)
{
    return (sf_count_t)((struct encoded *)user)->end_bytes;
}

static sf_count_t io_seek(sf_count_t offset, int whence, void *user)
{
    struct encoded *w = user;
    if (whence == SEEK_CUR)
        offset += (sf_count_t)w->at;
    else if (whence == SEEK_END)
        offset += (sf_count_t)w->end_bytes;
    w->at = offset < 0 ? 0 : (uint64_t)offset;
    return (sf_count_t)w->at;
}

static sf_count_t io_tell(void *user)
{
    return (sf_count_t)((struct encoded *)user)->at;
}

static sf_count_t io_read(void *to, sf_count_t bytes, void *user)
{
    struct encoded *w = user;
    if (w->head)
        return 0; /* an encoder does not read what it wrote */
    ssize_t n = pread(w->fd, to, (size_t)bytes, (off_t)w->at);
    w->at += n > 0 ? (uint64_t)n : 0;
    return n > 0 ? n : 0;
}

static int put(struct encoded *w, const void *from, size_t bytes, uint64_t at)
{
    if (!w->head)
        return takt_file_write_at(w->fd, from, bytes, at);
    if (at > HEAD_BYTES_MAX || bytes > HEAD_BYTES_MAX - at)
        return EFBIG;
    memcpy(w->head + at, from, bytes);
    return 0;
}

static int append(struct encoded *w, const void *from, size_t bytes)
{
    int err = put(w, from, bytes, w->good_bytes);
    if (!err)
        w->good_bytes += bytes;
    return err;
}

/* Puts how many frames are in the file so far into STREAMINFO, at the file's beginning. */
static void put_total(const struct encoded *w, unsigned char *file)
{
    unsigned char *info = file + STREAMINFO_AT, *t = info + TOTAL_AT;
    uint64_t block = (uint64_t)info[BLOCK_SIZE_AT] << 8 | info[BLOCK_SIZE_AT + 1];
    uint64_t total = w->flac_frames * block;
    total = total < w->given_frames ? total : w->given_frames;
    t[0] = (unsigned char)((t[0] & 0xf0) | (total >> 32 & 0x0f));
    for (int i = 0; i < 4; i++)
        t[1 + i] = (unsigned char)(total >> (24 - 8 * i));
}

/* Makes the file, with all of its beginning at once. */
static int begin_file(struct encoded *w)
{
    struct takt_error e = {0};
    int err = 0;
    if (w->flac && w->good_bytes >= TOTAL_END)
        put_total(w, w->head);
    if (takt_file_empty(w->path, &w->fd, &e) < 0)
        err = e.os_errno ? e.os_errno : EBUSY;
    else
        err = takt_file_write_at(w->fd, w->head, (size_t)w->good_bytes, 0);
    free(w->head);
    w->head = NULL;
    if (err)
        w->good_bytes = 0;
    return err;
}

static int take_page(void *arg, const void *page, size_t bytes)
{
    struct encoded *w = arg;
    int err = append(w, page, bytes);
    return !err && w->head && ++w->ogg_pages > HEADER_PAGES ? begin_file(w) : err;
}

/* Frames come at the end of the file, all else is a change to STREAMINFO. */
static int take_flac(struct encoded *w, const unsigned char *b, size_t bytes)
{
    if (w->at != w->good_bytes)
        return put(w, b, bytes, w->at);
    int err = append(w, b, bytes);
    if (!err)
        w->flac_frames += bytes > 2 && b[0] == 0xff && (b[1] & 0xfc) == 0xf8;
    return !err && w->head && w->flac_frames ? begin_file(w) : err;
}

/* Once a write has failed, nothing more goes to disk, but the encoder is told that all is well, so
 * that it can be closed. */
static sf_count_t io_write(const void *from, sf_count_t bytes, void *user)
{
    struct encoded *w = user;
    if (!w->failed) {
        w->failure = w->flac ? take_flac(w, from, (size_t)bytes)
                             : takt_ogg_feed(w->ogg, from, (size_t)bytes, take_page, w);
        w->failed = w->failure != 0;
    }
    w->at += (uint64_t)bytes;
    w->end_bytes = w->at > w->end_bytes ? w->at : w->end_bytes;
    return bytes;
}

static SF_VIRTUAL_IO io = {io_length, io_seek, io_read, io_write, io_tell};

/* ---- Life ------------------------------------------------------------------------------------ */

/* The same on disk. */
static int write_total(struct encoded *w)
{
    unsigned char file[TOTAL_END];
    if (w->head)
        return 0;
    if (pread(w->fd, file, sizeof file, 0) != sizeof file)
        return EIO;
    put_total(w, file);
    return takt_file_write_at(w->fd, file + TOTAL_END - 5, 5, TOTAL_END - 5);
}

/* Drops the broken end, and a file that could not even begin. */
static int give_up(struct encoded *w, struct takt_error *e)
{
    if (!w->head && w->fd >= 0 && !w->good_bytes) {
        unlink(w->path);
    } else if (!w->head && w->fd >= 0) {
        if (ftruncate(w->fd, (off_t)w->good_bytes) != 0) {
            /* A broken end is passed over by players. */
        }
        if (w->flac)
            write_total(w);
    }
    return takt_file_write_error(e, w->path, w->failure ? w->failure : EIO);
}

static void set_page_latency(struct encoded *w, double latency_ms)
{
    if (w->ogg)
        sf_command(w->file, SFC_SET_OGG_PAGE_LATENCY_MS, &latency_ms, sizeof latency_ms);
}

static int encoded_settle(struct takt_file_writer *base, struct takt_error *e)
{
    struct encoded *w = (struct encoded *)base;
    if (w->failed || !w->flac)
        return 0;
    int err = write_total(w);
    if (!err)
        return 0;
    w->failed = true;
    w->failure = err;
    return give_up(w, e);
}

/* libsndfile rounds floats in its own way, without dither; integers it takes as they are. */
static bool write_flac(struct encoded *w, const float *frames, uint32_t count)
{
    enum { PIECE_FRAMES = 1024 };
    uint32_t channels = w->channels;
    int shift = w->format == TAKT_S16 ? 16 : 8;
    for (uint32_t at = 0; at < count; at += PIECE_FRAMES) {
        uint32_t n = count - at < PIECE_FRAMES ? count - at : PIECE_FRAMES;
        for (uint32_t c = 0; c < channels; c++) {
            float plane[PIECE_FRAMES];
            unsigned char packed[PIECE_FRAMES * 3];
            for (uint32_t i = 0; i < n; i++)
                plane[i] = frames[((size_t)at + i) * channels + c];
            takt_encode(packed, w->format, 1, plane, n, &w->coder[c]);
            for (uint32_t i = 0; i < n; i++) {
                uint32_t x = 0;
                memcpy(&x, packed + i * takt_sample_bytes(w->format), takt_sample_bytes(w->format));
                w->piece[(size_t)i * channels + c] = (int32_t)(x << shift);
            }
        }
        if (sf_writef_int(w->file, w->piece, n) != n)
            return false;
    }
    return true;
}

static int encoded_write(struct takt_file_writer *base, const float *frames, uint32_t count,
                         struct takt_error *e)
{
    struct encoded *w = (struct encoded *)base;
    if (w->failed)
        return 0;
    w->given_frames += count;
    uint64_t frames_before = w->flac_frames;
    bool had_head = w->head;
    bool whole =
        w->flac ? write_flac(w, frames, count) : sf_writef_float(w->file, frames, count) == count;
    if (had_head && !w->head)
        set_page_latency(w, PAGE_LATENCY_MS);
    if (whole && !w->failed) /* the length goes along with each of FLAC's frames */
        return w->flac_frames != frames_before ? encoded_settle(base, e) : 0;
    w->failed = true;
    return give_up(w, e);
}

static void free_encoded(struct encoded *w)
{
    takt_file_let_go(w->fd);
    free(w->path);
    free(w->head);
    free(w->ogg);
    free(w->coder);
    free(w->piece);
    free(w);
}

static int encoded_close(struct takt_file_writer *base, struct takt_error *e)
{
    struct encoded *w = (struct encoded *)base;
    bool had_failed = w->failed;
    int result = 0;
    if (w->file)
        sf_close(w->file);
    if (w->file && w->head && !w->failed) {
        w->failure = begin_file(w);
        w->failed = w->failure != 0;
    }
    if (w->failed && !had_failed)
        result = give_up(w, e);
    int late = takt_file_let_go(w->fd);
    w->fd = -1;
    if (late && !w->failed)
        result = takt_file_write_error(e, w->path, late);
    free_encoded(w);
    return result;
}

static const struct takt_file_writer_ops ops = {encoded_write, encoded_settle, encoded_close};

static struct encoded *make_encoded(const struct takt_file_writer_cfg *cfg, bool flac)
{
    enum { PIECE_FRAMES = 1024 };
    struct encoded *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->base.ops = &ops;
    w->flac = flac;
    w->fd = -1;
    w->channels = cfg->channels;
    w->format = cfg->format ? cfg->format : TAKT_S24;
    w->path = strdup(cfg->path);
    w->coder = calloc(cfg->channels, sizeof *w->coder);
    w->piece = malloc((size_t)PIECE_FRAMES * cfg->channels * sizeof *w->piece);
    w->head = malloc(HEAD_BYTES_MAX);
    w->ogg = flac ? NULL : calloc(1, sizeof *w->ogg);
    if (!w->path || !w->coder || !w->piece || !w->head || !(w->ogg || flac)) {
        free_encoded(w);
        return NULL;
    }
    for (uint32_t c = 0; c < cfg->channels; c++)
        takt_encode_init(&w->coder[c], cfg->dither, cfg->clip, cfg->seed + c);
    if (w->ogg && cfg->replays) {
        struct takt_random chance = takt_random_seed(cfg->seed);
        w->ogg->renumber = true;
        w->ogg->serial = (uint32_t)takt_random_u64(&chance);
    }
    return w;
}

static int open_encoder(struct encoded *w, const struct takt_file_writer_cfg *cfg,
                        struct takt_error *e)
{
    int pcm = w->format == TAKT_S16 ? SF_FORMAT_PCM_16 : SF_FORMAT_PCM_24;
    SF_INFO info = {.samplerate = (int)cfg->rate_hz,
                    .channels = (int)cfg->channels,
                    .format = w->flac ? SF_FORMAT_FLAC | pcm : SF_FORMAT_OGG | SF_FORMAT_OPUS};
    int err = takt_file_claim(cfg->path, &w->fd, e);
    if (err < 0)
        return err;
    w->file = sf_open_virtual(&io, SFM_WRITE, &info, w);
    if (!w->file)
        return w->failure ? takt_file_write_error(e, cfg->path, w->failure)
                          : takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "%s: %s",
                                      takt_file_tail(cfg->path), sf_strerror(NULL));
    set_page_latency(w, FIRST_LATENCY_MS);
    return 0;
}

int takt_encoded_open(const struct takt_file_writer_cfg *cfg, bool flac,
                      struct takt_file_writer **out, struct takt_error *e)
{
    struct encoded *w = make_encoded(cfg, flac);
    if (!w)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    int err = open_encoder(w, cfg, e);
    if (err < 0) {
        free_encoded(w);
        return err;
    }
    *out = &w->base;
    return 0;
}
