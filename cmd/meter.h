/*
 * meter.h - what takt meter measures beside the level, and how it looks: loudness, true peak,
 * needles, correlation. All of it is measured whatever is shown.
 */
#ifndef CMD_METER_H
#define CMD_METER_H

#include "json.h"
#include "options.h"
#include "terminal.h"

enum meter_mode {
    METER_LEVEL, /* what every verb shows */
    METER_LOUDNESS,
    METER_TRUE_PEAK,
    METER_NEEDLES, /* from here on, one for each enum takt_needle */
    METER_CORRELATION = METER_NEEDLES + TAKT_NEEDLES,
    METER_ALL,
    METER_MODES
};

/* "level", "loudness", "truepeak", "vu", …; false when there is none of that name. */
bool meter_mode_read(const char *name, enum meter_mode *mode);
/* The nearest of them, or NULL when none is near. */
const char *meter_mode_near(const char *name);
/* All of them with commas, for messages. */
const char *meter_mode_names(void);

struct meter {
    enum meter_mode mode;
    double target_lufs;
    uint32_t channels, rate_hz;
    struct takt_loudness *loudness; /* NULL where takt was built without it */
    struct takt_ballistics *ballistics;
};

struct meter_channel {
    struct takt_ballistics_reading needles;
    struct takt_true_peak true_peak;
};

/* All of one moment. */
struct meter_reading {
    bool has_loudness;
    struct takt_loudness_reading loudness;
    struct takt_correlation correlation;
    struct meter_channel channel[];
};

size_t meter_reading_bytes(uint32_t channels);

/* mode and target_lufs are set. A missing libebur128 is a failure only where loudness was asked
 * for. Returns 0 or a negative enum takt_err. */
int meter_open(struct meter *m, uint32_t channels, uint32_t rate_hz, struct takt_error *e);
void meter_close(struct meter *m);

/* x[frames][channels], the first at position. RT: no. */
void meter_take(struct meter *m, const float *x, size_t frames, uint64_t position);
void meter_read(const struct meter *m, struct meter_reading *out);

/* The fields of one moment, and of the end. */
void meter_json(struct json *j, const struct meter *m, const struct meter_reading *now);
void meter_json_summary(struct json *j, const struct meter *m, const struct meter_reading *end);
/* The same for people: one line without its newline, and some lines. */
void meter_text(char *to, size_t size, const struct meter *m, const struct meter_reading *now);
void meter_print_summary(const struct meter *m, const struct meter_reading *end);
/* How many lines of a picture the mode would have, and as many of them as there is room for. */
int meter_lines(const struct meter *m);
void meter_draw(struct terminal *t, const struct meter *m, const struct meter_reading *now,
                int lines);

#endif
