/* What takt doctor prints: tables and advice for people within 79 columns, or one JSON object. */
#include "doctor.h"
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { COLUMNS = 79, NAME = 19, IS = 36, WANTED = 14, INDENT = 4 };

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static double us(uint64_t ns)
{
    return (double)ns / 1e3;
}

/* ---- In words ---------------------------------------------------------------------------------
 */

static void block_text(const struct doctor *d, char *to, size_t size)
{
    if (d->best < 0 || !d->best_is_safe) {
        snprintf(to, size,
                 d->measured.size_count ? "no measured block size holds here"
                                        : "nothing was measured");
        return;
    }
    const struct doctor_size *s = &d->measured.sizes[d->best];
    snprintf(to, size,
             "blocks of %u frames (%.2f ms) hold here: none of %llu missed, woken at most "
             "%.2f ms late",
             s->block_frames, doctor_block_ms(s->block_frames), (unsigned long long)s->blocks,
             ms(s->lateness_ns_max));
}

static int count_serious(const struct doctor *d)
{
    int count = 0;
    for (int i = 0; i < d->advice_count; i++)
        count += d->advice[i].severity == DOCTOR_SERIOUS;
    return count;
}

void doctor_verdict_text(const struct doctor *d, char *to, size_t size)
{
    char blocks[200];
    block_text(d, blocks, sizeof blocks);
    if (!d->advice_count)
        snprintf(to, size, "%s; %s", d->measured.size_count ? "all is well" : "nothing was found",
                 blocks);
    else
        snprintf(to, size, "%d thing%s to do, %d serious; %s", d->advice_count,
                 d->advice_count == 1 ? "" : "s", count_serious(d), blocks);
}

static void sched_text(const struct takt_sched *s, char *to, size_t size)
{
    if (s->policy == TAKT_SCHED_NICE)
        snprintf(to, size, "nice %d", s->nice);
    else if (s->policy == TAKT_SCHED_OTHER)
        snprintf(to, size, "as any thread");
    else
        snprintf(to, size, "%s %d", takt_policy_name(s->policy), s->priority);
}

/* ---- Text -------------------------------------------------------------------------------------
 */

/* Breaks lines between words; what follows the first is indented. */
static void print_wrapped(const char *head, const char *text)
{
    int column = printf("%s", head);
    for (const char *at = text; *at;) {
        at += strspn(at, " ");
        int length = (int)strcspn(at, " ");
        if (column && column + 1 + length > COLUMNS)
            column = printf("\n%*s", INDENT, "") - 1;
        else if (column)
            column += printf(" ");
        column += printf("%.*s", length, at);
        at += length;
    }
    putchar('\n');
}

static const char *colour(const struct doctor *d, enum doctor_verdict v)
{
    return v == DOCTOR_GOOD      ? terminal_good(&d->terminal)
           : v >= DOCTOR_NOTABLE ? terminal_warn(&d->terminal)
                                 : "";
}

static void print_cut(const char *text, int width)
{
    int length = (int)strlen(text);
    if (length > width)
        printf("%.*s... ", width - 3, text);
    else
        printf("%-*s ", width, text);
}

static void print_findings(const struct doctor *d)
{
    const struct terminal *t = &d->terminal;
    const char *group = "";
    for (int i = 0; i < d->finding_count; i++) {
        const struct doctor_finding *f = &d->findings[i];
        if (strcmp(f->group, group) != 0)
            printf("%s%-*s %-*s %-*s %s%s\n", terminal_dim(t), NAME, f->group, IS, "is", WANTED,
                   "wanted", "verdict", terminal_plain(t));
        group = f->group;
        print_cut(f->name, NAME);
        print_cut(f->is, IS);
        print_cut(f->wanted, WANTED);
        const char *paint = colour(d, f->verdict);
        printf("%s%s%s\n", paint, f->verdict == DOCTOR_NOTE ? "-" : doctor_verdict_name(f->verdict),
               *paint ? terminal_plain(t) : "");
    }
}

