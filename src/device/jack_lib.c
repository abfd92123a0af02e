#include "device/jack_lib.h"

#include "base/fail.h"
#include "device/host.h"
#include "takt/time.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRIES = 4, AGAIN_MS = 50 };

struct takt_jack_lib takt_jack;
static bool lib_is_there;

static void hear(const char *text)
{
    takt_host_log("jack", text);
}

static void load(void)
{
    void *so = dlopen("libjack.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!so)
        return;
    bool all = true;
#define X(name)                                                                                    \
    *(void **)&takt_jack.name = dlsym(so, #name);                                                  \
    all &= takt_jack.name != NULL;
    TAKT_JACK_CALLS(X)
#undef X
    if (!all)
        return;
    takt_jack.jack_set_error_function(hear);
    takt_jack.jack_set_info_function(hear);
    lib_is_there = true;
}

int takt_jack_need(struct takt_error *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return lib_is_there ? 0
                        : takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                                    "jack: libjack.so.0 is not installed (libjack-jackd2-0)");
}

/* JACK2 has its servers' sockets there. */
static bool seems_to_run(void)
{
    char path[200];
    const char *name = getenv("JACK_DEFAULT_SERVER");
    snprintf(path, sizeof path, "/dev/shm/jack_%.100s_%d_0", name && *name ? name : "default",
             (int)getuid());
    return access(path, F_OK) == 0;
}

int takt_jack_open(const char *name, jack_client_t **out, struct takt_error *e)
{
    jack_status_t status;
    char said[200];
    takt_host_first_log(said, sizeof said); /* what was said before is not the reason */
    /* A busy server may refuse, and take the next. */
    for (int tries = 0; tries < TRIES; tries++) {
        *out = takt_jack.jack_client_open(name, JackNoStartServer, &status);
        if (*out)
            return 0;
        if (!seems_to_run())
            break;
        takt_sleep_ms(AGAIN_MS);
    }
    takt_host_first_log(said, sizeof said);
    return takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                     "jack: no server to be reached%s%.100s%s; start jackd", *said ? " (" : "",
                     said, *said ? ")" : "");
}

bool takt_jack_is_unconnected(const char *rest)
{
    return !strcmp(rest, "none");
}

const char **takt_jack_ports_of(jack_client_t *client, const char *rest, bool is_input)
{
    unsigned long flags = is_input ? JackPortIsOutput : JackPortIsInput;
    return takt_jack.jack_get_ports(client, NULL, JACK_DEFAULT_AUDIO_TYPE,
                                    *rest ? flags : flags | JackPortIsPhysical);
}
