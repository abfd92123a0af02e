/*
 * The table that everyone asks for, measured here and now: what each block size costs, and whether
 * it holds.
 *
 * All that can be wrong is found before the first measurement: words, devices at every size, the
 * picture's folder. The picture is made in memory and written whole at the very end.
 */
#include "bench.h"
#include "output.h"
#include "page.h"
#include "verbs.h"
#include "whole_file.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t default_blocks[] = {64, 128, 256, 512, 1024, 2048, 4096};
enum { DEFAULT_BLOCKS = sizeof default_blocks / sizeof *default_blocks, DEFAULT_SECONDS = 10 };

static int refuse(const struct options *o, const struct takt_error *e)
{
    return complain(o, e->code == TAKT_ERR_ARG ? EXIT_USAGE : EXIT_FAILED, "%s", e->text);
}

static int refuse_recordings(const struct bench *b)
{
    const char *ids[] = {b->in, b->out};
    for (int i = 0; i < 2; i++)
        if (verb_is_recording(ids[i]))
            return complain(b->options, EXIT_USAGE,
                            "%s: a recording has no deadline; name a device", ids[i]);
    return 0;
}

/* Opens the devices once at each size, and learns what they are and at which rate. */
static int prepare_devices(struct bench *b)
{
    struct takt_stream *s;
    struct takt_stream_actual a;
    struct takt_error e;
    struct takt_stream_cfg c = bench_stream(b, b->options->blocks[0]);
    if (takt_stream_create(&c, &s, &e) < 0)
        return refuse(b->options, &e);
    takt_stream_actual(s, &a);
    b->rate_hz = a.rate_hz;
    snprintf(b->in_device, sizeof b->in_device, "%s", a.in_device);
    snprintf(b->out_device, sizeof b->out_device, "%s", a.out_device);
    takt_stream_destroy(s);
    for (int i = 1; i < b->options->block_count; i++) {
        c = bench_stream(b, b->options->blocks[i]);
        if (takt_stream_check(&c, &e) < 0)
            return refuse(b->options, &e);
    }
    return 0;
}

static void note_simulated(const struct bench *b)
{
    const struct options *o = b->options;
    if (o->quiet || o->json || o->out || strncmp(b->out_device, "sim:", 4) != 0)
        return;
    fprintf(stderr, "takt: no sound card in use; measuring with the simulated %s\n", b->out_device);
}

static int measure_all(struct bench *b)
{
    for (int i = 0; i < b->options->block_count; i++) {
        struct bench_row *row = &b->rows[b->row_count];
        int status = bench_measure(b, b->options->blocks[i], row);
        terminal_clear(&b->terminal);
        if (status || b->end)
            return status;
        b->row_count++;
        bench_print_row(b, row);
        enum output out = output_flush();
        if (out) {
            b->end = BENCH_USER;
            return out == OUTPUT_FAILED ? EXIT_FAILED : EXIT_OK;
        }
    }
    return EXIT_OK;
}

static int run(struct bench *b, const char *html)
{
    signals_take(&b->signals);
    if (b->options->load > 0)
        b->steps_per_ns = bench_calibrate();
    int status = measure_all(b);
    terminal_end(&b->terminal);
    if (html && b->end == BENCH_DONE) {
        int written = page_write(b->options, html, bench_html, b);
        html = written ? NULL : html;
        status = status ? status : written;
    } else {
        html = NULL;
    }
    bench_print_end(b, html);
    signals_give_back(&b->signals);
    return status;
}

int verb_bench(struct options *o)
{
    struct bench b = {.options = o};
    struct takt_defaults defaults;
    int status;
    for (int i = 0; i < o->word_count; i++)
        if ((status = chain_add_word(&b.chain, o, o->words[i])))
            return status;
    if (!o->block_count) {
        memcpy(o->blocks, default_blocks, sizeof default_blocks);
        o->block_count = DEFAULT_BLOCKS;
    }
    o->seconds = o->seconds > 0 ? o->seconds : DEFAULT_SECONDS;
    takt_defaults_get(&defaults);
    b.in = o->in ? o->in : defaults.in_device;
    b.out = o->out ? o->out : defaults.out_device;
    const char *html = o->no_html ? NULL : o->html ? o->html : "bench.html";
    if ((status = refuse_recordings(&b)) || (status = prepare_devices(&b)))
        return status;
    if (html && (status = whole_file_check(o, html)))
        return status;
    terminal_init(&b.terminal);
    machine_read(&b.machine);
    note_simulated(&b);
    return run(&b, html);
}
