/*
 * FLAC and Ogg Opus, encoded by libsndfile onto our own descriptor, so that we see each piece as
 * it goes to disk.
 *
 * A FLAC file that was never closed has no length in its STREAMINFO, and players then refuse it or
 * show none. Each of libFLAC's frames reaches us in one piece; we count them, and write the count,
 * which is five bytes long, into STREAMINFO behind each. An Ogg file's length is on its last page;
 * pages are made to be flushed every quarter of a second.
 *
 * Headers alone are no recording to most players. So the file's beginning is held in memory, and
 * the file is made only when it can begin with its first sound.
 *
 * Invariants: good_bytes is where the last whole piece ends (a FLAC frame, an Ogg page).
 */
#include "base/fail.h"
#include "device/file_writer.h"

#include <errno.h>
#include <fcntl.h>
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
    HEAD_BYTES_MAX = 1 << 18,
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
    unsigned char *head; /* what is held back; NULL once it is on disk */
    size_t head_bytes;
    int head_pages;
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
    ssize_t n = pread(w->fd, to, (size_t)bytes, (off_t)w->at);
    w->at += n > 0 ? (uint64_t)n : 0;
    return n > 0 ? n : 0;
}

/* Keeps the file's beginning in memory. False once it holds sound: then it is to be let go. */
static bool hold_back(struct encoded *w, const unsigned char *from, size_t bytes)
{
    bool page = !w->flac && bytes >= 4 && !memcmp(from, "OggS", 4);
    if (bytes > HEAD_BYTES_MAX - w->at)
        return false;
    memcpy(w->head + w->at, from, bytes);
    w->head_bytes = w->at + bytes > w->head_bytes ? (size_t)w->at + bytes : w->head_bytes;
    w->head_pages += page;
    /* A FLAC frame comes in one piece; a page's body follows its head. */
    return w->flac ? !w->flac_frames : page || w->head_pages <= HEADER_PAGES;
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

/* Makes the file, with all of its beginning at once. 0 or the errno. */
static int release_head(struct encoded *w)
{
    if (w->flac && w->head_bytes >= TOTAL_END)
        put_total(w, w->head);
    w->fd = open(w->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int err = w->fd < 0 ? errno : takt_file_write_at(w->fd, w->head, w->head_bytes, 0);
    free(w->head);
    w->head = NULL;
    double latency_ms = PAGE_LATENCY_MS;
    if (w->file && !w->flac)
        sf_command(w->file, SFC_SET_OGG_PAGE_LATENCY_MS, &latency_ms, sizeof latency_ms);
    return err;
}

static int write_piece(struct encoded *w, const unsigned char *from, size_t bytes)
{
    if (!w->head)
        return takt_file_write_at(w->fd, from, bytes, w->at);
    return hold_back(w, from, bytes) ? 0 : release_head(w);
}

/* Once a write has failed, nothing more goes to disk, but the encoder is told that all is well, so
 * that it can be closed. */
static sf_count_t io_write(const void *from, sf_count_t bytes, void *user)
{
    struct encoded *w = user;
    const unsigned char *b = from;
    bool appends = w->at == w->end_bytes;
    if (!w->failed) {
        if (!w->flac && bytes >= 4 && !memcmp(b, "OggS", 4))
            w->good_bytes = w->at; /* what came before is a whole page */
        bool frame = w->flac && appends && bytes > 2 && b[0] == 0xff && (b[1] & 0xfc) == 0xf8;
        w->flac_frames += frame;
        int err = write_piece(w, b, (size_t)bytes);
        if (err) {
            w->failed = true;
            w->failure = err;
            w->flac_frames -= frame;
        } else if (w->flac && appends) {
            w->good_bytes = w->at + (uint64_t)bytes;
        }
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

static int give_up(struct encoded *w, struct takt_error *e)
{
    if (w->fd >= 0 && ftruncate(w->fd, (off_t)w->good_bytes) != 0) {
        /* A broken end is passed over by players. */
    }
    if (w->fd >= 0 && w->flac)
        write_total(w);
    return takt_file_write_error(e, w->path, w->failure ? w->failure : EIO);
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
    bool whole =
        w->flac ? write_flac(w, frames, count) : sf_writef_float(w->file, frames, count) == count;
    if (whole && !w->failed) /* the length goes along with each of FLAC's frames */
        return w->flac_frames != frames_before ? encoded_settle(base, e) : 0;
    w->failed = true;
    return give_up(w, e);
}

static void free_encoded(struct encoded *w)
{
    if (w->fd >= 0)
        close(w->fd);
    free(w->path);
    free(w->head);
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
    w->file = NULL;
    if (w->head && !w->failed && (w->failure = release_head(w)) != 0)
        w->failed = true;
    if (w->failed && !had_failed)
        result = give_up(w, e);
    free_encoded(w);
    return result;
}

static const struct takt_file_writer_ops ops = {encoded_write, encoded_settle, encoded_close};

int takt_encoded_open(const struct takt_file_writer_cfg *cfg, bool flac,
                      struct takt_file_writer **out, struct takt_error *e)
{
    enum { PIECE_FRAMES = 1024 };
    struct encoded *w = calloc(1, sizeof *w);
    if (!w)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    w->base.ops = &ops;
    w->flac = flac;
    w->fd = -1;
    w->channels = cfg->channels;
    w->format = cfg->format ? cfg->format : TAKT_S24;
    w->path = strdup(cfg->path);
    w->coder = calloc(cfg->channels, sizeof *w->coder);
    w->piece = malloc((size_t)PIECE_FRAMES * cfg->channels * sizeof *w->piece);
    w->head = malloc(HEAD_BYTES_MAX);
    if (!w->path || !w->coder || !w->piece || !w->head) {
        free_encoded(w);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    for (uint32_t c = 0; c < cfg->channels; c++)
        takt_encode_init(&w->coder[c], cfg->dither, cfg->clip, cfg->seed + c);
    int pcm = w->format == TAKT_S16 ? SF_FORMAT_PCM_16 : SF_FORMAT_PCM_24;
    SF_INFO info = {.samplerate = (int)cfg->rate_hz,
                    .channels = (int)cfg->channels,
                    .format = flac ? SF_FORMAT_FLAC | pcm : SF_FORMAT_OGG | SF_FORMAT_OPUS};
    w->file = sf_open_virtual(&io, SFM_WRITE, &info, w);
    if (!w->file) {
        int err = w->failure ? takt_file_write_error(e, cfg->path, w->failure)
                             : takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "%.120s: %s", cfg->path,
                                         sf_strerror(NULL));
        free_encoded(w);
        return err;
    }
    double latency_ms = FIRST_LATENCY_MS;
    if (!flac)
        sf_command(w->file, SFC_SET_OGG_PAGE_LATENCY_MS, &latency_ms, sizeof latency_ms);
    *out = &w->base;
    return 0;
}
