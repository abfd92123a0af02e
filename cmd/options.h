/*
 * options.h - the options that all verbs share, read strictly: a number is all of its text and
 * within its range, or one clear line says what was wrong.
 */
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include "net_options.h"

#include <stdbool.h>
#include <stdint.h>
#include <takt/takt.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_BROKEN = 3, WORDS_MAX = 64 };
enum { BLOCKS_MAX = 32 };

struct options {
    const char *verb;
    const char *in, *out;
    uint32_t rate_hz, block_frames, channels;
    double seconds;  /* 0: without end */
    double buffer_s; /* of a recording; 0: its default */
    enum takt_latency latency;
    double latency_s;
    enum takt_sample format;
    enum takt_dither dither;
    uint64_t seed;
    double hours;      /* of virtual time; 0: nobody said */
    bool has_scenario; /* this one alone */
    uint64_t scenario;
    int priority;
    double wait_s;  /* for a pipe's program; 0: its default */
    double fade_ms; /* as in takt_stream_cfg */
    enum takt_bypass_mode bypass;
    bool json, strict, quiet, verbose, help, fast, watch, on_voice;
    uint32_t blocks[BLOCKS_MAX]; /* that bench compares, ascending */
    int block_count;             /* 0: nobody said */
    double load;                 /* share of a block's time that bench shall use up, 0..0.95 */
    const char *mode;            /* that meter shows; NULL: nobody said */
    double target_lufs;          /* 0: nobody said */
    const char *html;            /* NULL: nobody said */
    bool no_html;
    double a4_hz; /* 0: nobody said */
    const char *instrument, *notes;
    double clock_ppm; /* by which the sound card's clock is fast */
    bool flats, strum;
    size_t size_frames, hop_frames; /* of a spectrum's windows; 0: nobody said */
    bool has_overlap;
    double overlap; /* of them, 0 to below 1, where hop_frames is 0 */
    enum takt_taper taper;
    bool is_linear; /* the axis of frequencies */
    double range_db;
    bool has_bands;
    enum takt_bands_width bands_width;
    uint32_t bins; /* in each JSON line */
    enum takt_spectrum_average average;
    double average_s;
    const char *png;
    struct net_options net;
    const char *words[WORDS_MAX]; /* what is no option, in order */
    int word_count;
};

/* One option, for the help, the man page's test and the completions. */
struct option_info {
    const char *names;   /* "-r, --rate" */
    const char *value;   /* "HZ", or NULL when it takes none */
    const char *meaning; /* one line */
};
extern const struct option_info option_infos[]; /* ends with NULL names */

/* Is it in a list such as "-i -o --json"? An option stands there with its first name; where there
 * are several of that name, with its value, too: "--latency=MS". */
bool option_in(const struct option_info *info, const char *list);

/* Reads the arguments behind the verb, which takes the options in that list and no others.
 * 0, or EXIT_USAGE after saying why. */
int options_read(struct options *o, const char *taken, int count, char **arguments);

/* Control characters become '?': a file's name may hold any, and a terminal obeys them. */
void make_printable(char *text);

/* "takt: run: …" and a newline on stderr; returns status. */
int complain(const struct options *o, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "takt: run: --rate 1: not a …"; returns EXIT_USAGE. */
int option_bad(const struct options *o, const char *name, const char *value, const char *want);

/* A whole number and nothing else; a number of seconds, with or without an s behind it. */
bool read_whole(const char *text, uint64_t low, uint64_t high, uint64_t *out);
bool read_seconds(const char *text, double low, double high, double *out);

/* A number of dB such as -2dB or -2, from -200 to 100. */
bool read_db(const char *text, double *db);

/* The word among `words` (ended by NULL) that is nearest to text, or NULL when none is near. */
const char *nearest(const char *text, const char *const *words);

/* The stream that the options describe, but for its devices and callback. */
struct takt_stream_cfg options_stream(const struct options *o);

#endif