static void print_sizes(const struct doctor *d)
{
    const struct terminal *t = &d->terminal;
    const struct doctor_measured *m = &d->measured;
    char sched[64];
    if (!m->size_count)
        return;
    sched_text(&m->sched, sched, sizeof sched);
    printf("\nWoken late, in us, within %.1f s; the thread ran %s\n", m->seconds, sched);
    printf("%s block    time   blocks      p50      p99    p99.9       max  misses  verdict%s\n",
           terminal_dim(t), terminal_plain(t));
    for (int i = 0; i < m->size_count; i++) {
        const struct doctor_size *s = &m->sizes[i];
        printf("%6u %7.0f %8llu %8.0f %8.0f %8.0f %9.0f %7llu  %s%s%s\n", s->block_frames,
               1e3 * doctor_block_ms(s->block_frames), (unsigned long long)s->blocks,
               us(s->lateness_ns_p50), us(s->lateness_ns_p99), us(s->lateness_ns_p999),
               us(s->lateness_ns_max), (unsigned long long)s->misses_total,
               s->verdict == ODDS_SAFE ? terminal_good(t) : terminal_warn(t),
               odds_verdict_name(s->verdict), terminal_plain(t));
    }
}

static void advice_text(const struct doctor_advice *a, char *to, size_t size)
{
    snprintf(to, size, "%s (%s)", a->what, a->why);
}

static void print_advice(const struct doctor *d)
{
    char head[32], text[520], line[560];
    for (int i = 0; i < d->advice_count; i++) {
        const struct doctor_advice *a = &d->advice[i];
        advice_text(a, text, sizeof text);
        snprintf(head, sizeof head, "%2d. %s:", i + 1, doctor_verdict_name(a->severity));
        snprintf(line, sizeof line, "%s", text);
        print_wrapped(head, line);
    }
}

