#include "device/quiet.h"

#include "device/host.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#ifdef TAKT_HAVE_ALSA
#include <alsa/asoundlib.h>
#endif

/* Found at once: the general way calls a function that may have to allocate. */
static _Thread_local bool is_for_sound __attribute__((tls_model("initial-exec")));

void takt_quiet_here(void)
{
    is_for_sound = true;
}

static void hear_jack(const char *text)
{
    takt_host_log("jack", text);
}

/* JACK keeps what it is told until it is unloaded, which it never is. */
static void quiet_jack(void)
{
    void *so = dlopen("libjack.so.0", RTLD_NOW | RTLD_LOCAL);
    for (int i = 0; so && i < 2; i++) {
        void (*set)(void (*print)(const char *text)) = NULL;
        *(void **)&set = dlsym(so, i ? "jack_set_info_function" : "jack_set_error_function");
        if (set)
            set(hear_jack);
    }
}

#ifdef TAKT_HAVE_ALSA
__attribute__((format(printf, 5, 6))) static void
hear_alsa(const char *file, int line, const char *function, int err, const char *format, ...)
{
    char text[200];
    va_list args;
    if (is_for_sound)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    takt_host_log("alsa", text);
}
#endif

static void quiet_all(void)
{
    quiet_jack();
#ifdef TAKT_HAVE_ALSA
    snd_lib_error_set_handler(hear_alsa);
#endif
}

void takt_quiet_libraries(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, quiet_all);
}
