/*
 * spectrum.h - what takt spectrum finds and shows, shared by the files that it is made of:
 * spectrum.c (what is worked out and kept), spectrum_live.c (the terminal), spectrum_picture.c (PNG
 * and HTML), verb_spectrum.c (the verb).
 *
 * spectrum_work() runs on the worker, and owns s, b, mean, most and windows until that has ended.
 * All else is the main thread's, which takes what was found in one event for each window.
 */
#ifndef CMD_SPECTRUM_H
#define CMD_SPECTRUM_H

#include "cells.h"
#include "json.h"
#include "options.h"
#include "terminal.h"

enum {
    SPECTRUM_COLUMNS = 800,   /* of pictures, from the lowest frequency to the highest */
    SPECTRUM_PEAKS = 8,       /* in a line, and labelled */
    SPECTRUM_TIMES = 2048,    /* a spectrogram has half to all of them; even */
    SPECTRUM_FALLS = 256,     /* rows of the live spectrogram that are kept */
    SPECTRUM_BINS_MOST = 4096 /* --bins */
};

struct spectrum_event {
    uint32_t peak_count;
    struct takt_spectrum_peak peaks[SPECTRUM_PEAKS];
    float bands[TAKT_BANDS_MOST];
    float columns[SPECTRUM_COLUMNS]; /* of the window alone */
    float bins[];                    /* of the average, [bin_count] */
};

/* A spectrogram of bounded size: when it is full, two columns of time become one. */
struct spectrum_history {
    float *dbfs; /* [SPECTRUM_TIMES][SPECTRUM_COLUMNS], the highest of each */
    size_t used;
    uint64_t hops_each; /* that one column of time stands for */
};

struct spectrum {
    const struct options *options;
    uint32_t rate_hz, channels;
    size_t size, hop, bin_count, event_bytes;
    struct takt_spectrum_axis axis;
    /* The worker's: */
    struct takt_spectrum *s;
    struct takt_bands *b;                   /* NULL: not asked for */
    struct takt_band band[TAKT_BANDS_MOST]; /* without levels */
    uint32_t band_count;
    float *mean, *most; /* [bins], of all windows */
    float *padded;      /* [size][channels] */
    uint64_t windows;
    /* The main thread's: */
    struct spectrum_history history;
    float *fall; /* [SPECTRUM_FALLS][SPECTRUM_COLUMNS], a ring of the last rows of time */
    uint64_t fall_row;
    bool falls;
    float level[SPECTRUM_COLUMNS]; /* the live curve */
    float highest_dbfs;
    struct cells cells;
    double end_s, level_s;
    struct spectrum_event *latest;
    struct takt_spectrum_peak labels[SPECTRUM_PEAKS]; /* that stand long enough to be read */
    uint32_t label_count;
    double labels_s;
};

/* As the options say, for a stream of that rate. 0, or an exit status after saying why not. */
int spectrum_make(struct spectrum *p, const struct options *o, uint32_t rate_hz, uint32_t channels);
void spectrum_free(struct spectrum *p);

/* Works on one window, or on what is left at the end; fills in the event. False: there is none. */
bool spectrum_work(struct spectrum *p, const float *x, size_t frames, uint64_t position,
                   struct spectrum_event *e);

/* Takes one event, of that time of the stream. */
void spectrum_take(struct spectrum *p, const struct spectrum_event *e, double time_s);

/* Begins the live picture anew: the curve, its range and labels, and the spectrogram. */
void spectrum_forget(struct spectrum *p);

/* What belongs into a JSON line of an event, and into the summary's "spectrum". */
void spectrum_json(const struct spectrum *p, struct json *j, const struct spectrum_event *e);
void spectrum_json_summary(struct spectrum *p, struct json *j);
/* "440.0 Hz -3.0, 880.1 Hz -9.2": as many as fit. */
void spectrum_peaks_text(const struct takt_spectrum_peak *peaks, size_t count, char *to,
                         size_t size);
void spectrum_text_summary(struct spectrum *p);

/* The peaks of the mean of all windows; only when the worker has ended. */
size_t spectrum_mean_peaks(struct spectrum *p, struct takt_spectrum_peak *peaks, size_t most);

/* What the top of a picture stands for, and its bottom. */
double spectrum_top_dbfs(const struct spectrum *p);
double spectrum_bottom_dbfs(const struct spectrum *p);

/* How high a level stands in it: 0 at the bottom and below, 1 at the top and above. */
double spectrum_height(const struct spectrum *p, double dbfs);

/* Where a frequency lies on the axis, 0..1 inside; and frequencies for its labels, whose text goes
 * into label[16]. Returns false behind the last. */
double spectrum_place(const struct spectrum *p, double hz);
bool spectrum_tick(const struct spectrum *p, int index, double *hz, char *label);

/* Lines of the live view, at most so many. */
void spectrum_draw(struct spectrum *p, struct terminal *t, int rows);

/* Whole or not at all. 0, or EXIT_FAILED after saying why. source: what was analysed. */
int spectrum_png(struct spectrum *p, const char *path, const char *source);
int spectrum_html(struct spectrum *p, const char *path, const char *source);

#endif