static void print_text(const struct doctor *d)
{
    const struct terminal *t = &d->terminal;
    char verdict[400], head[8] = "";
    if (d->options->quiet) {
        print_advice(d);
        return;
    }
    print_wrapped("", *d->cpu.model ? d->cpu.model : "unknown processor");
    print_wrapped("kernel", *d->kernel.release ? d->kernel.release : "unknown");
    printf("\n");
    print_findings(d);
    print_sizes(d);
    if (d->advice_count)
        printf("\n%sWhat to do, by its effect%s\n", terminal_bold(t), terminal_plain(t));
    print_advice(d);
    doctor_verdict_text(d, verdict, sizeof verdict);
    printf("\n%s", terminal_bold(t));
    print_wrapped(d->end ? "So far:" : head, verdict);
    printf("%s", terminal_plain(t));
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static void json_known(struct json *j, const char *key, int64_t value)
{
    if (value < 0)
        json_raw(j, key, "null");
    else
        json_int(j, key, value);
}

static void json_sched(struct json *j, const struct doctor *d)
{
    const struct takt_sched *s = &d->rights.sched;
    json_open(j, "sched", '{');
    json_string(j, "policy", takt_policy_name(s->policy));
    json_int(j, "priority", s->priority);
    json_int(j, "nice", s->nice);
    json_bool(j, "memory_locked", s->memory_locked);
    json_string(j, "why", s->why);
    json_close(j, '}');
}

static void json_findings(struct json *j, const struct doctor *d)
{
    json_open(j, "findings", '[');
    for (int i = 0; i < d->finding_count; i++) {
        const struct doctor_finding *f = &d->findings[i];
        json_open(j, NULL, '{');
        json_string(j, "id", f->id);
        json_string(j, "group", f->group);
        json_string(j, "name", f->name);
        json_string(j, "is", f->is);
        json_string(j, "wanted", f->wanted);
        json_string(j, "verdict", doctor_verdict_name(f->verdict));
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_size(struct json *j, const struct doctor_size *s)
{
    json_open(j, NULL, '{');
    json_int(j, "block_frames", s->block_frames);
    json_number(j, "block_us", 1e3 * doctor_block_ms(s->block_frames), 3);
    json_number(j, "seconds", s->seconds, 6);
    json_int(j, "turns", s->turns);
    json_int(j, "blocks", (int64_t)s->blocks);
    json_open(j, "lateness_us", '{');
    json_number(j, "p50", us(s->lateness_ns_p50), 3);
    json_number(j, "p99", us(s->lateness_ns_p99), 3);
    json_number(j, "p999", us(s->lateness_ns_p999), 3);
    json_number(j, "max", us(s->lateness_ns_max), 3);
    json_close(j, '}');
    json_number(j, "slack_us_min", (double)s->slack_ns_min / 1e3, 3);
    json_open(j, "misses", '{');
    json_int(j, "total", (int64_t)s->misses_total);
    for (int c = 0; c < TAKT_MISS_CAUSES; c++)
        json_int(j, takt_miss_name((enum takt_miss_cause)c), (int64_t)s->misses[c]);
    json_close(j, '}');
    json_string(j, "verdict", odds_verdict_name(s->verdict));
    json_close(j, '}');
}

static void json_meanwhile(struct json *j, const struct doctor *d)
{
    const struct doctor_measured *m = &d->measured;
    json_open(j, "meanwhile", '{');
    json_number(j, "steal", doctor_steal(d), 6);
    json_number(j, "waiting", doctor_waited(d), 6);
    json_known(j, "throttled", doctor_rise(m->before.throttled, m->after.throttled));
    json_known(j, "interrupts", doctor_rise(m->before.interrupts, m->after.interrupts));
    json_int(j, "switches_involuntary", m->switches);
    json_int(j, "faults_major", m->faults_major);
    json_int(j, "faults_minor", m->faults_minor);
    json_close(j, '}');
}

static void json_advice(struct json *j, const struct doctor *d)
{
    char text[520];
    json_open(j, "advice", '[');
    for (int i = 0; i < d->advice_count; i++) {
        const struct doctor_advice *a = &d->advice[i];
        advice_text(a, text, sizeof text);
        json_open(j, NULL, '{');
        json_string(j, "id", a->id);
        json_string(j, "severity", doctor_verdict_name(a->severity));
        json_string(j, "seen", doctor_seen_name(a->seen));
        json_int(j, "effect", a->effect);
        json_string(j, "what", a->what);
        json_string(j, "why", a->why);
        json_string(j, "text", text);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_date(struct json *j)
{
    char date[40] = "";
    struct tm local;
    time_t now = time(NULL);
    if (localtime_r(&now, &local))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M %z", &local);
    json_string(j, "date", date);
}

static void print_json(const struct doctor *d)
{
    static const char *const ends[] = {"done", "user", "error"};
    struct json j = {.to = stdout};
    char verdict[400];
    doctor_verdict_text(d, verdict, sizeof verdict);
    json_open(&j, NULL, '{');
    json_string(&j, "type", "summary");
    json_string(&j, "verb", d->options->verb);
    json_string(&j, "version", takt_version());
    json_date(&j);
    json_string(&j, "ended_by", ends[d->end]);
    json_string(&j, "cpu", d->cpu.model);
    json_string(&j, "kernel", d->kernel.release);
    json_int(&j, "rate_hz", DOCTOR_RATE_HZ);
    json_number(&j, "seconds", d->measured.seconds, 6);
    json_sched(&j, d);
    json_findings(&j, d);
    json_open(&j, "jitter", '[');
    for (int i = 0; i < d->measured.size_count; i++)
        json_size(&j, &d->measured.sizes[i]);
    json_close(&j, ']');
    json_meanwhile(&j, d);
    json_string(&j, "rule", doctor_rule);
    json_advice(&j, d);
    if (d->best >= 0 && d->best_is_safe)
        json_int(&j, "smallest_block_frames", d->measured.sizes[d->best].block_frames);
    else
        json_raw(&j, "smallest_block_frames", "null");
    json_string(&j, "verdict", verdict);
    json_close(&j, '}');
    json_end_line(&j);
}

void doctor_print(const struct doctor *d)
{
    if (d->options->json)
        print_json(d);
    else
        print_text(d);
}
