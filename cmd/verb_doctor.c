/*
 * What keeps sound from being in time on this machine, and what to do about it first: what the
 * machine says of itself, how late threads wake on it, and advice in order of effect.
 *
 * The machine is read before it is measured, so that a measurement does not show in its own load.
 * What cannot be read is said to be unknown, and never ends the run.
 */
#include "doctor.h"
#include "verbs.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t default_blocks[] = {64, 256, 1024};
enum { DEFAULT_BLOCKS = sizeof default_blocks / sizeof *default_blocks, DEFAULT_SECONDS = 10 };

/* Another machine's files, for tests: what is asked of the live system stays this one's. */
static const char *chosen_root(void)
{
    const char *root = getenv("TAKT_DOCTOR_ROOT");
    return root ? root : "";
}

static void examine(struct doctor *d)
{
    doctor_rights_read(d); /* the limits, before rtkit has takt lower one of them */
    doctor_cpu_read(d);
    doctor_kernel_read(d);
    doctor_irq_read(d);
    doctor_sound_read(d);
    doctor_rights_ask(d);
    doctor_sound_ask(d);
}

static int verdict(const struct doctor *d)
{
    for (int i = 0; d->options->strict && i < d->advice_count; i++)
        if (d->advice[i].severity == DOCTOR_SERIOUS)
            return complain(d->options, EXIT_BROKEN, "--strict: there is serious advice");
    return EXIT_OK;
}

int verb_doctor(struct options *o)
{
    int status = verb_words(o, 0, 0, "");
    if (status)
        return status;
    struct doctor *d = calloc(1, sizeof *d);
    if (!d)
        return complain(o, EXIT_FAILED, "out of memory");
    if (!o->block_count) {
        memcpy(o->blocks, default_blocks, sizeof default_blocks);
        o->block_count = DEFAULT_BLOCKS;
    }
    o->seconds = o->seconds > 0 ? o->seconds : DEFAULT_SECONDS;
    d->options = o;
    d->root = chosen_root();
    terminal_init(&d->terminal);
    signals_take(&d->signals);
    examine(d);
    status = doctor_measure(d);
    doctor_judge(d);
    doctor_print(d);
    status = status ? status : verdict(d);
    signals_give_back(&d->signals);
    free(d);
    return status;
}
