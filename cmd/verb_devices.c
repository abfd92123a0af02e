#include "json.h"
#include "output.h"
#include "signals.h"
#include "terminal.h"
#include "verbs.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* change: how it came to be told, or NULL. */
static void print_json(const struct takt_device_info *d, const char *change)
{
    struct json j = {.to = stdout};
    json_open(&j, NULL, '{');
    json_string(&j, "type", "device");
    if (change)
        json_string(&j, "change", change);
    json_string(&j, "id", d->id);
    json_string(&j, "backend", d->backend);
    json_string(&j, "description", d->description);
    json_int(&j, "in_channels_max", d->in_channels_max);
    json_int(&j, "out_channels_max", d->out_channels_max);
    json_int(&j, "in_channels_default", d->in_channels_default);
    json_int(&j, "out_channels_default", d->out_channels_default);
    json_int(&j, "rate_hz_default", d->rate_hz_default);
    json_int(&j, "rate_hz_min", d->rate_hz_min);
    json_int(&j, "rate_hz_max", d->rate_hz_max);
    json_int(&j, "block_frames_default", d->block_frames_default);
    json_int(&j, "block_frames_min", d->block_frames_min);
    json_int(&j, "block_frames_max", d->block_frames_max);
    json_number(&j, "latency_low_s", d->latency_low_s, 6);
    json_number(&j, "latency_high_s", d->latency_high_s, 6);
    json_string(&j, "format", takt_sample_name(d->format));
    json_int(&j, "frames", (int64_t)d->frames);
    json_bool(&j, "default_in", d->is_default_in);
    json_bool(&j, "default_out", d->is_default_out);
    json_close(&j, '}');
    json_end_line(&j);
}

enum { ID_WIDTH_LEAST = 12, ID_WIDTH_MOST = 28, COLUMNS_BESIDE_ID = 33, CHANGE_WIDTH = 9 };

struct table {
    struct terminal terminal;
    int indent, id_width;
};

/* Room for the longest id, as far as that is sensible: one that is longer has a line of its own. */
static int id_width(const struct takt_device_info *list, int count)
{
    int width = ID_WIDTH_LEAST;
    for (int i = 0; i < count; i++) {
        int length = (int)strlen(list[i].id);
        width = length > width ? length : width;
    }
    return width < ID_WIDTH_MOST ? width : ID_WIDTH_MOST;
}

/* Broken between words, so that each line of it stays in its column. */
static void print_description(const struct terminal *t, int column, const char *text)
{
    int room = t->live ? t->columns - column : 1 << 20;
    room = room > 16 ? room : 1 << 20; /* so narrow that the terminal may as well break it */
    while ((int)strlen(text) > room) {
        int cut = room;
        while (cut > 0 && text[cut] != ' ')
            cut--;
        cut = cut ? cut : room;
        printf("%.*s\n%*s", cut, text, column, "");
        text += cut + (text[cut] == ' ');
    }
    printf("%s\n", text);
}

/* Other programs chose the names: a terminal obeys what may be in them. */
static void print_row(const struct table *table, const struct takt_device_info *given)
{
    struct takt_device_info copy = *given, *d = &copy;
    make_printable(d->id);
    make_printable(d->description);
    const struct terminal *t = &table->terminal;
    int width = table->id_width;
    char in[16] = "-", out[16] = "-", latency[32] = "-";
    bool is_default = d->is_default_in || d->is_default_out;
    if (d->in_channels_max)
        snprintf(in, sizeof in, "%u", d->in_channels_max);
    if (d->out_channels_max)
        snprintf(out, sizeof out, "%u", d->out_channels_max);
    if (d->latency_low_s > 0)
        snprintf(latency, sizeof latency, "%.1f..%.1f", d->latency_low_s * 1e3,
                 d->latency_high_s * 1e3);
    printf("%s%s %s%-*s%s", d->is_default_in ? "i" : " ", d->is_default_out ? "o" : " ",
           is_default ? terminal_bold(t) : "", width, d->id, terminal_plain(t));
    if ((int)strlen(d->id) > width)
        printf("\n%*s", table->indent + width + 3, "");
    printf(" %3s %3s  %6u  %10s  ", in, out, d->rate_hz_default, latency);
    print_description(t, table->indent + width + COLUMNS_BESIDE_ID, d->description);
}

