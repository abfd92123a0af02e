/*
 * `file:PATH` - recordings as sources and sinks, read through libsndfile. A path alone means the
 * same.
 */
#include "base/fail.h"
#include "device/backends.h"
#include "device/file_place.h"
#include "device/file_port.h"
#include "sim/pacer.h"

#include <errno.h>
#include <sndfile.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pipe or a device would hang in open; only what can be read from its beginning again will do. */
static int check_source(const char *path, struct takt_error *e)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return takt_fail(e, errno == ENOENT ? TAKT_ERR_NOT_FOUND : TAKT_ERR_IO, errno,
                         "%s: cannot open it", takt_file_tail(path));
    if (S_ISDIR(st.st_mode))
        return takt_fail(e, TAKT_ERR_IO, EISDIR, "%s: cannot open it", takt_file_tail(path));
    if (!S_ISREG(st.st_mode))
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "%s: not a regular file",
                         takt_file_tail(path));
    if (access(path, R_OK) != 0)
        return takt_fail(e, TAKT_ERR_IO, errno, "%s: cannot open it", takt_file_tail(path));
    return 0;
}

void *takt_file_open_sound(const char *path, void *sf_info, struct takt_error *e)
{
    SF_INFO *info = sf_info;
    memset(info, 0, sizeof *info);
    if (check_source(path, e) < 0)
        return NULL;
    SNDFILE *file = sf_open(path, SFM_READ, info);
    if (!file) {
        takt_fail(e, TAKT_ERR_FORMAT, 0,
                  "%s: not a recording that can be read (%.60s); try WAV, FLAC, Ogg or MP3",
                  takt_file_tail(path), sf_strerror(NULL));
        return NULL;
    }
    if (info->channels < 1 || info->channels > TAKT_CHANNELS_MAX || info->samplerate < 1 ||
        !info->seekable) {
        takt_fail(e, TAKT_ERR_FORMAT, 0, "%s: %d channels at %d Hz: it cannot be played",
                  takt_file_tail(path), info->channels, info->samplerate);
        sf_close(file);
        return NULL;
    }
    return file;
}

static enum takt_sample format_of(int sf_format)
{
    switch (sf_format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_PCM_U8:
    case SF_FORMAT_PCM_S8:
        return TAKT_U8;
    case SF_FORMAT_PCM_16:
        return TAKT_S16;
    case SF_FORMAT_PCM_24:
        return TAKT_S24;
    case SF_FORMAT_PCM_32:
        return TAKT_S32;
    default:
        return TAKT_F32;
    }
}

static const char *container_of(int sf_format)
{
    switch (sf_format & SF_FORMAT_TYPEMASK) {
    case SF_FORMAT_WAV:
    case SF_FORMAT_WAVEX:
        return "WAV";
    case SF_FORMAT_RF64:
        return "RF64";
    case SF_FORMAT_W64:
        return "W64";
    case SF_FORMAT_AIFF:
        return "AIFF";
    case SF_FORMAT_FLAC:
        return "FLAC";
    case SF_FORMAT_OGG:
        return "Ogg";
    default:
        return "sound";
    }
}

static int query(const char *rest, struct takt_device_info *out, struct takt_error *e)
{
    struct takt_error local = {0};
    SF_INFO info;
    e = e ? e : &local;
    if (!*rest)
        return takt_fail(e, TAKT_ERR_ARG, 0, "file: needs a path: file:take.wav");
    SNDFILE *file = takt_file_open_sound(rest, &info, e);
    if (!file)
        return e->code;
    sf_close(file);
    enum takt_sample format = format_of(info.format);
    *out = (struct takt_device_info){.backend = "file",
                                     .in_channels_max = (uint32_t)info.channels,
                                     .in_channels_default = (uint32_t)info.channels,
                                     .rate_hz_default = (uint32_t)info.samplerate,
                                     .rate_hz_min = (uint32_t)info.samplerate,
                                     .rate_hz_max = (uint32_t)info.samplerate,
                                     .block_frames_default = 128,
                                     .block_frames_min = 1,
                                     .block_frames_max = TAKT_BLOCK_FRAMES_MAX,
                                     .format = format,
                                     .frames = (uint64_t)info.frames};
    snprintf(out->id, sizeof out->id, "file:%s", rest);
    snprintf(out->description, sizeof out->description, "%s %s, %d channel%s, %.3f s",
             container_of(info.format), takt_sample_name(format), info.channels,
             info.channels == 1 ? "" : "s", (double)info.frames / info.samplerate);
    return 0;
}

static int list(struct takt_device_info *out, int max)
{
    if (max > 0)
        *out =
            (struct takt_device_info){.id = "file:",
                                      .backend = "file",
                                      .description = "any recording: file:PATH, or the path alone",
                                      .in_channels_max = TAKT_CHANNELS_MAX,
                                      .out_channels_max = TAKT_CHANNELS_MAX,
                                      .rate_hz_default = 48000,
                                      .rate_hz_min = 8000,
                                      .rate_hz_max = 384000,
                                      .block_frames_default = 128,
                                      .block_frames_min = 1,
                                      .block_frames_max = TAKT_BLOCK_FRAMES_MAX,
                                      .format = TAKT_S24};
    return 1;
}

static int open_port(const struct takt_port_cfg *cfg, struct takt_port **out, struct takt_error *e)
{
    *out = NULL;
    if (!*cfg->rest)
        return takt_fail(e, TAKT_ERR_ARG, 0, "file: needs a path: file:take.wav");
    return cfg->is_input ? takt_file_open_source(cfg, out, e) : takt_file_open_sink(cfg, out, e);
}

const struct takt_backend takt_backend_file = {.scheme = "file",
                                               .list = list,
                                               .query = query,
                                               .open_port = open_port,
                                               .open_driver = takt_pacer_open_plain};
