/*
 * What a bench came to, in lines: JSON for programs, two tables of 80 columns for people. The first
 * table grows as the sizes are measured and has what one decides by; the second has the rest.
 */
#include "bench.h"
#include "json.h"

#include <math.h>
#include <string.h>

/* ---- Figures ----------------------------------------------------------------------------------
 */

double bench_block_s(const struct bench *b, const struct bench_row *row)
{
    return (double)row->block_frames / b->rate_hz;
}

double bench_deadline_s(const struct bench *b, const struct bench_row *row)
{
    return (double)row->host_block_frames / b->rate_hz;
}

double bench_slack_least(const struct bench *b, const struct bench_row *row)
{
    return (double)row->contract.slack_ns_min / 1e9 / bench_deadline_s(b, row);
}

uint32_t bench_latency_frames(const struct bench_row *row)
{
    return row->latency_in_frames + row->latency_out_frames + row->adapter_frames;
}

double bench_latency_ms(const struct bench *b, const struct bench_row *row)
{
    return 1e3 * bench_latency_frames(row) / b->rate_hz;
}

double bench_deadline_ms(const struct bench *b, const struct bench_row *row)
{
    return 1e3 * bench_deadline_s(b, row);
}

double bench_callback_p50(const struct bench *b, const struct bench_row *row)
{
    return (double)row->contract.duration_ns_p50 / 1e7 / bench_block_s(b, row);
}

double bench_callback_p99(const struct bench *b, const struct bench_row *row)
{
    return (double)row->contract.duration_ns_p99 / 1e7 / bench_block_s(b, row);
}

double bench_thread_percent(const struct bench *b, const struct bench_row *row)
{
    return isfinite(row->thread_load) ? 100 * row->thread_load : 0;
}

/* ---- A few words ------------------------------------------------------------------------------
 */

const char *const bench_use_rule =
    "the least latency of the sizes that are safe, and larger than any that missed a deadline: "
    "what "
    "makes a large block late would have made a smaller one late, too";

int bench_recommended(const struct bench *b, bool *is_safe)
{
    struct odds_choice choices[BLOCKS_MAX];
    for (int i = 0; i < b->row_count; i++) {
        const struct bench_row *r = &b->rows[i];
        choices[i] = (struct odds_choice){.verdict = r->verdict,
                                          .latency_frames = bench_latency_frames(r),
                                          .misses = r->contract.misses_total,
                                          .seconds = r->seconds,
                                          .slack_least = bench_slack_least(b, r)};
    }
    return odds_choose(choices, b->row_count, is_safe);
}

void bench_verdict_text(const struct bench *b, char *to, size_t size)
{
    bool is_safe;
    int best = bench_recommended(b, &is_safe);
    const struct bench_row *r = best < 0 ? NULL : &b->rows[best];
    if (!b->row_count)
        snprintf(to, size, "nothing was measured");
    else if (!r)
        snprintf(to, size, "no size holds here; try larger blocks or less load");
    else if (is_safe)
        snprintf(to, size, "use %u: the least latency that is safe, %.2f ms", r->block_frames,
                 bench_latency_ms(b, r));
    else
        snprintf(to, size, "no size is %s; %u comes nearest, at %.2f ms",
                 r->verdict == ODDS_SAFE ? "sure, as a larger one missed" : "safe", r->block_frames,
                 bench_latency_ms(b, r));
}

void bench_load_text(const struct bench *b, char *to, size_t size)
{
    const struct options *o = b->options;
    size_t used = 0;
    *to = '\0';
    for (int i = 0; i < o->word_count && used < size; i++)
        used += (size_t)snprintf(to + used, size - used, "%s%s", i ? " " : "", o->words[i]);
    if (o->load > 0 && used < size)
        snprintf(to + used, size - used, "%swork for %.0f %% of each block", used ? " and " : "",
                 100 * o->load);
    else if (!used)
        snprintf(to, size, "nothing");
}

