/*
 * The list of devices and the defaults. The list is what the backends say at this moment; the
 * defaults are what was set, else the environment, else the first live device in the list.
 */
#include "stream/devices.h"
#include "base/fail.h"
#include "stream/resolve.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct takt_defaults set;

/* The first device that a backend with a clock offers for this direction. */
static void first_live(bool is_input, char *id, size_t size)
{
    for (const struct takt_backend *const *b = takt_backends; *b; b++) {
        struct takt_device_info infos[64];
        int n = (*b)->has_clock ? (*b)->list(infos, 64) : 0;
        for (int i = 0; i < n && i < 64; i++)
            if (is_input ? infos[i].in_channels_max : infos[i].out_channels_max) {
                strncpy(id, infos[i].id, size - 1);
                return;
            }
    }
}

/* What the environment says, if nothing is wished yet. */
static void wished(char *id, size_t size, const char *variable)
{
    const char *wish = getenv(variable);
    if (!*id && wish && *wish && strlen(wish) < size)
        memcpy(id, wish, strlen(wish) + 1);
}

void takt_defaults_wished(struct takt_defaults *out)
{
    pthread_mutex_lock(&lock);
    *out = set;
    pthread_mutex_unlock(&lock);
    wished(out->in_device, sizeof out->in_device, "TAKT_IN");
    wished(out->out_device, sizeof out->out_device, "TAKT_OUT");
}

void takt_defaults_get(struct takt_defaults *out)
{
    takt_defaults_wished(out);
    if (!*out->in_device)
        first_live(true, out->in_device, sizeof out->in_device);
    if (!*out->out_device)
        first_live(false, out->out_device, sizeof out->out_device);
}

int takt_defaults_set(const struct takt_defaults *d, struct takt_error *e)
{
    const char *ids[] = {d->in_device, d->out_device};
    for (int i = 0; i < 2; i++) {
        const struct takt_backend *backend;
        const char *rest;
        if (strnlen(ids[i], sizeof d->in_device) == sizeof d->in_device)
            return takt_fail(e, TAKT_ERR_ARG, 0, "a default device's id does not end");
        int err = *ids[i] ? takt_device_split(ids[i], &backend, &rest, e) : 0;
        if (err < 0)
            return err;
    }
    if (d->block_frames > TAKT_BLOCK_FRAMES_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "a block of %u frames: it is at most %d",
                         d->block_frames, TAKT_BLOCK_FRAMES_MAX);
    pthread_mutex_lock(&lock);
    set = *d;
    pthread_mutex_unlock(&lock);
    return 0;
}

static bool has_clock(const struct takt_device_info *d)
{
    for (const struct takt_backend *const *b = takt_backends; *b; b++)
        if (!strcmp((*b)->scheme, d->backend))
            return (*b)->has_clock;
    return false;
}

void takt_devices_mark_defaults(struct takt_device_info *list, size_t count)
{
    struct takt_defaults wish;
    takt_defaults_wished(&wish);
    const char *in = *wish.in_device ? wish.in_device : NULL;
    const char *out = *wish.out_device ? wish.out_device : NULL;
    for (size_t i = 0; i < count; i++) {
        struct takt_device_info *d = &list[i];
        if (!in && d->in_channels_max && has_clock(d))
            in = d->id;
        if (!out && d->out_channels_max && has_clock(d))
            out = d->id;
        d->is_default_in = in && d->in_channels_max && !strcmp(d->id, in);
        d->is_default_out = out && d->out_channels_max && !strcmp(d->id, out);
    }
}

int takt_devices(struct takt_device_info **list, struct takt_error *e)
{
    size_t count = 0, room = 0;
    for (const struct takt_backend *const *b = takt_backends; *b; b++)
        room += TAKT_LIST_MAX;
    *list = calloc(room ? room : 1, sizeof **list);
    if (!*list)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    for (const struct takt_backend *const *b = takt_backends; *b; b++) {
        int n = (*b)->list(*list + count, TAKT_LIST_MAX);
        count += (size_t)(n < TAKT_LIST_MAX ? n : TAKT_LIST_MAX);
    }
    takt_devices_mark_defaults(*list, count);
    return (int)count;
}

void takt_devices_free(struct takt_device_info *list)
{
    free(list);
}

int takt_device_query(const char *id, struct takt_device_info *out, struct takt_error *e)
{
    const struct takt_backend *backend;
    const char *rest;
    memset(out, 0, sizeof *out);
    int err = takt_device_split(id, &backend, &rest, e);
    return err < 0 ? err : backend->query(rest, out, e);
}
