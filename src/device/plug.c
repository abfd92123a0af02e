#include "device/plug.h"

#include "base/fail.h"
#include "device/backends.h"

#include <stdatomic.h>
#include <stdio.h>

static _Atomic(const struct takt_backend *) plugged;

void takt_plug(const struct takt_backend *backend)
{
    atomic_store(&plugged, backend);
}

static int nobody(struct takt_error *e)
{
    return takt_fail(e, TAKT_ERR_NOT_FOUND, 0, "lab: is there only in takt sim");
}

static int open_driver(const struct takt_driver_cfg *cfg, struct takt_driver **out,
                       struct takt_error *e)
{
    const struct takt_backend *b = atomic_load(&plugged);
    *out = NULL;
    return b ? b->open_driver(cfg, out, e) : nobody(e);
}

static int open_port(const struct takt_port_cfg *cfg, struct takt_port **out, struct takt_error *e)
{
    const struct takt_backend *b = atomic_load(&plugged);
    *out = NULL;
    return b ? b->open_port(cfg, out, e) : nobody(e);
}

/* Never listed: it is nothing to choose. */
static int list(struct takt_device_info *out, int max)
{
    return 0;
}

static int query(const char *rest, struct takt_device_info *out, struct takt_error *e)
{
    const struct takt_backend *b = atomic_load(&plugged);
    return b ? b->query(rest, out, e) : nobody(e);
}

const struct takt_backend takt_backend_lab = {.scheme = "lab",
                                              .has_clock = true,
                                              .list = list,
                                              .query = query,
                                              .open_port = open_port,
                                              .open_driver = open_driver};
const struct takt_backend takt_backend_labport = {.scheme = "labport",
                                                  .list = list,
                                                  .query = query,
                                                  .open_port = open_port,
                                                  .open_driver = open_driver};