void bench_sched_text(const struct bench *b, char *to, size_t size)
{
    const struct takt_sched *s = b->row_count ? &b->rows[b->row_count - 1].sched : NULL;
    if (!s)
        snprintf(to, size, "unknown");
    else if (s->policy == TAKT_SCHED_NICE)
        snprintf(to, size, "nice %d", s->nice);
    else if (s->policy == TAKT_SCHED_OTHER)
        snprintf(to, size, "as any thread, not real-time");
    else
        snprintf(to, size, "%s %d", takt_policy_name(s->policy), s->priority);
}

void bench_machine_text(const struct bench *b, char *to, size_t size)
{
    const struct machine *m = &b->machine;
    snprintf(to, size, "%s, %d core%s%s, %s%s%s", m->cpu, m->cores, m->cores == 1 ? "" : "s",
             m->is_virtual ? " (virtual)" : "", m->kernel, *m->governor ? ", governor " : "",
             m->governor);
}

void bench_rate_text(double r, char *to, size_t size)
{
    if (r >= 999999.5)
        snprintf(to, size, "%.2fM", r / 1e6);
    else if (r >= 9999.5)
        snprintf(to, size, "%.*fk", r < 99950 ? 1 : 0, r / 1e3);
    else
        snprintf(to, size, "%.*f", r > 0 && r < 9.95 ? 1 : 0, r);
}

static void interval_text(const struct bench_row *r, char *to, size_t size)
{
    char low[32], high[32];
    bench_rate_text(r->misses_an_hour.interval.low, low, sizeof low);
    bench_rate_text(r->misses_an_hour.interval.high, high, sizeof high);
    snprintf(to, size, "%s..%s", low, high);
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static void json_sched(struct json *j, const struct takt_sched *s)
{
    json_open(j, "sched", '{');
    json_string(j, "policy", takt_policy_name(s->policy));
    json_int(j, "priority", s->priority);
    json_int(j, "nice", s->nice);
    json_string(j, "why", s->why);
    json_close(j, '}');
}

static void json_row(const struct bench *b, const struct bench_row *r)
{
    struct json j = {.to = stdout};
    char contract[2048];
    double block_ns = 1e9 * bench_block_s(b, r);
    takt_contract_json(&r->contract, contract, sizeof contract);
    json_open(&j, NULL, '{');
    json_string(&j, "type", "bench");
    json_int(&j, "block_frames", r->block_frames);
    json_int(&j, "host_block_frames", r->host_block_frames);
    json_int(&j, "rate_hz", b->rate_hz);
    json_number(&j, "seconds", r->seconds, 6);
    json_int(&j, "blocks", (int64_t)r->contract.blocks);
    json_int(&j, "frames", (int64_t)r->contract.frames);
    json_open(&j, "latency_frames", '{');
    json_int(&j, "host_in", r->latency_in_frames);
    json_int(&j, "host_out", r->latency_out_frames);
    json_int(&j, "adapter", r->adapter_frames);
    json_int(&j, "total", bench_latency_frames(r));
    json_close(&j, '}');
    json_number(&j, "latency_ms", bench_latency_ms(b, r), 4);
    json_number(&j, "block_us", block_ns / 1e3, 3);
    json_number(&j, "deadline_us", 1e6 * bench_deadline_s(b, r), 3);
    json_open(&j, "callback_load", '{');
    json_number(&j, "p50", (double)r->contract.duration_ns_p50 / block_ns, 6);
    json_number(&j, "p99", (double)r->contract.duration_ns_p99 / block_ns, 6);
    json_close(&j, '}');
    json_number(&j, "thread_load", r->thread_load, 6);
    json_raw(&j, "contract", contract);
    json_open(&j, "misses_per_hour", '{');
    json_number(&j, "estimate", r->misses_an_hour.estimate, 3);
    json_number(&j, "low", r->misses_an_hour.interval.low, 3);
    json_number(&j, "high", r->misses_an_hour.interval.high, 3);
    json_number(&j, "confidence", odds_confidence, 2);
    json_close(&j, '}');
    json_number(&j, "steal", r->steal, 6);
    json_sched(&j, &r->sched);
    json_string(&j, "verdict", odds_verdict_name(r->verdict));
    json_close(&j, '}');
    json_end_line(&j);
}

static void json_machine(struct json *j, const struct machine *m)
{
    json_open(j, "machine", '{');
    json_string(j, "cpu", m->cpu);
    json_int(j, "cores", m->cores);
    json_string(j, "kernel", m->kernel);
    if (*m->governor)
        json_string(j, "governor", m->governor);
    else
        json_raw(j, "governor", "null");
    json_bool(j, "virtual", m->is_virtual);
    json_string(j, "date", m->date);
    json_close(j, '}');
}

/* "jack" of "jack:system". */
static void json_backend(struct json *j, const char *key, const char *device)
{
    char name[32];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(device, ":"), device);
    json_string(j, key, name);
}

