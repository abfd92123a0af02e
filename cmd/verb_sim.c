/*
 * Hours of the engine under faults, from a seed. What it prints as JSON follows from the seed
 * alone, so it says nothing of how long it took; the text does.
 */
#include "json.h"
#include "output.h"
#include "signals.h"
#include "verbs.h"
#include "watchdog.h"

#include <stdio.h>

struct simulation {
    const struct options *options;
    struct signals signals;
    double next_hours; /* of the next line of progress */
    bool stopped_by_user;
};

/* ---- Telling --------------------------------------------------------------------------------- */

static void print_json(const struct takt_simulate_report *r, const char *type, const char *end)
{
    struct json j = {.to = stdout};
    char hash[20];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)r->hash);
    json_open(&j, NULL, '{');
    json_string(&j, "type", type);
    json_string(&j, "verb", "sim");
    if (end)
        json_string(&j, "ended_by", end);
    json_int(&j, "seed", (int64_t)r->seed);
    json_number(&j, "virtual_hours", r->virtual_hours, 6);
    json_int(&j, "scenarios", (int64_t)r->scenarios);
    json_int(&j, "steps", (int64_t)r->steps);
    json_int(&j, "blocks", (int64_t)r->blocks);
    json_int(&j, "frames", (int64_t)r->frames);
    json_int(&j, "lost_frames", (int64_t)r->lost_frames);
    json_int(&j, "misses", (int64_t)r->misses);
    json_open(&j, "faults", '{');
    for (int f = 0; f < TAKT_FAULTS; f++)
        json_int(&j, takt_fault_name((enum takt_fault)f), (int64_t)r->faults[f]);
    json_close(&j, '}');
    json_string(&j, "hash", hash);
    if (r->broken) {
        json_open(&j, "broken", '{');
        json_int(&j, "scenario", (int64_t)r->scenario);
        json_int(&j, "step", (int64_t)r->step);
        json_string(&j, "text", r->text);
        json_close(&j, '}');
    } else {
        json_raw(&j, "broken", "null");
    }
    json_close(&j, '}');
    json_end_line(&j);
}

static void print_text(const struct takt_simulate_report *r, int64_t took_ns, bool is_cut)
{
    double took_s = (double)took_ns / 1e9;
    printf("seed %llu: %.3f virtual hours in %.1f s, %.0f times as fast as time\n",
           (unsigned long long)r->seed, r->virtual_hours, took_s,
           took_s > 0 ? r->virtual_hours * 3600 / took_s : 0);
    printf("  %llu scenarios, %llu steps, %llu blocks, %llu frames and %llu lost\n",
           (unsigned long long)r->scenarios, (unsigned long long)r->steps,
           (unsigned long long)r->blocks, (unsigned long long)r->frames,
           (unsigned long long)r->lost_frames);
    printf("  %llu deadlines missed, all on record\n  faults:", (unsigned long long)r->misses);
    for (int f = 0; f < TAKT_FAULTS; f++)
        printf("%s %s %llu", f ? "," : "", takt_fault_name((enum takt_fault)f),
               (unsigned long long)r->faults[f]);
    printf("\n  no invariant broken%s\n", is_cut ? " until you stopped it" : "");
}

/* ---- The verb -------------------------------------------------------------------------------- */

static bool progress(const struct takt_simulate_report *r, void *arg)
{
    struct simulation *s = arg;
    const struct options *o = s->options;
    s->stopped_by_user |= signals_ends(signals_next(&s->signals));
    watchdog_feed();
    if (o->json && !o->quiet && r->virtual_hours >= s->next_hours) {
        print_json(r, "progress", NULL);
        s->next_hours = r->virtual_hours + o->hours / 10;
    }
    return !s->stopped_by_user && output_flush() == OUTPUT_WELL;
}

static void trace(const char *line, void *arg)
{
    fprintf(stderr, "%s\n", line);
}

static int tell(const struct simulation *s, const struct takt_simulate_report *r, int64_t took_ns)
{
    const struct options *o = s->options;
    if (o->json)
        print_json(r, "summary", r->broken ? "broken" : s->stopped_by_user ? "user" : "done");
    if (r->broken) {
        fprintf(stderr,
                "takt: sim: seed %llu scenario %llu step %llu: %s; "
                "replay with: takt sim --seed %llu --scenario %llu\n",
                (unsigned long long)r->seed, (unsigned long long)r->scenario,
                (unsigned long long)r->step, r->text, (unsigned long long)r->seed,
                (unsigned long long)r->scenario);
        return EXIT_FAILED;
    }
    if (!o->json && !o->quiet)
        print_text(r, took_ns, s->stopped_by_user);
    return EXIT_OK;
}

int verb_sim(struct options *o)
{
    struct simulation s = {.options = o, .next_hours = o->hours / 10};
    struct takt_simulate_report r;
    struct takt_error e;
    int status = verb_words(o, 0, 0, "");
    if (status)
        return status;
    signals_take(&s.signals);
    watchdog_begin(&(struct watchdog){.command = "sim",
                                      .seed = o->seed ? o->seed : 1,
                                      .where = takt_simulate_where,
                                      .before_at = " step ",
                                      .after_at = "",
                                      .replays = true});
    int64_t began_ns = takt_now_ns();
    int err = takt_simulate(&(struct takt_simulate_cfg){.seed = o->seed,
                                                        .hours = o->hours,
                                                        .only_one = o->has_scenario,
                                                        .scenario = o->scenario,
                                                        .progress = progress,
                                                        .trace = o->verbose ? trace : NULL,
                                                        .arg = &s},
                            &r, &e);
    watchdog_end();
    status =
        err < 0 ? complain(o, EXIT_FAILED, "%s", e.text) : tell(&s, &r, takt_now_ns() - began_ns);
    signals_give_back(&s.signals);
    return status;
}
