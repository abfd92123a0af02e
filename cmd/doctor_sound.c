/*
 * Sound servers: which can be reached, with which block, and whether the threads that carry their
 * sound run in real time. A server that is late makes everybody late who plays through it.
 */
#include "doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The programs, and how the names of the threads that carry sound begin; "" where they have the
 * program's own: then one real-time thread is enough. */
static const struct carrier {
    const char *program, *thread;
} carriers[] = {{"pipewire", "data-loop"},
                {"pipewire-pulse", "data-loop"},
                {"pulseaudio", "alsa-"},
                {"jackd", ""},
                {"jackdbus", ""}};
static const char *const backends[] = {"pipewire", "jack"};

/* ---- Reading ----------------------------------------------------------------------------------
 */

struct threads {
    struct doctor *d;
    const char *process;
    const struct carrier *carrier;
    char late[24]; /* a thread that carries sound without being real-time */
    int count, realtime;
};

/* "12 (data-loop.0) S 1 …": fields 2 and 41 of proc(5)'s stat. */
static bool read_stat(char *text, char **name, int64_t *policy)
{
    enum { POLICY_FIELD = 41, STATE_FIELD = 3 };
    char *open = strchr(text, '('), *close = strrchr(text, ')'), *word = NULL;
    if (!open || !close || close < open)
        return false;
    *close = '\0';
    *name = open + 1;
    char *at = close + 1;
    for (int field = STATE_FIELD; field <= POLICY_FIELD; field++)
        if (!(word = doctor_next_word(&at, " \n")))
            return false;
    return doctor_number(word, policy);
}

static void read_thread(const char *name, void *arg)
{
    enum { FIFO = 1, ROUND_ROBIN = 2, DEADLINE = 6 };
    struct threads *t = arg;
    char path[160], *thread;
    int64_t policy;
    snprintf(path, sizeof path, "/proc/%.20s/task/%.20s/stat", t->process, name);
    char *text = doctor_read(t->d->root, path);
    if (text && read_stat(text, &thread, &policy) &&
        !strncmp(thread, t->carrier->thread, strlen(t->carrier->thread))) {
        bool is_realtime = policy == FIFO || policy == ROUND_ROBIN || policy == DEADLINE;
        t->count++;
        t->realtime += is_realtime;
        if (!is_realtime && !*t->late)
            snprintf(t->late, sizeof t->late, "%s", thread);
    }
    free(text);
}

static void read_process(const char *name, void *arg)
{
    struct doctor *d = arg;
    struct doctor_sound *s = &d->sound;
    char path[64], program[24];
    int64_t number;
    if (!doctor_number(name, &number))
        return;
    s->processes_known = true;
    snprintf(path, sizeof path, "/proc/%.20s/comm", name);
    if (!doctor_read_line(d->root, path, program, sizeof program))
        return;
    for (size_t i = 0; i < sizeof carriers / sizeof *carriers; i++) {
        if (strcmp(program, carriers[i].program) != 0)
            continue;
        struct threads t = {.d = d, .process = name, .carrier = &carriers[i]};
        snprintf(path, sizeof path, "/proc/%.20s/task", name);
        doctor_each_name(d->root, path, read_thread, &t);
        bool any_will_do = !*carriers[i].thread;
        s->data_threads += any_will_do ? t.realtime : t.count;
        doctor_add(s->running, sizeof s->running, "%s", program);
        /* One that has a single thread has only begun, and carries nothing yet. */
        if (any_will_do ? t.count > 1 && !t.realtime : t.realtime < t.count)
            doctor_add(s->not_realtime, sizeof s->not_realtime, "%s %s%s%s", program, name,
                       any_will_do ? "" : " ", any_will_do ? "" : t.late);
    }
}

void doctor_sound_read(struct doctor *d)
{
    d->sound = (struct doctor_sound){.data_threads = 0};
    doctor_each_name(d->root, "/proc", read_process, d);
}

