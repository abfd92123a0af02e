/*
 * Hours of sound over a network with faults, from a seed. The faults and what is sent are options
 * of this verb alone, and the library lists them. What it prints as JSON follows from the seed and
 * the options, so it says nothing of how long it took; the text does.
 */
#include "net_json.h"
#include "output.h"
#include "signals.h"
#include "verbs.h"
#include "watchdog.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARED_OPTIONS "--seed --hours --scenario --json -q -v -h"

enum { WIDTH = 79 };

struct net_simulation {
    struct options *options;
    struct takt_simulate_net_cfg cfg;
    struct signals signals;
    double next_s;   /* of the next line, in virtual seconds */
    int64_t told_ns; /* when the last line of text was printed */
    bool stopped_by_user;
};

/* ---- Help ------------------------------------------------------------------------------------ */

static void print_infos(bool are_faults)
{
    const struct takt_simulate_net_info *info;
    int column = 0;
    for (uint32_t i = 0; (info = takt_simulate_net_info(i)); i++) {
        char word[80];
        int length = snprintf(word, sizeof word, "--%s %s", info->name, info->form);
        if (info->is_fault != are_faults)
            continue;
        if (column && column + 2 + length > WIDTH) {
            printf("\n");
            column = 0;
        }
        column += printf("  %s", word);
    }
    printf("\n");
}

static int help(void)
{
    printf("takt sim net - sound over a network with faults, on virtual clocks\n"
           "Sender, path and receiver run for --hours with the faults you name, and the\n"
           "receiver's statistics are printed. Without any option of this kind it is a row\n"
           "of scenarios of 1 to 10 minutes, drawn from the seed. Frames, counts, silence,\n"
           "delay and memory are checked throughout; man takt says what each option does.\n\n");
    print_infos(true);
    printf("\nWhat is sent, and how it is received:\n");
    print_infos(false);
    printf("\n  --trace FILE  replay arrivals: lines \"arrival_ns rtp_timestamp\", at --rate HZ\n"
           "  --seed N   --hours H   --scenario N   --json   -q, --quiet   -v, --verbose\n");
    return EXIT_OK;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_net(struct json *j, const struct takt_simulate_net_report *r)
{
    const struct takt_recv_stats *st = &r->stats;
    const struct takt_recv_source *s = &st->source[0];
    json_open(j, "net", '{');
    net_json_quantiles(j, "latency_ms", &s->latency);
    net_json_quantiles(j, "lateness_ms", &s->lateness_ms);
    json_number(j, "target_ms", s->target_ms, 3);
    json_number(j, "delay_ms", s->delay_ms, 3);
    json_number(j, "delay_ms_mean", r->delay_ms_mean, 4);
    json_number(j, "cost_ms", r->cost_ms, 4);
    json_number(j, "late_ratio", st->late_ratio, 7);
    json_number(j, "lost_ratio", st->lost_ratio, 7);
    json_number(j, "repaired_ratio", st->repaired_ratio, 7);
    json_number(j, "concealed_ratio", st->concealed_ratio, 7);
    json_number(j, "drift_ppm", s->drift_ppm, 2);
    json_number(j, "speed_ppm", s->speed_ppm, 2);
    json_number(j, "jitter_ms", s->jitter_ms, 3);
    json_number(j, "round_trip_ms", s->round_trip_ms > 0 ? s->round_trip_ms : (double)NAN, 3);
    json_number(j, "kbit_s", st->kbit_s, 1);
    json_int(j, "packets", (int64_t)st->counts.packets);
    net_json_counts(j, &st->counts);
    json_close(j, '}');
}

static void json_path(struct json *j, const struct takt_simulate_net_report *r)
{
    const struct takt_simulate_net_path *p = &r->path;
    json_open(j, "path", '{');
    json_int(j, "sent", (int64_t)p->sent);
    json_int(j, "delivered", (int64_t)p->delivered);
    json_int(j, "lost", (int64_t)p->lost);
    json_int(j, "dropped", (int64_t)p->dropped);
    json_int(j, "duplicated", (int64_t)p->duplicated);
    json_int(j, "reordered", (int64_t)p->reordered);
    json_int(j, "corrupted", (int64_t)p->corrupted);
    json_int(j, "truncated", (int64_t)p->truncated);
    json_close(j, '}');
}

static void json_broken(struct json *j, const struct takt_simulate_net_report *r)
{
    if (!r->broken) {
        json_raw(j, "broken", "null");
        return;
    }
    json_open(j, "broken", '{');
    json_int(j, "scenario", (int64_t)r->scenario);
    json_number(j, "time_s", r->time_s, 6);
    json_string(j, "text", r->text);
    json_close(j, '}');
}

static void print_json(const struct net_simulation *s, const struct takt_simulate_net_report *r,
                       const char *type, const char *end)
{
    struct json j = {.to = stdout};
    char hash[20];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)r->hash);
    json_open(&j, NULL, '{');
    json_string(&j, "type", type);
    json_string(&j, "verb", "sim net");
    if (end)
        json_string(&j, "ended_by", end);
    json_int(&j, "seed", (int64_t)r->seed);
    json_number(&j, "seconds", r->virtual_hours * 3600, 3);
    json_number(&j, "virtual_hours", r->virtual_hours, 6);
    json_int(&j, "scenarios", (int64_t)r->scenarios);
    json_int(&j, "frames", (int64_t)r->frames);
    json_net(&j, r);
    json_path(&j, r);
    json_int(&j, "restarts", (int64_t)r->restarts);
    json_int(&j, "stalls", (int64_t)r->stalls);
    json_int(&j, "jumps", (int64_t)r->jumps);
    json_string(&j, "hash", hash);
    json_broken(&j, r);
    json_close(&j, '}');
    json_end_line(&j);
}

