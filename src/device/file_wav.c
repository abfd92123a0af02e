/*
 * WAV (Microsoft and IBM 1991), growing into RF64 (EBU Tech 3306) where it passes 4 GiB. The
 * header has a fixed length and is written anew, whole and in one call, each time the data it
 * speaks of is in the file. Its first chunk is JUNK of the size that ds64 needs, so that becoming
 * an RF64 moves no data. docs/decisions/0004 tells why this is not left to a library.
 *
 *     RIFF/RF64 size WAVE | JUNK/ds64 28 | fmt | [fact 4] | data size | samples…
 *
 * Invariants: data_bytes is a multiple of frame_bytes and lies in the file; the header claims at
 * most that.
 */
#include "base/fail.h"
#include "device/file_place.h"
#include "device/file_writer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HEADER_MAX = 128,
    DS64_BYTES = 28,
    PIECE_FRAMES = 1024,
    FORMAT_PCM = 1,
    FORMAT_FLOAT = 3,
    FORMAT_EXTENSIBLE = 0xfffe
};

struct wav {
    struct takt_file_writer base;
    struct takt_file_writer_cfg cfg;
    char *path;
    int fd;
    bool failed;
    uint32_t frame_bytes, header_bytes;
    uint64_t data_bytes, claimed_bytes;
    struct takt_encode_state *coder; /* a channel each */
    char *piece;                     /* [PIECE_FRAMES] frames, as they go to disk */
    float *plane;                    /* [PIECE_FRAMES] */
};

/* ---- Header -------------------------------------------------------------------------------- */

struct bytes {
    unsigned char at[HEADER_MAX];
    size_t count;
};

static void put(struct bytes *b, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        b->at[b->count++] = (unsigned char)(value >> 8 * i);
}

static void put_tag(struct bytes *b, const char *tag)
{
    memcpy(b->at + b->count, tag, 4);
    b->count += 4;
}

static void put_fmt(struct bytes *b, const struct wav *w)
{
    const struct takt_file_writer_cfg *c = &w->cfg;
    bool is_float = c->format == TAKT_F32, wide = c->channels > 2 && !is_float;
    uint32_t bits = (uint32_t)takt_sample_bytes(c->format) * 8;
    put_tag(b, "fmt ");
    put(b, wide ? 40 : is_float ? 18 : 16, 4);
    put(b, wide ? FORMAT_EXTENSIBLE : is_float ? FORMAT_FLOAT : FORMAT_PCM, 2);
    put(b, c->channels, 2);
    put(b, c->rate_hz, 4);
    put(b, (uint64_t)c->rate_hz * w->frame_bytes, 4);
    put(b, w->frame_bytes, 2);
    put(b, bits, 2);
    if (is_float)
        put(b, 0, 2);
    if (wide) {
        static const unsigned char pcm[14] = {0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80,
                                              0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71};
        put(b, 22, 2);
        put(b, bits, 2);
        put(b, 0, 4); /* no loudspeaker is meant */
        put(b, FORMAT_PCM, 2);
        memcpy(b->at + b->count, pcm, sizeof pcm);
        b->count += sizeof pcm;
    }
}

/* The header for so many bytes of data; the file ends there, or a pad byte after it. */
static void make_header(struct bytes *b, const struct wav *w, uint64_t data)
{
    uint64_t riff = w->header_bytes - 8 + data + (data & 1), frames = data / w->frame_bytes;
    uint64_t max = w->cfg.riff_bytes_max ? w->cfg.riff_bytes_max : 0xfffffffe;
    bool big = riff > max;
    b->count = 0;
    put_tag(b, big ? "RF64" : "RIFF");
    put(b, big ? 0xffffffff : riff, 4);
    put_tag(b, "WAVE");
    put_tag(b, big ? "ds64" : "JUNK");
    put(b, DS64_BYTES, 4);
    put(b, big ? riff : 0, 8);
    put(b, big ? data : 0, 8);
    put(b, big ? frames : 0, 8);
    put(b, 0, 4); /* no table of other long chunks */
    put_fmt(b, w);
    if (w->cfg.format == TAKT_F32) {
        put_tag(b, "fact");
        put(b, 4, 4);
        put(b, frames > 0xffffffff ? 0xffffffff : frames, 4);
    }
    put_tag(b, "data");
    put(b, big ? 0xffffffff : data, 4);
}

/* ---- Life ---------------------------------------------------------------------------------- */

/* An odd end is padded first, for the header claims that, too; what comes next replaces it. */
static int write_header(struct wav *w)
{
    struct bytes b;
    int err = 0;
    make_header(&b, w, w->data_bytes);
    if (w->data_bytes & 1)
        err = takt_file_write_at(w->fd, "", 1, w->header_bytes + w->data_bytes);
    if (!err)
        err = takt_file_write_at(w->fd, b.at, b.count, 0);
    if (!err)
        w->claimed_bytes = w->data_bytes;
    return err;
}

