/*
 * `alsa:` - ALSA's PCMs: the cards themselves, and whatever an asoundrc makes of them.
 *
 *     alsa:                          the PCM `default`
 *     alsa:hw:CARD=PCH,DEV=0         a card, as it is
 *     alsa:plughw:CARD=PCH,DEV=0     the same, with rates and formats converted
 *     alsa:NAME                      any PCM that `aplay -L` lists
 *
 * Cards are listed by their names, which stay when another is plugged in; numbers do not. What a
 * stream does is in alsa_link.c.
 */
#include "base/fail.h"
#include "device/alsa_link.h"
#include "device/backends.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { LISTED_MAX = 64, RATE_HZ_MIN = 8000, RATE_HZ_MAX = 384000, RATE_HZ_DEFAULT = 48000 };
enum { LOW_FRAMES = 256, HIGH_FRAMES = 1024, HIGH_PERIODS = 4 };
static const int64_t ask_ns = 3000 * 1000000LL; /* a plugin may wait for a server that hangs */

struct found {
    char rest[112], description[112];
    unsigned ins, outs, rate_min, rate_max;
    bool is_busy;
};

struct answer {
    char rest[112]; /* asked for; "" with wants_all for the list */
    bool wants_all;
    int count;
    struct found found[LISTED_MAX];
    struct takt_error error;
};

static unsigned within(unsigned value, unsigned low, unsigned high)
{
    return value < low ? low : value > high ? high : value;
}

/* What one PCM takes. */
static int probe(const char *rest, bool is_input, struct found *f, struct takt_error *e)
{
    snd_pcm_t *pcm;
    snd_pcm_hw_params_t *hw;
    unsigned channels = 0, low = 0, high = 0;
    int direction, err = takt_alsa_open(rest, is_input, &pcm, e);
    if (err < 0)
        return err;
    snd_pcm_hw_params_alloca(&hw);
    if ((err = snd_pcm_hw_params_any(pcm, hw)) >= 0) {
        snd_pcm_hw_params_get_channels_max(hw, &channels);
        snd_pcm_hw_params_get_rate_min(hw, &low, &direction);
        snd_pcm_hw_params_get_rate_max(hw, &high, &direction);
    }
    snd_pcm_close(pcm);
    if (err < 0)
        return takt_fail(e, TAKT_ERR_IO, -err, "alsa:%.80s: has no settings", rest);
    *(is_input ? &f->ins : &f->outs) = within(channels, 0, TAKT_CHANNELS_MAX);
    f->rate_min = within(low, f->rate_min ? f->rate_min : RATE_HZ_MIN, RATE_HZ_MAX);
    f->rate_max = within(high, RATE_HZ_MIN, f->rate_max ? f->rate_max : RATE_HZ_MAX);
    return 0;
}

/* Either way will do; e is of the output when neither does. */
static int probe_both(struct found *f, struct takt_error *e)
{
    struct takt_error of_input;
    int in = probe(f->rest, true, f, &of_input), out = probe(f->rest, false, f, e);
    return in < 0 && out < 0 ? out : 0;
}

static struct found *next_of(struct answer *a)
{
    struct found *f = a->count < LISTED_MAX ? &a->found[a->count] : NULL;
    if (f)
        *f = (struct found){.rest = ""};
    return f;
}

/* What the cards' devices take, as it was seen when nobody had them: asking means opening, and who
 * asks once a second would keep others out. Under the lock. */
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;
static struct found seen[LISTED_MAX];
static int seen_count;

static const struct found *seen_before(const char *rest)
{
    for (int i = 0; i < seen_count; i++)
        if (!strcmp(seen[i].rest, rest))
            return &seen[i];
    return NULL;
}

static void keep_seen(const struct found *f)
{
    if (!f->is_busy && seen_count < LISTED_MAX)
        seen[seen_count++] = *f;
}

/* A card's device that another program has is there all the same. */
static void add_device(struct answer *a, snd_ctl_t *card, const char *id, const char *name, int dev)
{
    snd_pcm_info_t *info;
    struct takt_error ignored;
    struct found *f = next_of(a);
    snd_pcm_info_alloca(&info);
    if (!f)
        return;
    snprintf(f->rest, sizeof f->rest, "hw:CARD=%.32s,DEV=%d", id, dev);
    const struct found *before = seen_before(f->rest);
    if (before) {
        *f = *before;
        a->count++;
        return;
    }
    for (int is_input = 0; is_input < 2; is_input++) {
        snd_pcm_info_set_device(info, (unsigned)dev);
        snd_pcm_info_set_subdevice(info, 0);
        snd_pcm_info_set_stream(info, is_input ? SND_PCM_STREAM_CAPTURE : SND_PCM_STREAM_PLAYBACK);
        if (snd_ctl_pcm_info(card, info) < 0)
            continue;
        snprintf(f->description, sizeof f->description, "%.50s, %.50s", name,
                 snd_pcm_info_get_name(info));
        if (probe(f->rest, is_input, f, &ignored) < 0) {
            *(is_input ? &f->ins : &f->outs) = 2;
            f->is_busy = true;
        }
    }
    if (f->ins || f->outs) {
        keep_seen(f);
        a->count++;
    }
}