/* ---- Text ------------------------------------------------------------------------------------ */

static void print_line(const struct takt_simulate_net_report *r)
{
    const struct takt_recv_source *s = &r->stats.source[0];
    printf("%9.2f h  delay %6.1f of %6.1f ms  late %.3f %%  lost %.3f %%  concealed %.3f %%\n",
           r->virtual_hours, s->delay_ms, s->target_ms, 100 * r->stats.late_ratio,
           100 * r->stats.lost_ratio, 100 * r->stats.concealed_ratio);
}

static void print_counts(const struct takt_simulate_net_report *r)
{
    const struct takt_recv_counts *c = &r->stats.counts;
    const struct takt_simulate_net_path *p = &r->path;
    printf("  path      %llu sent, %llu delivered, %llu lost, %llu dropped, %llu duplicated\n",
           (unsigned long long)p->sent, (unsigned long long)p->delivered,
           (unsigned long long)p->lost, (unsigned long long)p->dropped,
           (unsigned long long)p->duplicated);
    printf("  packets   %llu played, %llu late, %llu lost, %llu repaired, %llu skipped\n",
           (unsigned long long)c->played, (unsigned long long)c->late, (unsigned long long)c->lost,
           (unsigned long long)c->repaired, (unsigned long long)c->skipped);
    printf("  ratios    late %.4f %%, lost %.4f %%, repaired %.4f %%, concealed %.4f %%\n",
           100 * r->stats.late_ratio, 100 * r->stats.lost_ratio, 100 * r->stats.repaired_ratio,
           100 * r->stats.concealed_ratio);
}

