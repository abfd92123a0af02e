/*
 * What a run came to: one JSON line, or some for people. The JSON names are the same in all verbs
 * and versions; new ones may be added.
 */
#include "running.h"

#include <math.h>
#include <stdio.h>

enum { SHOWN_MISSES = 16 };

static const char *ended_by(const struct running *r)
{
    if (r->failed)
        return "error";
    if (r->session->stopped_by_user)
        return "user";
    if (r->length_frames && takt_stream_position(r->stream) >= r->length_frames)
        return "length";
    return "end of source";
}

static void json_misses(struct json *j, const struct running *r)
{
    struct takt_miss misses[TAKT_MISSES_KEPT];
    int n = takt_contract_last_misses(takt_stream_contract(r->stream), misses, TAKT_MISSES_KEPT);
    json_open(j, "last_misses", '[');
    for (int i = 0; i < n; i++) {
        json_open(j, NULL, '{');
        misses_fields(j, r, &misses[i]);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_int(j, "misses_skipped", (int64_t)r->misses_skipped);
}

static void json_channels(struct json *j, const struct running *r)
{
    json_open(j, "channels", '[');
    for (uint32_t c = 0; c < r->channels; c++) {
        struct takt_level_reading l;
        takt_level_read(r->level, c, &l);
        json_open(j, NULL, '{');
        json_number(j, "rms_dbfs", l.total_rms_dbfs, 3);
        json_number(j, "peak_dbfs", l.peak_dbfs, 3);
        json_int(j, "clips", (int64_t)l.clips);
        json_int(j, "clip_runs", (int64_t)l.clip_runs);
        json_number(j, "dc", l.dc, 7);
        json_close(j, '}');
    }
    json_close(j, ']');
}

/* Only of what can go wrong: how often it did. */
static void json_events(struct json *j, const struct running *r)
{
    static const enum takt_event_type types[] = {TAKT_EVENT_XRUN, TAKT_EVENT_DEVICE_LOST,
                                                 TAKT_EVENT_DEVICE_BACK, TAKT_EVENT_SINK_FAILED,
                                                 TAKT_EVENT_SINK_LOST};
    json_open(j, "events", '{');
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        json_int(j, takt_event_name(types[i]),
                 (int64_t)takt_stream_event_count(r->stream, types[i]));
    json_close(j, '}');
}

static void json_recording(struct json *j, const struct running *r)
{
    const struct takt_recording *rec = &r->session->recording;
    json_open(j, "recording", '{');
    json_number(j, "buffer_s", rec->buffer_s, 3);
    json_int(j, "buffer_bytes", (int64_t)rec->buffer_bytes);
    json_bool(j, "buffer_locked", rec->buffer_locked);
    json_number(j, "fullest_s", (double)rec->fullest_frames / r->actual.rate_hz, 6);
    json_int(j, "recorded_frames", (int64_t)rec->recorded_frames);
    json_int(j, "lost_frames", (int64_t)rec->lost_frames);
    json_int(j, "gap_count", (int64_t)rec->gap_count);
    json_open(j, "last_gaps", '[');
    for (uint64_t i = 0; i < TAKT_GAPS_KEPT && i < rec->gap_count; i++) {
        json_open(j, NULL, '{');
        json_int(j, "position", (int64_t)rec->gaps[i].position);
        json_int(j, "frames", (int64_t)rec->gaps[i].frames);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}

static bool something_happened(const struct takt_health *h)
{
    return h->fades || h->bypasses;
}

static void json_health(struct json *j, const struct running *r)
{
    struct takt_health h;
    takt_stream_health(r->stream, &h);
    json_open(j, "health", '{');
    json_int(j, "fades", (int64_t)h.fades);
    json_bool(j, "bypassed", h.is_bypassed);
    json_int(j, "bypasses", (int64_t)h.bypasses);
    json_int(j, "retries", (int64_t)h.retries);
    json_int(j, "bypassed_frames", (int64_t)h.bypassed_frames);
    json_close(j, '}');
}

static void text_health(const struct running *r)
{
    struct takt_health h;
    takt_stream_health(r->stream, &h);
    if (!something_happened(&h))
        return;
    printf("health: %llu gap%s softened", (unsigned long long)h.fades, h.fades == 1 ? "" : "s");
    if (h.bypasses)
        printf(", effects bypassed %llu time%s for %.3f s in all%s", (unsigned long long)h.bypasses,
               h.bypasses == 1 ? "" : "s", (double)h.bypassed_frames / r->actual.rate_hz,
               h.is_bypassed ? ", at the end too" : "");
    printf("\n");
}

/* Of the whole process: a program of ours has one stream. */
static void json_guard(struct json *j)
{
    struct takt_guard_totals t;
    takt_guard_totals(&t);
    if (t.mode == TAKT_GUARD_OFF)
        return;
    json_open(j, "guard", '{');
    json_string(j, "mode", takt_guard_mode_name(t.mode));
    json_int(j, "cycles", (int64_t)t.cycles);
    json_int(j, "found", (int64_t)t.found);
    for (int k = 0; k < TAKT_GUARD_KINDS; k++)
        json_int(j, takt_guard_kind_name((enum takt_guard_kind)k), (int64_t)t.kinds[k]);
    json_close(j, '}');
}

static void text_guard(void)
{
    struct takt_guard_totals t;
    takt_guard_totals(&t);
    if (t.mode == TAKT_GUARD_OFF)
        return;
    printf("guard: %llu finding%s in %llu cycles%s\n", (unsigned long long)t.found,
           t.found == 1 ? "" : "s", (unsigned long long)t.cycles,
           t.found ? "; takt check shows where" : "");
}

static void json_sched(struct json *j, const struct running *r)
{
    struct takt_sched sched;
    takt_stream_sched(r->stream, &sched);
    json_open(j, "sched", '{');
    json_string(j, "policy", takt_policy_name(sched.policy));
    json_int(j, "priority", sched.priority);
    json_int(j, "nice", sched.nice);
    json_string(j, "why", sched.why);
    json_close(j, '}');
}

void summary_json(const struct running *r)
{
    struct json j = {.to = stdout};
    const struct takt_stream_actual *a = &r->actual;
    const struct session *s = r->session;
    uint64_t frames = takt_stream_position(r->stream);
    char contract[2048];
    takt_contract_json(&r->session->contract, contract, sizeof contract);
    json_open(&j, NULL, '{');
    json_string(&j, "type", "summary");
    json_string(&j, "verb", r->session->options->verb);
    json_string(&j, "version", takt_version());
    json_string(&j, "in", s->in_name ? s->in_name : a->in_device);
    json_string(&j, "out", s->out_name ? s->out_name : s->voice ? s->voice->path : a->out_device);
    json_string(&j, "clock", a->clock == TAKT_CLOCK_VIRTUAL ? "virtual" : "real");
    json_string(&j, "ended_by", ended_by(r));
    json_number(&j, "seconds", (double)frames / a->rate_hz, 6);
    json_int(&j, "rate_hz", a->rate_hz);
    if (a->source_hz != a->rate_hz)
        json_int(&j, "source_rate_hz", a->source_hz);
    json_int(&j, "block_frames", a->block_frames);
    json_int(&j, "host_block_frames", a->host_block_frames);
    json_int(&j, "blocks", (int64_t)r->session->contract.blocks);
    json_int(&j, "frames", (int64_t)frames);
    json_raw(&j, "contract", contract);
    json_misses(&j, r);
    json_open(&j, "latency_frames", '{');
    json_int(&j, "host_in", a->latency_in_frames);
    json_int(&j, "host_out", a->latency_out_frames);
    json_int(&j, "adapter", a->adapter_frames);
    json_close(&j, '}');
    if (a->bridge_frames) {
        json_open(&j, "bridge", '{');
        json_int(&j, "frames", a->bridge_frames);
        json_number(&j, "drift_ppm", a->bridge_drift_ppm, 2);
        json_bool(&j, "settled", a->bridge_settled);
        json_int(&j, "gaps", (int64_t)a->bridge_gaps);
        json_close(&j, '}');
    }
    if (r->session->recording.buffer_frames)
        json_recording(&j, r);
    json_channels(&j, r);
    analyses_json(r, &j);
    voice_summary_json(r, &j);
    pipes_json(r, &j);
    json_events(&j, r);
    json_health(&j, r);
    json_guard(&j);
    json_sched(&j, r);
    if (r->html)
        json_string(&j, "html", r->html);
    json_close(&j, '}');
    json_end_line(&j);
}

/* In seconds of the file, where the gaps can be heard. */
static void text_losses(const struct running *r)
{
    const struct takt_recording *rec = &r->session->recording;
    uint64_t kept = rec->gap_count < TAKT_GAPS_KEPT ? rec->gap_count : TAKT_GAPS_KEPT;
    if (!rec->lost_frames)
        return;
    printf("recording: %llu frames lost in %llu gap%s, since the disk stalled for more than %g s\n",
           (unsigned long long)rec->lost_frames, (unsigned long long)rec->gap_count,
           rec->gap_count == 1 ? "" : "s", rec->buffer_s);
    for (uint64_t i = 0; i < kept; i++)
        printf("  from %.3f s on: %llu frames\n", (double)rec->gaps[i].position / r->actual.rate_hz,
               (unsigned long long)rec->gaps[i].frames);
}

/* What only -v asks for. */
static void text_details(const struct running *r)
{
    const struct takt_stream_actual *a = &r->actual;
    struct takt_sched sched;
    struct takt_miss misses[SHOWN_MISSES];
    char text[512];
    takt_stream_sched(r->stream, &sched);
    printf("  thread   %s %d%s%s%s\n", takt_policy_name(sched.policy), sched.priority,
           *sched.why ? " (" : "", sched.why, *sched.why ? ")" : "");
    printf("  latency  in %u + out %u + adapter %u frames, blocks of %u in host blocks of %u\n",
           a->latency_in_frames, a->latency_out_frames, a->adapter_frames, a->block_frames,
           a->host_block_frames);
    const struct takt_recording *rec = &r->session->recording;
    if (rec->buffer_frames)
        printf("  buffer   %g s for the disk, %.1f MB%s, at most %.3f s in use\n", rec->buffer_s,
               (double)rec->buffer_bytes / 1e6, rec->buffer_locked ? " locked" : " not locked",
               (double)rec->fullest_frames / r->actual.rate_hz);
    int n = takt_contract_last_misses(takt_stream_contract(r->stream), misses, SHOWN_MISSES);
    for (int i = 0; i < n; i++) {
        takt_miss_text(&misses[i], text, sizeof text);
        printf("  miss     %s\n", text);
    }
    if (n && misses[0].number)
        printf("  miss     and %llu before these\n", (unsigned long long)misses[0].number);
}

void summary_text(const struct running *r)
{
    char text[2048];
    uint64_t frames = takt_stream_position(r->stream);
    printf("%s, %.3f s, %llu frames at %u Hz", r->title, (double)frames / r->actual.rate_hz,
           (unsigned long long)frames, r->actual.rate_hz);
    if (r->actual.source_hz != r->actual.rate_hz)
        printf(", converted from %u Hz", r->actual.source_hz);
    printf("\n");
    for (uint32_t c = 0; c < r->channels; c++) {
        struct takt_level_reading l;
        takt_level_read(r->level, c, &l);
        printf("  channel %u: rms %.2f dBFS, peak %.2f dBFS, %llu clip%s\n", c + 1,
               l.total_rms_dbfs, l.peak_dbfs, (unsigned long long)l.clips, l.clips == 1 ? "" : "s");
    }
    analyses_text(r);
    voice_summary_text(r);
    pipes_text(r);
    takt_contract_text(&r->session->contract, text, sizeof text);
    fputs(text, stdout);
    if (r->actual.bridge_frames)
        printf("bridge: the input's clock is %.1f ppm %s than the output's%s; %u frames added, "
               "%llu gap%s\n",
               fabs(r->actual.bridge_drift_ppm),
               r->actual.bridge_drift_ppm < 0 ? "slower" : "faster",
               r->actual.bridge_settled ? "" : ", not settled yet", r->actual.bridge_frames,
               (unsigned long long)r->actual.bridge_gaps, r->actual.bridge_gaps == 1 ? "" : "s");
    text_losses(r);
    text_health(r);
    text_guard();
    if (r->session->options->verbose)
        text_details(r);
    if (r->html)
        printf("The report is %s\n", r->html);
}