/* After a failed write: drop the broken end, and claim what is whole. The header's place is in
 * the file already, so rewriting it needs no room; a pad byte would, so an odd last frame goes. */
static int give_up(struct wav *w, int err, struct takt_error *e)
{
    w->failed = true;
    w->data_bytes -= w->data_bytes & 1 ? w->frame_bytes : 0;
    if (ftruncate(w->fd, (off_t)(w->header_bytes + w->data_bytes)) != 0) {
        /* What lies behind the claimed length does no harm. */
    }
    write_header(w);
    return takt_file_write_error(e, w->path, err);
}

static int wav_settle(struct takt_file_writer *base, struct takt_error *e)
{
    struct wav *w = (struct wav *)base;
    if (w->failed || w->claimed_bytes == w->data_bytes)
        return 0;
    int err = write_header(w);
    return err ? give_up(w, err, e) : 0;
}

static void encode_piece(struct wav *w, const float *frames, uint32_t count)
{
    uint32_t channels = w->cfg.channels;
    size_t bytes = takt_sample_bytes(w->cfg.format);
    for (uint32_t c = 0; c < channels; c++) {
        for (uint32_t i = 0; i < count; i++)
            w->plane[i] = frames[(size_t)i * channels + c];
        takt_encode(w->piece + c * bytes, w->cfg.format, channels, w->plane, count, &w->coder[c]);
    }
}

static int wav_write(struct takt_file_writer *base, const float *frames, uint32_t count,
                     struct takt_error *e)
{
    struct wav *w = (struct wav *)base;
    while (count && !w->failed) {
        uint32_t n = count < PIECE_FRAMES ? count : PIECE_FRAMES;
        encode_piece(w, frames, n);
        int err = takt_file_write_at(w->fd, w->piece, (size_t)n * w->frame_bytes,
                                     w->header_bytes + w->data_bytes);
        if (err)
            return give_up(w, err, e);
        w->data_bytes += (uint64_t)n * w->frame_bytes;
        frames += (size_t)n * w->cfg.channels;
        count -= n;
    }
    /* A header that claims nothing is the one that players disagree about. */
    return w->claimed_bytes ? 0 : wav_settle(base, e);
}

static void free_wav(struct wav *w)
{
    takt_file_let_go(w->fd);
    free(w->path);
    free(w->coder);
    free(w->piece);
    free(w->plane);
    free(w);
}

static int wav_close(struct takt_file_writer *base, struct takt_error *e)
{
    struct wav *w = (struct wav *)base;
    int result = 0, err = w->failed ? 0 : write_header(w);
    if (err)
        result = give_up(w, err, e);
    int late = takt_file_let_go(w->fd);
    w->fd = -1;
    if (late && !w->failed)
        result = takt_file_write_error(e, w->path, late);
    free_wav(w);
    return result;
}

static const struct takt_file_writer_ops ops = {wav_write, wav_settle, wav_close};

int takt_wav_open(const struct takt_file_writer_cfg *cfg, struct takt_file_writer **out,
                  struct takt_error *e)
{
    struct wav *w = calloc(1, sizeof *w);
    if (!w)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    w->base.ops = &ops;
    w->cfg = *cfg;
    w->cfg.format = cfg->format ? cfg->format : TAKT_S24;
    w->fd = -1;
    w->frame_bytes = cfg->channels * (uint32_t)takt_sample_bytes(w->cfg.format);
    w->path = strdup(cfg->path);
    w->coder = calloc(cfg->channels, sizeof *w->coder);
    w->piece = malloc((size_t)PIECE_FRAMES * w->frame_bytes);
    w->plane = malloc(PIECE_FRAMES * sizeof *w->plane);
    if (!w->path || !w->coder || !w->piece || !w->plane) {
        free_wav(w);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    for (uint32_t c = 0; c < cfg->channels; c++)
        takt_encode_init(&w->coder[c], cfg->dither, cfg->clip, cfg->seed + c);
    struct bytes b;
    make_header(&b, w, 0);
    w->header_bytes = (uint32_t)b.count;
    int err = takt_file_claim(cfg->path, &w->fd, e);
    if (err == 0)
        err = takt_file_empty(cfg->path, &w->fd, e);
    int failure = err ? 0 : write_header(w);
    if (failure)
        err = takt_file_write_error(e, cfg->path, failure);
    if (err) {
        free_wav(w);
        return err;
    }
    *out = &w->base;
    return 0;
}
