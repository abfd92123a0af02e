/*
 * The measuring part: two objects of the library, fed with the same frames, and what they say.
 * meter_view.c draws it.
 */
#include "meter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *mode_name(enum meter_mode mode)
{
    switch (mode) {
    case METER_LEVEL:
        return "level";
    case METER_LOUDNESS:
        return "loudness";
    case METER_TRUE_PEAK:
        return "truepeak";
    case METER_CORRELATION:
        return "correlation";
    case METER_ALL:
        return "all";
    default:
        return takt_needle_name((enum takt_needle)(mode - METER_NEEDLES));
    }
}

bool meter_mode_read(const char *name, enum meter_mode *mode)
{
    for (int m = 0; m < METER_MODES; m++)
        if (!strcmp(name, mode_name((enum meter_mode)m))) {
            *mode = (enum meter_mode)m;
            return true;
        }
    return false;
}

const char *meter_mode_near(const char *name)
{
    const char *names[METER_MODES + 1] = {NULL};
    for (int m = 0; m < METER_MODES; m++)
        names[m] = mode_name((enum meter_mode)m);
    return nearest(name, names);
}

const char *meter_mode_names(void)
{
    return "level, loudness, truepeak, vu, ppm-din, ppm-nordic, ppm-bbc, ppm-ebu, k20, k14, k12, "
           "correlation or all";
}

size_t meter_reading_bytes(uint32_t channels)
{
    return sizeof(struct meter_reading) + channels * sizeof(struct meter_channel);
}

int meter_open(struct meter *m, uint32_t channels, uint32_t rate_hz, struct takt_error *e)
{
    struct takt_loudness_cfg loudness = {.channels = channels, .rate_hz = rate_hz};
    struct takt_ballistics_cfg ballistics = {.channels = channels, .rate_hz = rate_hz};
    m->channels = channels;
    m->rate_hz = rate_hz;
    int err = takt_loudness_create(&loudness, &m->loudness, e);
    bool can_do_without = m->mode != METER_LOUDNESS && m->mode != METER_TRUE_PEAK;
    if (err < 0 && !(err == TAKT_ERR_UNSUPPORTED && can_do_without))
        return err;
    return takt_ballistics_create(&ballistics, &m->ballistics, e);
}

void meter_close(struct meter *m)
{
    takt_loudness_destroy(m->loudness);
    takt_ballistics_destroy(m->ballistics);
    m->loudness = NULL;
    m->ballistics = NULL;
}

void meter_take(struct meter *m, const float *x, size_t frames, uint64_t position)
{
    if (m->loudness)
        takt_loudness_process(m->loudness, x, frames, position);
    takt_ballistics_process(m->ballistics, x, frames, position);
}

void meter_read(const struct meter *m, struct meter_reading *out)
{
    memset(out, 0, meter_reading_bytes(m->channels));
    out->has_loudness = m->loudness;
    if (m->loudness)
        takt_loudness_read(m->loudness, &out->loudness);
    takt_ballistics_correlation(m->ballistics, &out->correlation);
    for (uint32_t c = 0; c < m->channels; c++) {
        takt_ballistics_read(m->ballistics, c, &out->channel[c].needles);
        if (m->loudness)
            takt_loudness_true_peak(m->loudness, c, &out->channel[c].true_peak);
    }
}

/* ---- JSON --------------------------------------------------------------------------------------
 */

/* null where there is no loudness, so that the names are always there. */
static double if_there(const struct meter_reading *r, double value)
{
    return r->has_loudness ? value : (double)NAN;
}

/* On the needles' own scales. */
static void json_needles(struct json *j, const double *dbfs)
{
    static const char *const names[TAKT_NEEDLES] = {
        "vu", "ppm_din_db", "ppm_nordic_db", "ppm_bbc", "ppm_ebu_db", "k20_db", "k14_db", "k12_db"};
    for (int n = 0; n < TAKT_NEEDLES; n++)
        json_number(j, names[n], takt_needle_mark((enum takt_needle)n, dbfs[n]), 3);
}

void meter_json(struct json *j, const struct meter *m, const struct meter_reading *now)
{
    const struct takt_loudness_reading *l = &now->loudness;
    json_number(j, "momentary_lufs", if_there(now, l->momentary_lufs), 3);
    json_number(j, "short_term_lufs", if_there(now, l->short_term_lufs), 3);
    json_number(j, "integrated_lufs", if_there(now, l->integrated_lufs), 3);
    json_number(j, "loudness_range_lu", if_there(now, l->range_lu), 3);
    json_number(j, "true_peak_dbtp", if_there(now, l->true_peak_dbtp), 3);
    json_number(j, "correlation", m->channels > 1 ? now->correlation.now : (double)NAN, 4);
    json_open(j, "channels", '[');
    for (uint32_t c = 0; c < m->channels; c++) {
        const struct meter_channel *ch = &now->channel[c];
        json_open(j, NULL, '{');
        json_number(j, "window_rms_dbfs", ch->needles.rms_dbfs, 3);
        json_number(j, "true_peak_dbtp", if_there(now, ch->true_peak.recent_dbtp), 3);
        json_needles(j, ch->needles.dbfs);
        json_close(j, '}');
    }
    json_close(j, ']');
}