static void print_text(const struct net_simulation *s, const struct takt_simulate_net_report *r,
                       int64_t took_ns)
{
    const struct takt_recv_source *x = &r->stats.source[0];
    double took_s = (double)took_ns / 1e9;
    printf("seed %llu: %.3f virtual hours in %.1f s, %.0f times as fast as time\n",
           (unsigned long long)r->seed, r->virtual_hours, took_s,
           took_s > 0 ? r->virtual_hours * 3600 / took_s : 0);
    print_counts(r);
    if (x->latency.max > 0)
        printf("  latency   %.2f ms, 95 %% below %.2f, 99 %% below %.2f, at most %.2f\n",
               x->latency.p50, x->latency.p95, x->latency.p99, x->latency.max);
    printf("  lateness  %.2f ms, 95 %% below %.2f, 99 %% below %.2f, at most %.2f\n",
           x->lateness_ms.p50, x->lateness_ms.p95, x->lateness_ms.p99, x->lateness_ms.max);
    printf("  delay     %.2f ms on average, %.2f now, %.2f wished for; cost %.2f ms\n",
           r->delay_ms_mean, x->delay_ms, x->target_ms, r->cost_ms);
    printf("  clocks    %.1f ppm apart; played %.1f ppm faster\n", x->drift_ppm, x->speed_ppm);
    if (r->scenarios > 1)
        printf("  %llu scenarios; %llu senders began anew, %llu stalls, %llu clocks jumped\n",
               (unsigned long long)r->scenarios, (unsigned long long)r->restarts,
               (unsigned long long)r->stalls, (unsigned long long)r->jumps);
    printf("  no invariant broken%s\n", s->stopped_by_user ? " until you stopped it" : "");
}

/* ---- The verb -------------------------------------------------------------------------------- */

/* A JSON line for each virtual minute and most 100 in all, a text line at most each second. */
static bool progress(const struct takt_simulate_net_report *r, void *arg)
{
    struct net_simulation *s = arg;
    const struct options *o = s->options;
    double at_s = r->virtual_hours * 3600, hours = o->hours > 0 ? o->hours : 1;
    s->stopped_by_user |= signals_ends(signals_next(&s->signals));
    watchdog_feed();
    if (!o->quiet && at_s >= s->next_s) {
        int64_t now_ns = takt_now_ns();
        s->next_s = at_s + (hours * 36 > 60 ? hours * 36 : 60);
        if (o->json)
            print_json(s, r, "progress", NULL);
        else if (now_ns - s->told_ns >= 1000000000) {
            print_line(r);
            s->told_ns = now_ns;
        }
    }
    return !s->stopped_by_user && output_flush() == OUTPUT_WELL;
}

static void tell_scenario(const char *line, void *arg)
{
    fprintf(stderr, "%s\n", line);
}

/* Scenarios that are drawn from the seed. */
static bool is_row(const struct net_simulation *s)
{
    return !s->cfg.options_count && !s->cfg.trace;
}

static int tell_end(const struct net_simulation *s, const struct takt_simulate_net_report *r,
                    int64_t took_ns)
{
    const struct options *o = s->options;
    if (o->json)
        print_json(s, r, "summary", r->broken ? "broken" : s->stopped_by_user ? "user" : "done");
    if (r->broken) {
        fprintf(stderr, "takt: sim net: seed %llu scenario %llu at %.6f s: %s",
                (unsigned long long)r->seed, (unsigned long long)r->scenario, r->time_s, r->text);
        if (is_row(s))
            fprintf(stderr, "; replay with: takt sim net --seed %llu --scenario %llu",
                    (unsigned long long)r->seed, (unsigned long long)r->scenario);
        fprintf(stderr, "\n");
        return EXIT_FAILED;
    }
    if (!o->json && !o->quiet)
        print_text(s, r, took_ns);
    return EXIT_OK;
}

static void where(uint64_t *scenario, uint64_t *at)
{
    double time_s;
    takt_simulate_net_where(scenario, &time_s);
    *at = (uint64_t)fmax(time_s, 0);
}

static int run_net(struct net_simulation *s)
{
    struct options *o = s->options;
    struct takt_simulate_net_report r;
    struct takt_error e;
    s->cfg.seed = o->seed;
    s->cfg.hours = o->hours;
    s->cfg.only_one = o->has_scenario;
    s->cfg.scenario = o->scenario;
    s->cfg.progress = progress;
    s->cfg.tell = o->verbose ? tell_scenario : NULL;
    s->cfg.arg = s;
    s->told_ns = takt_now_ns();
    signals_take(&s->signals);
    watchdog_begin(&(struct watchdog){.command = "sim net",
                                      .seed = o->seed ? o->seed : 1,
                                      .where = where,
                                      .before_at = " at ",
                                      .after_at = " s",
                                      .replays = is_row(s)});
    int64_t began_ns = takt_now_ns();
    int err = takt_simulate_net(&s->cfg, &r, &e);
    watchdog_end();
    int status = err < 0 ? complain(o, err == TAKT_ERR_ARG ? EXIT_USAGE : EXIT_FAILED, "%s", e.text)
                         : tell_end(s, &r, takt_now_ns() - began_ns);
    signals_give_back(&s->signals);
    return status;
}

