/*
 * Scenario after scenario until the hours are over, and what is true of all of them together:
 * that their memory comes back.
 */
#include "takt/simulate.h"

#include "base/fail.h"
#include "device/plug.h"
#include "lab/lab.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WARM_SCENARIOS = 200, HEAP_SLACK = 1 << 20 };

static struct takt_lab *_Atomic running; /* also for whom a signal asks */

const char *takt_fault_name(enum takt_fault fault)
{
    static const char *const names[TAKT_FAULTS] = {
        "late_wake", "overrun", "lost", "xrun",      "away",       "host_block",
        "freewheel", "starved", "full", "disk_slow", "disk_fails", "no_memory"};
    return (unsigned)fault < TAKT_FAULTS ? names[fault] : "unknown";
}

void takt_simulate_where(uint64_t *scenario, uint64_t *step)
{
    const struct takt_lab *l = atomic_load(&running);
    *scenario = l ? l->plan.number : 0;
    *step = l ? l->step : 0;
}

/* ---- Memory -----------------------------------------------------------------------------------
 */

static bool lay_memory(struct takt_lab *l)
{
    size_t block = TAKT_LAB_FRAMES_MAX;
    l->memory = malloc((TAKT_LAB_CHANNELS + 1) * block * sizeof(float));
    if (!l->memory || !takt_lab_tape_init(&l->wide, false) || !takt_lab_tape_init(&l->narrow, true))
        return false;
    for (uint32_t c = 0; c < TAKT_LAB_CHANNELS; c++)
        l->device.out[c] = l->memory + c * block;
    l->device.waste = l->memory + TAKT_LAB_CHANNELS * block;
    for (size_t i = 0; i < block; i++)
        l->device.waste[i] = 0.5003f;
    return true;
}

static void give_back(struct takt_lab *l)
{
    takt_lab_tape_fini(&l->wide);
    takt_lab_tape_fini(&l->narrow);
    free(l->memory);
    free(l);
}

/* What all scenarios together leave on the heap stays within what the allocator keeps for itself.
 */
static void check_heap(struct takt_lab *l, size_t *warm)
{
    struct mallinfo2 heap = mallinfo2();
    size_t bytes = heap.uordblks + heap.hblkhd;
    if (l->report->scenarios == WARM_SCENARIOS)
        *warm = bytes;
    if (l->report->scenarios > WARM_SCENARIOS && bytes > *warm + HEAP_SLACK)
        takt_lab_break(l, "the heap has grown by %zu bytes since scenario %d", bytes - *warm,
                       WARM_SCENARIOS);
}

/* ---- The run ----------------------------------------------------------------------------------
 */

static void run_all(struct takt_lab *l)
{
    const struct takt_simulate_cfg *cfg = l->cfg;
    struct takt_simulate_report *r = l->report;
    double hours = cfg->hours > 0 ? cfg->hours : 1;
    uint64_t number = cfg->only_one ? cfg->scenario : 0;
    size_t warm = 0;
    for (;; number++) {
        takt_lab_run(l, r->seed, number);
        r->scenarios++;
        r->virtual_hours = (double)l->virtual_ns / 3.6e12;
        if (!r->broken)
            check_heap(l, &warm);
        if (r->broken || cfg->only_one || r->virtual_hours >= hours)
            return;
        if (cfg->progress && !cfg->progress(r, cfg->arg))
            return;
    }
}

static int make_folder(struct takt_lab *l, char *folder, size_t size, struct takt_error *e)
{
    const char *at = l->cfg->folder ? l->cfg->folder : getenv("TMPDIR");
    int n = snprintf(folder, size, "%s/takt-sim-XXXXXX", at && *at ? at : "/tmp");
    if (n < 0 || (size_t)n >= size)
        return takt_fail(e, TAKT_ERR_ARG, 0, "the folder's name is too long");
    if (!mkdtemp(folder))
        return takt_fail(e, TAKT_ERR_IO, 0, "%.100s: cannot make a folder there; set TMPDIR",
                         at && *at ? at : "/tmp");
    snprintf(l->path, sizeof l->path, "%s/recording.wav", folder);
    return 0;
}

int takt_simulate(const struct takt_simulate_cfg *cfg, struct takt_simulate_report *out,
                  struct takt_error *e)
{
    char folder[256];
    *out = (struct takt_simulate_report){.seed = cfg->seed ? cfg->seed : 1};
    struct takt_lab *l = calloc(1, sizeof *l), *nobody = NULL;
    if (!l || !lay_memory(l)) {
        if (l)
            give_back(l);
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    }
    l->cfg = cfg;
    l->report = out;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->moved, NULL);
    int err = make_folder(l, folder, sizeof folder, e);
    if (!err && !atomic_compare_exchange_strong(&running, &nobody, l)) {
        rmdir(folder);
        err = takt_fail(e, TAKT_ERR_STATE, 0, "a simulation is running already");
    }
    if (!err) {
        takt_plug(&takt_lab_backend);
        run_all(l);
        takt_plug(NULL);
        atomic_store(&running, NULL);
        unlink(l->path);
        rmdir(folder);
    }
    pthread_cond_destroy(&l->moved);
    pthread_mutex_destroy(&l->lock);
    give_back(l);
    return err;
}
