/*
 * One stream as options say, a row of streams that are drawn, or one whose arrivals were recorded.
 */
#include "takt/simulate_net.h"

#include "base/fail.h"
#include "lab/net_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All of a simulation. */
struct simulation {
    const struct takt_simulate_net_cfg *cfg;
    struct takt_simulate_net_report *report;
    struct takt_lab_sound sound;
    struct takt_lab_net_trace trace;
    struct takt_hist *latency, *lateness;
    bool stopped;
};

void takt_simulate_net_where(uint64_t *scenario, double *time_s)
{
    takt_lab_net_where(scenario, time_s);
}

static bool has_option(const struct takt_simulate_net_cfg *cfg, const char *name)
{
    for (uint32_t i = 0; i < cfg->options_count; i++)
        if (!strcmp(cfg->option[i].name, name))
            return true;
    return false;
}

/* All options, on the usual stream. */
static int apply_all(const struct takt_simulate_net_cfg *cfg, struct takt_lab_net_plan *p,
                     struct takt_error *e)
{
    takt_lab_net_usual(p);
    for (uint32_t i = 0; i < cfg->options_count; i++) {
        int err = takt_lab_net_apply(p, cfg->option[i].name, cfg->option[i].value, e);
        if (err < 0)
            return err;
    }
    if (has_option(cfg, "burst") && !has_option(cfg, "loss"))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "--burst: no packet is lost that could be in a row; add --loss SHARE");
    return TAKT_OK;
}

int takt_simulate_net_option(struct takt_simulate_net_cfg *cfg, const char *name, const char *value,
                             struct takt_error *e)
{
    struct takt_lab_net_plan p;
    takt_lab_net_usual(&p);
    int err = takt_lab_net_apply(&p, name, value, e);
    if (err < 0)
        return err;
    if (strlen(value) >= TAKT_SIMULATE_NET_VALUE_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "--%s %.20s...: that is too long", name, value);
    if (cfg->options_count == TAKT_SIMULATE_NET_OPTIONS_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "more than %d options", TAKT_SIMULATE_NET_OPTIONS_MAX);
    strcpy(cfg->option[cfg->options_count].name, name);
    strcpy(cfg->option[cfg->options_count].value, value);
    cfg->options_count++;
    return TAKT_OK;
}

static int run_one(struct simulation *m, struct takt_lab_net_plan *p, bool tells_seconds,
                   struct takt_error *e)
{
    const struct takt_simulate_net_cfg *cfg = m->cfg;
    char line[512];
    int err = takt_lab_net_settle(p, e);
    if (err < 0)
        return err;
    if (cfg->tell) {
        int used = snprintf(line, sizeof line, "scenario %llu: ", (unsigned long long)p->number);
        takt_lab_net_describe(p, line + used, sizeof line - (size_t)used);
        cfg->tell(line, cfg->arg);
    }
    m->report->scenarios++;
    return takt_lab_net_run(&(struct takt_lab_net_job){.plan = p,
                                                       .cfg = cfg,
                                                       .sound = &m->sound,
                                                       .trace = m->trace.lines ? &m->trace : NULL,
                                                       .latency = m->latency,
                                                       .lateness = m->lateness,
                                                       .tells_seconds = tells_seconds},
                            m->report, &m->stopped, e);
}

static int run_row(struct simulation *m, double hours, struct takt_error *e)
{
    const struct takt_simulate_net_cfg *cfg = m->cfg;
    struct takt_simulate_net_report *r = m->report;
    for (uint64_t number = cfg->only_one ? cfg->scenario : 0;; number++) {
        struct takt_lab_net_plan p;
        takt_lab_net_draw(&p, r->seed, number);
        int err = run_one(m, &p, false, e);
        if (err < 0 || r->broken || cfg->only_one || r->virtual_hours >= hours)
            return err;
        if (cfg->progress && !cfg->progress(r, cfg->arg))
            return TAKT_OK;
    }
}

static int run_all(struct simulation *m, struct takt_error *e)
{
    const struct takt_simulate_net_cfg *cfg = m->cfg;
    struct takt_lab_net_plan p;
    double hours = cfg->hours > 0 ? cfg->hours : 1;
    if (!cfg->options_count && !cfg->trace)
        return run_row(m, hours, e);
    int err = apply_all(cfg, &p, e);
    p.seed = m->report->seed;
    p.seconds = 3600 * hours;
    if (err >= 0 && cfg->trace) {
        uint32_t rate_hz = cfg->trace_rate_hz ? cfg->trace_rate_hz : 48000;
        err = takt_lab_net_trace_read(cfg->trace, rate_hz, &m->trace, e);
        if (err >= 0)
            takt_lab_net_trace_plan(&m->trace, &p);
    }
    return err < 0 ? err : run_one(m, &p, true, e);
}

int takt_simulate_net(const struct takt_simulate_net_cfg *cfg, struct takt_simulate_net_report *out,
                      struct takt_error *e)
{
    struct simulation m = {.cfg = cfg, .report = out};
    *out = (struct takt_simulate_net_report){.seed = cfg->seed ? cfg->seed : 1};
    if (cfg->options_count > TAKT_SIMULATE_NET_OPTIONS_MAX ||
        (cfg->trace_rate_hz && (cfg->trace_rate_hz < 1000 || cfg->trace_rate_hz > 1000000)))
        return takt_fail(e, TAKT_ERR_ARG, 0, "a trace's rate is 1000 to 1000000 Hz");
    m.latency = calloc(1, sizeof *m.latency);
    m.lateness = calloc(1, sizeof *m.lateness);
    int err = TAKT_OK;
    if (!m.latency || !m.lateness || takt_lab_sound_init(&m.sound) < 0)
        err = takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    if (err >= 0)
        err = run_all(&m, e);
    takt_lab_net_trace_clear(&m.trace);
    takt_lab_sound_fini(&m.sound);
    free(m.latency);
    free(m.lateness);
    return err < 0 ? err : TAKT_OK;
}
