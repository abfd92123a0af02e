#include "device/file_writer.h"

#include "base/fail.h"
#include "device/file_place.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum kind { KIND_NONE, KIND_WAV, KIND_FLAC, KIND_OPUS };

static enum kind kind_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *ending = strrchr(name, '.');
    if (!ending)
        return KIND_NONE;
    if (!strcasecmp(ending, ".wav") || !strcasecmp(ending, ".rf64") || !strcasecmp(ending, ".wave"))
        return KIND_WAV;
    if (!strcasecmp(ending, ".flac"))
        return KIND_FLAC;
    if (!strcasecmp(ending, ".opus") || !strcasecmp(ending, ".ogg") || !strcasecmp(ending, ".oga"))
        return KIND_OPUS;
    return KIND_NONE;
}

static int check_flac(const struct takt_file_writer_cfg *cfg, struct takt_error *e)
{
    if (cfg->format && cfg->format != TAKT_S16 && cfg->format != TAKT_S24)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "%s: FLAC holds s16 or s24, not %s",
                         takt_file_tail(cfg->path), takt_sample_name(cfg->format));
    if (cfg->rate_hz > 65535 && cfg->rate_hz % 10)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                         "%s: FLAC has rates above 65535 Hz in steps of 10, not %u; set such a "
                         "rate or record to .wav",
                         takt_file_tail(cfg->path), cfg->rate_hz);
    if (cfg->channels > 8)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                         "%s: FLAC holds up to 8 channels, not %u; record to .wav",
                         takt_file_tail(cfg->path), cfg->channels);
    return 0;
}

static int check_opus(const struct takt_file_writer_cfg *cfg, struct takt_error *e)
{
    uint32_t r = cfg->rate_hz;
    if (r != 8000 && r != 12000 && r != 16000 && r != 24000 && r != 48000)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                         "%s: Opus runs at 8, 12, 16, 24 or 48 kHz, not at %u Hz; set such a "
                         "rate or record to .wav or .flac",
                         takt_file_tail(cfg->path), r);
    if (cfg->format)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "%s: Opus has no sample format; leave %s out",
                         cfg->path, takt_sample_name(cfg->format));
    if (cfg->channels > 8)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0,
                         "%s: Opus holds up to 8 channels, not %u; record to .wav",
                         takt_file_tail(cfg->path), cfg->channels);
    return 0;
}

int takt_file_writer_check(const struct takt_file_writer_cfg *cfg, struct takt_error *e)
{
    switch (kind_of(cfg->path)) {
    case KIND_WAV:
        return 0;
    case KIND_FLAC:
        return check_flac(cfg, e);
    case KIND_OPUS:
        return check_opus(cfg, e);
    case KIND_NONE:
        break;
    }
    return takt_fail(e, TAKT_ERR_ARG, 0,
                     "%s: recordings end in .wav, .flac, .opus or .ogg; choose one of these",
                     takt_file_tail(cfg->path));
}

int takt_file_writer_open(const struct takt_file_writer_cfg *cfg, struct takt_file_writer **out,
                          struct takt_error *e)
{
    *out = NULL;
    int err = takt_file_writer_check(cfg, e);
    if (err < 0)
        return err;
    enum kind kind = kind_of(cfg->path);
    return kind == KIND_WAV ? takt_wav_open(cfg, out, e)
                            : takt_encoded_open(cfg, kind == KIND_FLAC, out, e);
}

static ssize_t (*write_at)(int fd, const void *data, size_t bytes, off_t offset) = pwrite;

void takt_file_disk(ssize_t (*disk)(int fd, const void *data, size_t bytes, off_t offset))
{
    write_at = disk ? disk : pwrite;
}

int takt_file_write_at(int fd, const void *data, size_t bytes, uint64_t offset)
{
    const char *from = data;
    while (bytes) {
        ssize_t n = write_at(fd, from, bytes, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : ENOSPC;
        from += n;
        offset += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return 0;
}

int takt_file_write_error(struct takt_error *e, const char *path, int err)
{
    bool full = err == ENOSPC || err == EDQUOT || err == EFBIG;
    return takt_fail(e, full ? TAKT_ERR_FULL : TAKT_ERR_IO, err, "%s: cannot write",
                     takt_file_tail(path));
}