static void json_end(const struct bench *b, const char *html)
{
    static const char *const ends[] = {"done", "user", "error"};
    struct json j = {.to = stdout};
    char verdict[200];
    bool is_safe;
    int best = bench_recommended(b, &is_safe);
    bench_verdict_text(b, verdict, sizeof verdict);
    json_open(&j, NULL, '{');
    json_string(&j, "type", "bench_summary");
    json_string(&j, "version", takt_version());
    json_string(&j, "ended_by", ends[b->end]);
    json_string(&j, "in", b->in_device);
    json_string(&j, "out", b->out_device);
    json_open(&j, "backend", '{');
    json_backend(&j, "in", b->in_device);
    json_backend(&j, "out", b->out_device);
    json_close(&j, '}');
    json_int(&j, "rate_hz", b->rate_hz);
    json_number(&j, "seconds_per_block", b->options->seconds, 6);
    json_open(&j, "blocks", '[');
    for (int i = 0; i < b->options->block_count; i++)
        json_int(&j, NULL, b->options->blocks[i]);
    json_close(&j, ']');
    json_int(&j, "measured", b->row_count);
    json_open(&j, "effects", '[');
    for (int i = 0; i < b->options->word_count; i++)
        json_string(&j, NULL, b->options->words[i]);
    json_close(&j, ']');
    json_number(&j, "load", b->options->load, 2);
    json_machine(&j, &b->machine);
    if (b->row_count)
        json_sched(&j, &b->rows[b->row_count - 1].sched);
    json_open(&j, "rules", '{');
    for (int v = 0; v < ODDS_VERDICTS; v++)
        json_string(&j, odds_verdict_name((enum odds_verdict)v),
                    odds_verdict_rule((enum odds_verdict)v));
    json_string(&j, "use", bench_use_rule);
    json_close(&j, '}');
    if (is_safe)
        json_int(&j, "recommended_block_frames", b->rows[best].block_frames);
    else
        json_raw(&j, "recommended_block_frames", "null");
    json_string(&j, "verdict", verdict);
    if (html)
        json_string(&j, "html", html);
    else
        json_raw(&j, "html", "null");
    json_close(&j, '}');
    json_end_line(&j);
}

/* ---- Text -------------------------------------------------------------------------------------
 */

static void text_head(const struct bench *b)
{
    char line[1200], load[512];
    bench_machine_text(b, line, sizeof line);
    printf("%s\n", line);
    bench_load_text(b, load, sizeof load);
    snprintf(line, sizeof line, "%s -> %s, %u Hz, %g s a size, callback: %s", b->in_device,
             b->out_device, b->rate_hz, b->options->seconds, load);
    make_printable(line);
    printf("%s\n", line);
    bench_sched_text(b, line, sizeof line);
    printf("device thread: %s%s%s%s\n\n", line, *b->rows[0].sched.why ? " (" : "",
           b->rows[0].sched.why, *b->rows[0].sched.why ? ")" : "");
    printf("%s block  latency  callback  thread  late p99.9   misses   an hour%s\n",
           terminal_dim(&b->terminal), terminal_plain(&b->terminal));
    printf("%sframes       ms   p99 %%    CPU %%   %% of time     seen   95 %%        verdict%s\n",
           terminal_dim(&b->terminal), terminal_plain(&b->terminal));
}

