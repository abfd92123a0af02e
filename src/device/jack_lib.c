#include "device/jack_lib.h"

#include "base/fail.h"
#include "device/host.h"
#include "takt/time.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
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

static _Atomic int clients; /* that are open in this process */

/* JACK2 has its servers' sockets there. */
static struct sockaddr_un socket_path(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const char *name = getenv("JACK_DEFAULT_SERVER");
    snprintf(at.sun_path, sizeof at.sun_path, "/dev/shm/jack_%.80s_%d_0",
             name && *name ? name : "default", (int)getuid());
    return at;
}

static bool seems_to_run(void)
{
    return access(socket_path().sun_path, F_OK) == 0;
}

/* A socket that nobody listens at any more: its server was killed. */
static bool was_killed(void)
{
    struct sockaddr_un at = socket_path();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool is_refused = connect(fd, (struct sockaddr *)&at, sizeof at) < 0 && errno == ECONNREFUSED;
    close(fd);
    return is_refused;
}

int takt_jack_open(const char *name, jack_client_t **out, struct takt_error *e)
{
    jack_status_t status;
    char said[200];
    takt_host_first_log(said, sizeof said); /* what was said before is not the reason */
    /* Failing to open a client when another one's server has just died, libjack of JACK 1.9.21 may
     * free that other one, and closing it then ends the program. */
    if (atomic_load(&clients) && was_killed())
        return takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                         "jack: no server to be reached (it was killed); start jackd");
    /* A busy server may refuse, and take the next. */
    for (int tries = 0; tries < TRIES; tries++) {
        *out = takt_jack.jack_client_open(name, JackNoStartServer, &status);
        if (*out) {
            atomic_fetch_add(&clients, 1);
            return 0;
        }
        if (!seems_to_run())
            break;
        takt_sleep_ms(AGAIN_MS);
    }
    takt_host_first_log(said, sizeof said);
    return takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                     "jack: no server to be reached%s%.100s%s; start jackd", *said ? " (" : "",
                     said, *said ? ")" : "");
}

void takt_jack_close(jack_client_t *client)
{
    takt_jack.jack_client_close(client);
    atomic_fetch_sub(&clients, 1);
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