static void print_head(const struct table *table)
{
    printf("%*s%s   %-*s  IN OUT    RATE  LATENCY ms  WHAT%s\n", table->indent, "",
           terminal_dim(&table->terminal), table->id_width, "DEVICE",
           terminal_plain(&table->terminal));
}

static void print_summary(int count)
{
    struct json j = {.to = stdout};
    json_open(&j, NULL, '{');
    json_string(&j, "type", "summary");
    json_int(&j, "devices", count);
    json_close(&j, '}');
    json_end_line(&j);
}

/* ---- --watch --------------------------------------------------------------------------------- */

static void print_change(const struct options *o, const struct table *table,
                         const struct takt_device_change *c)
{
    if (o->json) {
        print_json(&c->device, takt_device_change_name(c->type));
        return;
    }
    printf("%-*s", table->indent, takt_device_change_name(c->type));
    print_row(table, &c->device);
}

/* How many devices there are after it. */
static int count_change(int count, const struct takt_device_change *c)
{
    return count + (c->type == TAKT_DEVICE_ADDED) - (c->type == TAKT_DEVICE_REMOVED);
}

/* Until a signal, the end of the time, or the end of whoever reads. */
static int follow(const struct options *o, struct takt_device_watch *w, struct signals *signals)
{
    struct table table = {.indent = CHANGE_WIDTH, .id_width = ID_WIDTH_MOST};
    struct takt_device_change c;
    struct pollfd fds[] = {{.fd = takt_device_watch_fd(w), .events = POLLIN},
                           {.fd = signals->fd, .events = POLLIN},
                           {.fd = STDOUT_FILENO}};
    int64_t end_ns = o->seconds ? takt_now_ns() + (int64_t)(o->seconds * 1e9) : INT64_MAX;
    int64_t left_ns = 0;
    int count = 0;
    terminal_init(&table.terminal);
    if (!o->json)
        print_head(&table);
    do {
        while (takt_device_watch_next(w, &c)) {
            print_change(o, &table, &c);
            count = count_change(count, &c);
        }
        if (output_flush() != OUTPUT_WELL)
            return count;
        left_ns = end_ns - takt_now_ns();
        int wait_ms = end_ns == INT64_MAX || left_ns > INT64_C(1000000) * 100000
                          ? 100000
                          : (int)(left_ns / 1000000) + 1;
        poll(fds, 3, left_ns > 0 ? wait_ms : 0);
        if (signals_ends(signals_next(signals)))
            break;
    } while (!fds[2].revents && left_ns > 0);
    return count;
}

static int watch(struct options *o)
{
    struct takt_device_watch *w;
    struct takt_error e;
    struct signals signals;
    if (o->word_count)
        return complain(o, EXIT_USAGE, "--watch: it is for all devices; leave out %s", o->words[0]);
    signals_take(&signals);
    if (takt_device_watch_create(&w, &e) < 0)
        return complain(o, EXIT_FAILED, "%s", e.text);
    int count = follow(o, w, &signals);
    takt_device_watch_destroy(w);
    signals_give_back(&signals);
    if (o->json)
        print_summary(count);
    return EXIT_OK;
}

int verb_devices(struct options *o)
{
    struct takt_device_info one, *list = NULL, *all = &one;
    struct takt_error e;
    int status = verb_words(o, 0, 1, "[DEVICE]"), count = 1;
    if (status)
        return status;
    if (o->watch)
        return watch(o);
    if (o->seconds)
        return complain(o, EXIT_USAGE, "-t: how long to watch; it goes with --watch");
    if (o->word_count) {
        if (takt_device_query(o->words[0], &one, &e) < 0)
            return complain(o, e.code == TAKT_ERR_ARG ? EXIT_USAGE : EXIT_FAILED, "%s", e.text);
    } else {
        count = takt_devices(&list, &e);
        if (count < 0)
            return complain(o, EXIT_FAILED, "%s", e.text);
        all = list;
    }
    struct table table = {.id_width = id_width(all, count)};
    terminal_init(&table.terminal);
    if (!o->json)
        print_head(&table);
    for (int i = 0; i < count; i++)
        if (o->json)
            print_json(&all[i], NULL);
        else
            print_row(&table, &all[i]);
    if (o->json)
        print_summary(count);
    else if (!o->word_count)
        printf("\ni: default input, o: default output. TAKT_IN and TAKT_OUT set others.\n");
    takt_devices_free(list);
    return EXIT_OK;
}
