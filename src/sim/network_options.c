/* What can be asked of a network in words: see sim/network.h. */
#include "base/fail.h"
#include "sim/network.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERS_MAX = 2 };

static const double s_max = 1e6, ms_max = 1e4, kbit_s_max = 1e7;

const struct takt_network_option takt_network_options[] = {
    {"loss", "SHARE", "packets lost, 0.05: one in twenty"},
    {"burst", "PACKETS", "how many are lost in a row, on average"},
    {"delay", "MS", "what every packet takes"},
    {"jitter", "uniform:MS|gamma:MEAN,SD|pareto:SCALE,SHAPE", "what it takes besides, in ms"},
    {"order", "kept|free", "whether packets may overtake each other; free by default"},
    {"spike", "EVERY_S,MS", "single packets that are late, at random"},
    {"wifi", "SLOT_MS", "packets leave together, at the end of a slot"},
    {"step", "EVERY_S,MS", "the route becomes longer, and shorter again"},
    {"still", "EVERY_S,MS", "nothing arrives for a while, then all at once"},
    {"reorder", "SHARE", "packets that come 1 to 3 packets later"},
    {"duplicate", "SHARE", "packets that come twice"},
    {"corrupt", "SHARE", "packets with wrong bits"},
    {"truncate", "SHARE", "packets that are cut"},
    {"partition", "AT_S,FOR_S", "nothing gets through"},
    {"rate", "KBIT_S[,QUEUE_MS]", "a bottleneck, and what may wait before it; 200 ms by default"},
    {NULL, NULL, NULL},
};

/* Numbers with commas between them, and nothing else: how many, or 0. */
static int read_numbers(const char *text, double to[NUMBERS_MAX])
{
    for (int count = 0; count < NUMBERS_MAX; count++) {
        char *end;
        if (!isdigit((unsigned char)*text) && *text != '.')
            return 0;
        to[count] = strtod(text, &end);
        if (end == text || !isfinite(to[count]) || (*end && *end != ','))
            return 0;
        if (!*end)
            return count + 1;
        text = end + 1;
    }
    return 0;
}

static bool read_one(const char *text, double *to)
{
    double x[NUMBERS_MAX];
    bool is_one = read_numbers(text, x) == 1;
    *to = is_one ? x[0] : 0;
    return is_one;
}

static bool read_two(const char *text, double *a, double *b)
{
    double x[NUMBERS_MAX];
    bool are_two = read_numbers(text, x) == 2;
    *a = are_two ? x[0] : 0;
    *b = are_two ? x[1] : 0;
    return are_two;
}

static bool read_jitter(const char *text, struct takt_network_cfg *c)
{
    static const char *const names[] = {
        [TAKT_JITTER_UNIFORM] = "uniform:",
        [TAKT_JITTER_GAMMA] = "gamma:",
        [TAKT_JITTER_PARETO] = "pareto:",
    };
    for (int i = TAKT_JITTER_UNIFORM; i <= TAKT_JITTER_PARETO; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(text, names[i], length))
            continue;
        c->jitter = (enum takt_network_jitter)i;
        c->jitter_b = 0;
        return i == TAKT_JITTER_UNIFORM ? read_one(text + length, &c->jitter_a)
                                        : read_two(text + length, &c->jitter_a, &c->jitter_b);
    }
    return false;
}

static bool read_order(const char *text, struct takt_network_cfg *c)
{
    c->keeps_order = !strcmp(text, "kept");
    return c->keeps_order || !strcmp(text, "free");
}

static bool read_rate(const char *text, struct takt_network_cfg *c)
{
    c->queue_ms = 200;
    return read_one(text, &c->rate_kbit_s) || read_two(text, &c->rate_kbit_s, &c->queue_ms);
}

