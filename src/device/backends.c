#include "device/backends.h"

/* The first with a clock gives the defaults. One a line, where clang-format would make columns. */
/* clang-format off */
const struct takt_backend *const takt_backends[] = {
#ifdef TAKT_HAVE_PIPEWIRE
    &takt_backend_pipewire,
#endif
#ifdef TAKT_HAVE_JACK
    &takt_backend_jack,
#endif
#ifdef TAKT_HAVE_ALSA
    &takt_backend_alsa,
#endif
#ifdef TAKT_HAVE_PORTAUDIO
    &takt_backend_portaudio,
#endif
    &takt_backend_sim,
#ifdef TAKT_HAVE_SNDFILE
    &takt_backend_file,
#endif
    &takt_backend_null,
    &takt_backend_lab,
    &takt_backend_labport,
    NULL,
};
/* clang-format on */