static void add_cards(struct answer *a)
{
    snd_ctl_card_info_t *info;
    snd_ctl_card_info_alloca(&info);
    for (int number = -1; snd_card_next(&number) >= 0 && number >= 0;) {
        char name[32];
        snd_ctl_t *card;
        snprintf(name, sizeof name, "hw:%d", number);
        if (snd_ctl_open(&card, name, SND_CTL_NONBLOCK) < 0)
            continue;
        if (snd_ctl_card_info(card, info) >= 0)
            for (int dev = -1; snd_ctl_pcm_next_device(card, &dev) >= 0 && dev >= 0;)
                add_device(a, card, snd_ctl_card_info_get_id(info),
                           snd_ctl_card_info_get_name(info), dev);
        snd_ctl_close(card);
    }
}

/* What answers as `default` may be a server's plugin as well as a card. */
static void add_default(struct answer *a)
{
    struct takt_error ignored;
    struct found *f = next_of(a);
    if (!f || probe_both(f, &ignored) < 0)
        return;
    snprintf(f->description, sizeof f->description, "ALSA's default");
    a->count++;
}

static int look(void *arg)
{
    struct answer *a = arg;
    if (a->wants_all) {
        pthread_mutex_lock(&seen_lock);
        add_default(a);
        add_cards(a);
        pthread_mutex_unlock(&seen_lock);
        return 0;
    }
    struct found *f = next_of(a);
    snprintf(f->rest, sizeof f->rest, "%s", a->rest);
    snprintf(f->description, sizeof f->description, "ALSA's %.90s", takt_alsa_pcm_name(a->rest));
    a->count = 1;
    return probe_both(f, &a->error);
}

static void describe(const struct found *f, struct takt_device_info *out)
{
    unsigned low = f->rate_min ? f->rate_min : RATE_HZ_MIN;
    unsigned high = f->rate_max ? f->rate_max : RATE_HZ_MAX;
    *out = (struct takt_device_info){.backend = "alsa",
                                     .in_channels_max = f->ins,
                                     .out_channels_max = f->outs,
                                     .rate_hz_default = within(RATE_HZ_DEFAULT, low, high),
                                     .rate_hz_min = low,
                                     .rate_hz_max = high,
                                     .block_frames_default = LOW_FRAMES,
                                     .block_frames_min = 1,
                                     .block_frames_max = TAKT_BLOCK_FRAMES_MAX,
                                     .format = TAKT_F32};
    out->latency_low_s = (double)LOW_FRAMES / out->rate_hz_default;
    out->latency_high_s = (double)HIGH_FRAMES * (HIGH_PERIODS - 1) / out->rate_hz_default;
    snprintf(out->id, sizeof out->id, "alsa:%s", f->rest);
    snprintf(out->description, sizeof out->description, "%s%s", f->description,
             f->is_busy ? " (another program has it)" : "");
}

static int query(const char *rest, struct takt_device_info *out, struct takt_error *e)
{
    static const char *const hung = "alsa:%.80s: it does not answer";
    struct answer a = {.wants_all = false};
    if (strlen(rest) >= sizeof a.rest)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, 0, "alsa:%.40s…: too long a name", rest);
    snprintf(a.rest, sizeof a.rest, "%s", rest);
    int err = takt_host_ask(look, &a, sizeof a, ask_ns);
    if (err == TAKT_ERR_TIMEOUT)
        return takt_fail(e, err, 0, hung, rest);
    if (err < 0 && e)
        *e = a.error;
    if (err >= 0)
        describe(&a.found[0], out);
    return err;
}

static int list(struct takt_device_info *out, int max)
{
    struct answer a = {.wants_all = true};
    if (takt_host_ask(look, &a, sizeof a, ask_ns) < 0)
        return 0;
    for (int i = 0; i < a.count && i < max; i++)
        describe(&a.found[i], &out[i]);
    return a.count;
}

/* The card in "hw:PCH,0", "plughw:CARD=PCH,DEV=0" and the like. */
static size_t card_of(const char *rest, const char **card)
{
    const char *at = strchr(rest, ':');
    *card = at ? at + 1 : rest;
    if (!strncmp(*card, "CARD=", 5))
        *card += 5;
    return strcspn(*card, ",");
}

static bool one_clock(const char *in_rest, const char *out_rest)
{
    const char *in, *out;
    size_t ins = card_of(in_rest, &in), outs = card_of(out_rest, &out);
    return !strcmp(in_rest, out_rest) ||
           (strchr(in_rest, ':') && strchr(out_rest, ':') && ins == outs && !strncmp(in, out, ins));
}

static int open_driver(const struct takt_driver_cfg *cfg, struct takt_driver **out,
                       struct takt_error *e)
{
    return takt_host_open(cfg, takt_alsa_link_make, "alsa", out, e);
}

const struct takt_backend takt_backend_alsa = {.scheme = "alsa",
                                               .has_clock = true,
                                               .one_clock = one_clock,
                                               .list = list,
                                               .query = query,
                                               .list_alters = true,
                                               .open_driver = open_driver};
