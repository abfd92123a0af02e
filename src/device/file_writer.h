/*
 * device/file_writer.h - a recording on disk that is a valid file at every instant.
 *
 * Whatever happens to the program, what was there at the last settle() plays in any player: the
 * lengths in the headers only ever speak of data that was written before them.
 * Thread: one at a time, never the device thread. All calls may wait for the disk.
 */
#ifndef TAKT_DEVICE_FILE_WRITER_H
#define TAKT_DEVICE_FILE_WRITER_H

#include "takt/error.h"
#include "takt/format.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct takt_file_writer;

struct takt_file_writer_cfg {
    const char *path;
    uint32_t rate_hz, channels;
    enum takt_sample format; /* TAKT_SAMPLE_DEFAULT: s24, or what the kind of file has */
    enum takt_dither dither;
    enum takt_clip clip;
    uint64_t seed;
    bool replays;            /* each run makes the same bytes, an Ogg stream's number included */
    uint64_t riff_bytes_max; /* where a WAV becomes an RF64; 0: at 4 GiB, as it must */
};

struct takt_file_writer_ops {
    /* Appends interleaved frames. A failure is final: the file is then closed and valid. */
    int (*write)(struct takt_file_writer *w, const float *frames, uint32_t count,
                 struct takt_error *e);
    /* Brings the headers up to the data. */
    int (*settle)(struct takt_file_writer *w, struct takt_error *e);
    /* Completes the file and frees the writer, also after a failure. */
    int (*close)(struct takt_file_writer *w, struct takt_error *e);
};

struct takt_file_writer {
    const struct takt_file_writer_ops *ops; /* each kind's own struct begins with this one */
};

/* Would open succeed, as far as the settings go? Touches no file.
 * Errors: TAKT_ERR_ARG (unknown ending), TAKT_ERR_UNSUPPORTED (rate, channels or format). */
int takt_file_writer_check(const struct takt_file_writer_cfg *cfg, struct takt_error *e);

/* Creates the file, or empties it, and writes its headers. */
int takt_file_writer_open(const struct takt_file_writer_cfg *cfg, struct takt_file_writer **out,
                          struct takt_error *e);

/* The kinds. */
int takt_wav_open(const struct takt_file_writer_cfg *cfg, struct takt_file_writer **out,
                  struct takt_error *e);
int takt_encoded_open(const struct takt_file_writer_cfg *cfg, bool flac,
                      struct takt_file_writer **out, struct takt_error *e);

/* From now on recordings are written by this instead of pwrite, for simulations of a disk that
 * fails; NULL: by pwrite. Thread: any, while none is being made. */
void takt_file_disk(ssize_t (*disk)(int fd, const void *data, size_t bytes, off_t offset));

/* Writes all of it at the offset; 0, or the errno. */
int takt_file_write_at(int fd, const void *data, size_t bytes, uint64_t offset);

/* "x.wav: no space left …": the error for a write that failed with err. */
int takt_file_write_error(struct takt_error *e, const char *path, int err);

#endif