/* A server that is there has a device in the list; takt runs at its block. */
void doctor_sound_ask(struct doctor *d)
{
    struct takt_device_info *list = NULL;
    struct takt_error e;
    int count = takt_devices(&list, &e);
    for (int i = 0; i < 2; i++) {
        struct doctor_server *s = &d->sound.servers[i];
        *s = (struct doctor_server){.is_reachable = false};
        snprintf(s->name, sizeof s->name, "%s", backends[i]);
        for (int k = 0; k < count && !s->is_reachable; k++) {
            if (strcmp(list[k].backend, backends[i]) != 0)
                continue;
            s->is_reachable = true;
            s->block_frames = list[k].block_frames_default;
            s->rate_hz = list[k].rate_hz_default;
        }
    }
    takt_devices_free(list);
}

/* ---- Judging ----------------------------------------------------------------------------------
 */

/* Below the smallest block that this machine kept, the server cannot keep its own. */
static void judge_server(struct doctor *d, const struct doctor_server *s)
{
    bool is_pipewire = !strcmp(s->name, "pipewire");
    const char *id = is_pipewire ? "pipewire" : "jack", *name = is_pipewire ? "PipeWire" : "JACK";
    if (!s->is_reachable) {
        doctor_find(d, "sound", id, name, DOCTOR_NOTE, "", "not reachable");
        return;
    }
    if (!s->block_frames || !s->rate_hz) {
        doctor_find(d, "sound", id, name, DOCTOR_NOTE, "", "reachable, its block is not told");
        return;
    }
    double ms = 1e3 * s->block_frames / s->rate_hz;
    const struct doctor_size *best =
        d->best >= 0 && d->best_is_safe ? &d->measured.sizes[d->best] : NULL;
    /* Smaller ones than those that were measured are not known to fail. */
    bool is_small = best && d->best > 0 && ms < doctor_block_ms(best->block_frames) * 0.99;
    doctor_find(d, "sound", id, name, is_small ? DOCTOR_NOTABLE : DOCTOR_GOOD, "",
                "blocks of %u at %u Hz, %.2f ms", s->block_frames, s->rate_hz, ms);
    if (is_small)
        doctor_because(d,
                       doctor_advise(d, id, DOCTOR_NOTABLE, -1, "%s %.0f",
                                     is_pipewire ? "raise PipeWire's quantum: pw-metadata -n "
                                                   "settings 0 clock.force-quantum"
                                                 : "start JACK with larger blocks: jackd -p",
                                     doctor_block_ms(best->block_frames) * s->rate_hz / 1e3),
                       "its blocks of %.2f ms are smaller than the %.2f ms that hold here", ms,
                       doctor_block_ms(best->block_frames));
}

static void judge_processes(struct doctor *d)
{
    const struct doctor_sound *s = &d->sound;
    if (!s->processes_known) {
        doctor_unknown(d, "sound", "servers", "sound programs");
        return;
    }
    if (!*s->running) {
        doctor_find(d, "sound", "servers", "sound programs", DOCTOR_NOTE, "", "none running");
        return;
    }
    bool is_late = *s->not_realtime;
    doctor_find(d, "sound", "servers", "sound programs",
                is_late               ? DOCTOR_SERIOUS
                : s->data_threads > 0 ? DOCTOR_GOOD
                                      : DOCTOR_NOTE,
                "real-time", "%s%s", is_late ? "not real-time: " : "",
                is_late ? s->not_realtime : s->running);
    if (is_late)
        doctor_because(d,
                       doctor_advise(d, "servers", DOCTOR_SERIOUS, -1,
                                     "let the sound server run in real time: install rtkit or give "
                                     "its user the limit rtprio, then restart it"),
                       "not real-time: %s", s->not_realtime);
}

void doctor_sound_judge(struct doctor *d)
{
    for (int i = 0; i < 2; i++)
        if (*d->sound.servers[i].name)
            judge_server(d, &d->sound.servers[i]);
    judge_processes(d);
}