void meter_json_summary(struct json *j, const struct meter *m, const struct meter_reading *end)
{
    const struct takt_loudness_reading *l = &end->loudness;
    json_open(j, "loudness", '{');
    json_number(j, "integrated_lufs", if_there(end, l->integrated_lufs), 3);
    json_number(j, "loudness_range_lu", if_there(end, l->range_lu), 3);
    json_number(j, "range_low_lufs", if_there(end, l->range_low_lufs), 3);
    json_number(j, "range_high_lufs", if_there(end, l->range_high_lufs), 3);
    json_number(j, "momentary_max_lufs", if_there(end, l->momentary_max_lufs), 3);
    json_number(j, "short_term_max_lufs", if_there(end, l->short_term_max_lufs), 3);
    json_number(j, "gate_lufs", if_there(end, l->gate_lufs), 3);
    json_number(j, "target_lufs", m->target_lufs, 3);
    json_number(j, "true_peak_dbtp", if_there(end, l->true_peak_dbtp), 3);
    json_close(j, '}');
    json_open(j, "correlation", '{');
    json_number(j, "total", m->channels > 1 ? end->correlation.total : (double)NAN, 4);
    json_number(j, "least", m->channels > 1 ? end->correlation.least : (double)NAN, 4);
    json_close(j, '}');
    json_open(j, "meters", '['); /* the highest of each, by channel */
    for (uint32_t c = 0; c < m->channels; c++) {
        json_open(j, NULL, '{');
        json_number(j, "true_peak_dbtp", if_there(end, end->channel[c].true_peak.max_dbtp), 3);
        json_needles(j, end->channel[c].needles.max_dbfs);
        json_close(j, '}');
    }
    json_close(j, ']');
}

/* ---- Words -------------------------------------------------------------------------------------
 */

static size_t put_loudness(char *to, size_t size, const struct takt_loudness_reading *l)
{
    return (size_t)snprintf(
        to, size, "M %.1f  S %.1f  I %.1f LUFS  range %.1f LU  true peak %.1f dBTP",
        l->momentary_lufs, l->short_term_lufs, l->integrated_lufs, l->range_lu, l->true_peak_dbtp);
}

void meter_text(char *to, size_t size, const struct meter *m, const struct meter_reading *now)
{
    enum { CHANNELS_SHOWN = 8 };
    bool is_needle = m->mode >= METER_NEEDLES && m->mode < METER_CORRELATION;
    enum takt_needle n = (enum takt_needle)(is_needle ? m->mode - METER_NEEDLES : 0);
    size_t used = 0;
    to[0] = '\0';
    if ((m->mode == METER_LOUDNESS || m->mode == METER_ALL) && now->has_loudness)
        used = put_loudness(to, size, &now->loudness);
    if (is_needle)
        used = (size_t)snprintf(to, size, "%s", takt_needle_name(n));
    if ((m->mode == METER_CORRELATION || m->mode == METER_ALL) && used < size)
        used += (size_t)snprintf(to + used, size - used, "%scorrelation %+.2f", used ? "  " : "",
                                 now->correlation.now);
    for (uint32_t c = 0; c < m->channels && c < CHANNELS_SHOWN && used < size; c++) {
        const struct meter_channel *ch = &now->channel[c];
        if (m->mode == METER_TRUE_PEAK)
            used += (size_t)snprintf(to + used, size - used, "%sch%u true peak %.1f max %.1f",
                                     c ? "  " : "", c + 1, ch->true_peak.recent_dbtp,
                                     ch->true_peak.max_dbtp);
        if (is_needle)
            used += (size_t)snprintf(to + used, size - used, "  ch%u %.1f", c + 1,
                                     takt_needle_mark(n, ch->needles.dbfs[n]));
    }
}

void meter_print_summary(const struct meter *m, const struct meter_reading *end)
{
    const struct takt_loudness_reading *l = &end->loudness;
    bool is_needle = m->mode >= METER_NEEDLES && m->mode < METER_CORRELATION;
    if (end->has_loudness && l->integrated_lufs > -200)
        printf("loudness: %.1f LUFS, range %.1f LU, momentary up to %.1f, short-term up to %.1f; "
               "true peak %.1f dBTP\n",
               l->integrated_lufs, l->range_lu, l->momentary_max_lufs, l->short_term_max_lufs,
               l->true_peak_dbtp);
    else if (end->has_loudness)
        printf("loudness: none, nothing passed the gate; true peak %.1f dBTP\n", l->true_peak_dbtp);
    if (m->channels > 1 && (m->mode == METER_CORRELATION || m->mode == METER_ALL))
        printf("correlation: %+.2f, at the least %+.2f\n", end->correlation.total,
               end->correlation.least);
    for (uint32_t c = 0; is_needle && c < m->channels; c++) {
        enum takt_needle n = (enum takt_needle)(m->mode - METER_NEEDLES);
        printf("  channel %u: %s up to %.1f\n", c + 1, takt_needle_name(n),
               takt_needle_mark(n, end->channel[c].needles.max_dbfs[n]));
    }
}