static bool is_info(const char *name, size_t length)
{
    const struct takt_simulate_net_info *info;
    for (uint32_t i = 0; (info = takt_simulate_net_info(i)); i++)
        if (strlen(info->name) == length && !strncmp(info->name, name, length))
            return true;
    return false;
}

/* The value of the option at arguments[*i]; NULL where there is none. */
static const char *value_of(int *i, int count, char **arguments)
{
    char *equals = strchr(arguments[*i], '=');
    if (equals)
        return equals + 1;
    return *i + 1 < count ? arguments[++*i] : NULL;
}

/* Takes what is this verb's own; the rest moves together at the front. Returns the rest's count, or
 * below 0 after saying what was wrong. */
static int take_own(struct net_simulation *s, int count, char **arguments)
{
    int rest = 0;
    for (int i = 0; i < count; i++) {
        const char *a = arguments[i], *name = a + 2;
        size_t length = !strncmp(a, "--", 2) ? strcspn(name, "=") : 0;
        bool is_trace = length == 5 && !strncmp(name, "trace", 5);
        char bare[TAKT_SIMULATE_NET_NAME_MAX];
        struct takt_error e;
        if (!is_trace && !is_info(name, length)) {
            arguments[rest++] = arguments[i];
            continue;
        }
        snprintf(bare, sizeof bare, "%.*s", (int)length, name);
        const char *value = value_of(&i, count, arguments);
        if (!value)
            return -complain(s->options, EXIT_USAGE, "--%s: needs a value", bare);
        if (is_trace)
            s->cfg.trace = value;
        else if (takt_simulate_net_option(&s->cfg, bare, value, &e) < 0)
            return -complain(s->options, EXIT_USAGE, "%s", e.text);
    }
    return rest;
}

/* With a trace, --rate is that of its timestamps, and there are no faults. */
static int settle_trace(struct net_simulation *s)
{
    struct takt_simulate_net_cfg *c = &s->cfg, kept = *c;
    if (!c->trace)
        return EXIT_OK;
    if (!*c->trace)
        return complain(s->options, EXIT_USAGE, "--trace: no file's name; try arrivals.txt");
    c->options_count = 0;
    for (uint32_t i = 0; i < kept.options_count; i++) {
        const char *name = kept.option[i].name;
        const struct takt_simulate_net_info *info;
        for (uint32_t k = 0; (info = takt_simulate_net_info(k)); k++)
            if (!strcmp(info->name, name) && info->is_fault)
                return complain(s->options, EXIT_USAGE,
                                "--%s: the arrivals of a trace are as "
                                "they were; leave one of both out",
                                name);
        if (!strcmp(name, "rate"))
            c->trace_rate_hz = (uint32_t)strtoul(kept.option[i].value, NULL, 10);
        else
            c->option[c->options_count++] = kept.option[i];
    }
    return EXIT_OK;
}

int verb_sim_net(struct options *o, int count, char **arguments)
{
    struct net_simulation s = {.options = o};
    o->verb = "sim net";
    int rest = take_own(&s, count, arguments);
    if (rest < 0)
        return -rest;
    int status = options_read(o, SHARED_OPTIONS, rest, arguments);
    if (status)
        return status;
    if (o->help)
        return help();
    status = verb_words(o, 0, 0, "");
    if (!status)
        status = settle_trace(&s);
    if (!status && o->has_scenario && (s.cfg.options_count || s.cfg.trace))
        status = complain(o, EXIT_USAGE,
                          "--scenario: that is one of a row, whose faults are drawn; "
                          "leave the others out");
    return status ? status : run_net(&s);
}
