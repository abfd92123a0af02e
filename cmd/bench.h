/*
 * bench.h - takt bench, shared by the files it is made of: verb_bench.c (what is asked, in which
 * order), bench_measure.c (one block size), bench_report.c (lines and tables), bench_html.c and
 * bench_plot.c (the picture).
 */
#ifndef CMD_BENCH_H
#define CMD_BENCH_H

#include "chain.h"
#include "machine.h"
#include "odds.h"
#include "options.h"
#include "signals.h"
#include "terminal.h"

#include <stdio.h>

/* What was measured with one block size. */
struct bench_row {
    uint32_t block_frames, host_block_frames;
    uint32_t latency_in_frames, latency_out_frames, adapter_frames;
    double seconds; /* of the stream's time */
    struct takt_contract_snapshot contract;
    double thread_load; /* CPU time of the device thread over time, all it does included; or NaN */
    double steal;       /* share of this machine's CPU time that the hypervisor gave away; or NaN */
    struct takt_sched sched;
    struct odds_rate misses_an_hour;
    enum odds_verdict verdict;
};

enum bench_end { BENCH_DONE = 0, BENCH_USER, BENCH_ERROR };

struct bench {
    const struct options *options;
    const char *in, *out; /* as asked for */
    struct chain chain;   /* may be empty */
    double steps_per_ns;  /* of the known work; 0: none is asked for */
    /* Found before the first measurement: */
    char in_device[256], out_device[256];
    uint32_t rate_hz;
    struct machine machine;
    /* Grows: */
    struct bench_row rows[BLOCKS_MAX];
    int row_count;
    enum bench_end end;
    struct terminal terminal;
    struct signals signals;
};

/* ---- bench_measure.c ------------------------------------------------------------------------- */

/* The stream for blocks of so many frames, as the options ask; without a callback. */
struct takt_stream_cfg bench_stream(const struct bench *b, uint32_t block_frames);

/* Measures with blocks of so many frames. 0, or the exit status after saying why; b->end says
 * whether it was the user. */
int bench_measure(struct bench *b, uint32_t block_frames, struct bench_row *row);

/* How many steps of the known work a nanosecond holds, at best. Takes a tenth of a second. */
double bench_calibrate(void);

/* ---- bench_report.c -------------------------------------------------------------------------- */

void bench_print_row(const struct bench *b,
                     const struct bench_row *row);             /* as soon as it is known */
void bench_print_end(const struct bench *b, const char *html); /* html: its path, or NULL */

/* Figures of a row, as they are shown. */
double bench_block_s(const struct bench *b, const struct bench_row *row);
double bench_deadline_s(const struct bench *b, const struct bench_row *row); /* from due on */
double bench_deadline_ms(const struct bench *b, const struct bench_row *row);
double bench_slack_least(const struct bench *b, const struct bench_row *row); /* share of that */
uint32_t bench_latency_frames(const struct bench_row *row);
double bench_latency_ms(const struct bench *b, const struct bench_row *row);
double bench_callback_p50(const struct bench *b, const struct bench_row *row); /* % of the block */
double bench_callback_p99(const struct bench *b, const struct bench_row *row);
double bench_thread_percent(const struct bench *b, const struct bench_row *row); /* 0 if unknown */

/* A few words each, for the text and for the picture. */
void bench_verdict_text(const struct bench *b, char *to, size_t size); /* "use 128: …" */
/* The row to be recommended, or the one that comes nearest, or -1; see odds_choose. */
int bench_recommended(const struct bench *b, bool *is_safe);
extern const char *const bench_use_rule;                             /* what stands behind "use" */
void bench_load_text(const struct bench *b, char *to, size_t size);  /* "nothing", "gain=-6dB" */
void bench_sched_text(const struct bench *b, char *to, size_t size); /* "fifo 70" */
void bench_machine_text(const struct bench *b, char *to, size_t size); /* CPU, cores, kernel */
void bench_rate_text(double misses_an_hour, char *to, size_t size);    /* 0, 9.1, 1328, 13.3k */

/* ---- bench_html.c ---------------------------------------------------------------------------- */

/* Makes the whole page; of is the struct bench. For page_write(). */
void bench_html(FILE *to, const void *of);

/* ---- bench_plot.c ---------------------------------------------------------------------------- */

/* The page's four panels. */
void bench_plots(const struct bench *b, FILE *to);
const char *bench_class(enum odds_verdict v); /* for its colour */

#endif