static void text_row(const struct bench *b, const struct bench_row *r)
{
    char interval[80];
    const struct terminal *t = &b->terminal;
    interval_text(r, interval, sizeof interval);
    printf("%6u %8.2f %8.2f %8.2f %10.1f %9llu   %-13s%s%s%s\n", r->block_frames,
           bench_latency_ms(b, r), bench_callback_p99(b, r), bench_thread_percent(b, r),
           (double)r->contract.lateness_ns_p999 / 1e7 / bench_deadline_s(b, r),
           (unsigned long long)r->contract.misses_total, interval,
           r->verdict == ODDS_SAFE ? terminal_good(t) : terminal_warn(t),
           odds_verdict_name(r->verdict), terminal_plain(t));
}

static void text_causes(const struct bench_row *r)
{
    if (!r->contract.misses_total)
        return;
    printf("%6u:", r->block_frames);
    for (int c = 0; c < TAKT_MISS_CAUSES; c++)
        if (r->contract.misses[c])
            printf(" %llu %s", (unsigned long long)r->contract.misses[c],
                   takt_miss_name((enum takt_miss_cause)c));
    printf("\n");
}

static void text_details(const struct bench *b)
{
    const char *dim = terminal_dim(&b->terminal), *plain = terminal_plain(&b->terminal);
    printf("\n%s block  host  latency, frames       callback, us   woken late, us%s\n", dim, plain);
    printf("%s       block    in   out adapter     p50     p99    p50    p99   p99.9     max%s\n",
           dim, plain);
    for (int i = 0; i < b->row_count; i++) {
        const struct bench_row *r = &b->rows[i];
        const struct takt_contract_snapshot *c = &r->contract;
        printf("%6u %5u %5u %5u %7u %7.1f %7.1f %6.0f %6.0f %7.0f %7.0f\n", r->block_frames,
               r->host_block_frames, r->latency_in_frames, r->latency_out_frames, r->adapter_frames,
               (double)c->duration_ns_p50 / 1e3, (double)c->duration_ns_p99 / 1e3,
               (double)c->lateness_ns_p50 / 1e3, (double)c->lateness_ns_p99 / 1e3,
               (double)c->lateness_ns_p999 / 1e3, (double)c->lateness_ns_max / 1e3);
    }
}

/* What a reader of the tables has to know. */
static void text_notes(const struct bench *b)
{
    char high[32];
    double worst_steal = 0;
    bool adapts = false, misses = false;
    for (int i = 0; i < b->row_count; i++) {
        worst_steal = fmax(worst_steal, b->rows[i].steal);
        adapts |= b->rows[i].host_block_frames != b->rows[i].block_frames;
        misses |= b->rows[i].contract.misses_total > 0;
    }
    printf("\n");
    if (adapts)
        printf("Where the host's block is another, the device keeps it, and so does the deadline;\n"
               "the adapter's frames make up the difference.\n");
    if (worst_steal >= 0.001)
        printf("The hypervisor took up to %.1f %% of the CPU time away (steal).\n",
               100 * worst_steal);
    if (misses && b->options->verbose) {
        printf("Misses by cause:\n");
        for (int i = 0; i < b->row_count; i++)
            text_causes(&b->rows[i]);
    }
    bench_rate_text(odds_an_hour(0, b->rows[0].seconds).interval.high, high, sizeof high);
    printf("An hour: exact two-sided Poisson interval (Garwood 1936); none in %g s allows\n"
           "up to %s. A longer -t narrows it.\n",
           b->rows[0].seconds, high);
}

void bench_print_row(const struct bench *b, const struct bench_row *row)
{
    if (b->options->json) {
        json_row(b, row);
        return;
    }
    if (b->options->quiet)
        return;
    if (row == b->rows)
        text_head(b);
    text_row(b, row);
}

void bench_print_end(const struct bench *b, const char *html)
{
    char verdict[200];
    if (b->options->json) {
        json_end(b, html);
        return;
    }
    if (b->options->quiet || !b->row_count)
        return;
    bench_verdict_text(b, verdict, sizeof verdict);
    text_details(b);
    text_notes(b);
    printf("%s%s%s%s\n", terminal_bold(&b->terminal), b->end ? "So far: " : "", verdict,
           terminal_plain(&b->terminal));
    if (html)
        printf("The picture is %s\n", html);
}
