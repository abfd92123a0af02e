#include "json.h"
#include "terminal.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>

static void print_json(const struct takt_device_info *d)
{
    struct json j = {.to = stdout};
    json_open(&j, NULL, '{');
    json_string(&j, "type", "device");
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

enum { DESCRIPTION_COLUMN = 45 };

/* Broken between words, so that each line of it stays in its column. */
static void print_description(const struct terminal *t, const char *text)
{
    int room = t->live ? t->columns - DESCRIPTION_COLUMN : 1 << 20;
    room = room > 16 ? room : 1 << 20; /* so narrow that the terminal may as well break it */
    while ((int)strlen(text) > room) {
        int cut = room;
        while (cut > 0 && text[cut] != ' ')
            cut--;
        cut = cut ? cut : room;
        printf("%.*s\n%*s", cut, text, DESCRIPTION_COLUMN, "");
        text += cut + (text[cut] == ' ');
    }
    printf("%s\n", text);
}

static void print_row(const struct terminal *t, const struct takt_device_info *d)
{
    char in[16] = "-", out[16] = "-", latency[32] = "-";
    bool is_default = d->is_default_in || d->is_default_out;
    if (d->in_channels_max)
        snprintf(in, sizeof in, "%u", d->in_channels_max);
    if (d->out_channels_max)
        snprintf(out, sizeof out, "%u", d->out_channels_max);
    if (d->latency_low_s > 0)
        snprintf(latency, sizeof latency, "%.1f..%.1f", d->latency_low_s * 1e3,
                 d->latency_high_s * 1e3);
    printf("%s%s %s%-12s%s %3s %3s  %6u  %10s  ", d->is_default_in ? "i" : " ",
           d->is_default_out ? "o" : " ", is_default ? terminal_bold(t) : "", d->id,
           terminal_plain(t), in, out, d->rate_hz_default, latency);
    print_description(t, d->description);
}

int verb_devices(struct options *o)
{
    struct takt_device_info one, *list = NULL, *all = &one;
    struct takt_error e;
    int status = verb_words(o, 0, 1, "[DEVICE]"), count = 1;
    if (status)
        return status;
    if (o->word_count) {
        if (takt_device_query(o->words[0], &one, &e) < 0)
            return complain(o, e.code == TAKT_ERR_ARG ? EXIT_USAGE : EXIT_FAILED, "%s", e.text);
    } else {
        count = takt_devices(&list, &e);
        if (count < 0)
            return complain(o, EXIT_FAILED, "%s", e.text);
        all = list;
    }
    struct terminal t;
    terminal_init(&t);
    if (!o->json)
        printf("%s   DEVICE        IN OUT    RATE  LATENCY ms  WHAT%s\n", terminal_dim(&t),
               terminal_plain(&t));
    for (int i = 0; i < count; i++)
        if (o->json)
            print_json(&all[i]);
        else
            print_row(&t, &all[i]);
    if (o->json) {
        struct json j = {.to = stdout};
        json_open(&j, NULL, '{');
        json_string(&j, "type", "summary");
        json_int(&j, "devices", count);
        json_close(&j, '}');
        json_end_line(&j);
    } else if (!o->word_count) {
        printf("\ni: default input, o: default output. TAKT_IN and TAKT_OUT set others.\n");
    }
    takt_devices_free(list);
    return EXIT_OK;
}