/* Whether the value has the form that belongs to the name. */
static bool read_value(const char *name, const char *text, struct takt_network_cfg *c)
{
    const struct {
        const char *name;
        double *a, *b;
    } numbers[] = {
        {"loss", &c->loss, NULL},
        {"burst", &c->burst, NULL},
        {"delay", &c->delay_ms, NULL},
        {"spike", &c->spike_every_s, &c->spike_ms},
        {"wifi", &c->wifi_slot_ms, NULL},
        {"step", &c->step_every_s, &c->step_ms},
        {"still", &c->still_every_s, &c->still_ms},
        {"reorder", &c->reorder, NULL},
        {"duplicate", &c->duplicate, NULL},
        {"corrupt", &c->corrupt, NULL},
        {"truncate", &c->truncate, NULL},
        {"partition", &c->partition_at_s, &c->partition_for_s},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(name, numbers[i].name))
            return numbers[i].b ? read_two(text, numbers[i].a, numbers[i].b)
                                : read_one(text, numbers[i].a);
    if (!strcmp(name, "jitter"))
        return read_jitter(text, c);
    if (!strcmp(name, "order"))
        return read_order(text, c);
    return read_rate(text, c);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

/* False for NaN, too. */
static bool is_within(double x, double low, double high)
{
    return x >= low && x <= high;
}

/* A pair that is not asked for is 0 and 0. */
static bool is_repeated(double every_s, double ms)
{
    return (every_s == 0 && ms == 0) ||
           (is_within(every_s, 1e-3, s_max) && is_within(ms, 0, ms_max));
}

/* Not whole: loss and burst, which have to fit each other, are set one after the other. */
static int check(const struct takt_network_cfg *c, bool is_whole, struct takt_error *e)
{
    bool is_pareto = c->jitter == TAKT_JITTER_PARETO, is_gamma = c->jitter == TAKT_JITTER_GAMMA;
    const struct {
        bool is_right;
        const char *what;
    } rules[] = {
        {is_within(c->loss, 0, 1), "loss is a share, 0 to 1"},
        {c->burst == 0 || is_within(c->burst, 1, 1e4), "burst is 1 to 10000 packets"},
        {!is_whole || c->burst == 0 || c->loss <= c->burst / (1 + c->burst),
         "so much loss needs longer bursts: burst >= loss / (1 - loss)"},
        {is_within(c->delay_ms, 0, ms_max), "delay is 0 to 10000 ms"},
        {c->jitter >= TAKT_JITTER_NONE && c->jitter <= TAKT_JITTER_PARETO,
         "jitter is uniform, gamma or pareto"},
        {c->jitter == TAKT_JITTER_NONE || is_within(c->jitter_a, 0, ms_max),
         "jitter is 0 to 10000 ms"},
        {!is_gamma || is_within(c->jitter_b, 0, ms_max), "jitter deviates by 0 to 10000 ms"},
        {!is_pareto || is_within(c->jitter_b, 0.1, 100), "Pareto's shape is 0.1 to 100"},
        {is_repeated(c->spike_every_s, c->spike_ms), "spike is every 0.001 to 1000000 s, 0 to "
                                                     "10000 ms"},
        {is_within(c->wifi_slot_ms, 0, ms_max), "wifi's slot is 0 to 10000 ms"},
        {is_repeated(c->step_every_s, c->step_ms), "step is every 0.001 to 1000000 s, 0 to "
                                                   "10000 ms"},
        {is_repeated(c->still_every_s, c->still_ms) && c->still_ms <= 1000 * c->still_every_s,
         "still is every 0.001 to 1000000 s, and no longer than that"},
        {is_within(c->reorder, 0, 1), "reorder is a share, 0 to 1"},
        {is_within(c->duplicate, 0, 1), "duplicate is a share, 0 to 1"},
        {is_within(c->corrupt, 0, 1), "corrupt is a share, 0 to 1"},
        {is_within(c->truncate, 0, 1), "truncate is a share, 0 to 1"},
        {is_within(c->partition_at_s, 0, s_max) && is_within(c->partition_for_s, 0, s_max),
         "partition is 0 to 1000000 s"},
        {c->rate_kbit_s == 0 || is_within(c->rate_kbit_s, 1, kbit_s_max),
         "rate is 1 to 10000000 kbit/s, or 0 for no bottleneck"},
        {is_within(c->queue_ms, 0, ms_max), "the queue of rate is 0 to 10000 ms"},
        {c->flight_max <= 1 << 20, "at most 2^20 packets are on their way"},
        {c->bytes_max <= 65535, "packets have at most 65535 bytes"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!rules[i].is_right)
            return takt_fail(e, TAKT_ERR_ARG, 0, "network: %s", rules[i].what);
    return TAKT_OK;
}

int takt_network_check(const struct takt_network_cfg *cfg, struct takt_error *e)
{
    return check(cfg, true, e);
}

int takt_network_parse(const char *name, const char *value, struct takt_network_cfg *cfg,
                       struct takt_error *e)
{
    const struct takt_network_option *o = takt_network_options;
    while (o->name && strcmp(o->name, name) != 0)
        o++;
    if (!o->name)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, 0, "network: there is no '%.40s'", name);
    struct takt_network_cfg changed = *cfg;
    if (!value || !read_value(name, value, &changed))
        return takt_fail(e, TAKT_ERR_ARG, 0, "network: %s=%.60s: write it as %s=%s", name,
                         value ? value : "", name, o->form);
    int code = check(&changed, false, e);
    if (code == TAKT_OK)
        *cfg = changed;
    return code;
}
