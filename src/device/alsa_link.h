/* device/alsa_link.h - one stream's PCMs, for device/host.h. */
#ifndef TAKT_DEVICE_ALSA_LINK_H
#define TAKT_DEVICE_ALSA_LINK_H

#include "device/host.h"

#include <alsa/asoundlib.h>

int takt_alsa_link_make(const struct takt_driver_cfg *cfg, struct takt_link **out,
                        struct takt_error *e);

/* The PCM that an id's rest names: "" is ALSA's "default". */
const char *takt_alsa_pcm_name(const char *rest);

/* Is there a card at the end of it, and not a server? What it says of times can be believed then.
 */
bool takt_alsa_is_card(snd_pcm_t *pcm);

/* Opens a PCM, and refuses one that has no clock. What ALSA has to say becomes log events.
 * May wait for a server. Errors: TAKT_ERR_NOT_FOUND, _IO, _UNSUPPORTED, with the id in the text. */
int takt_alsa_open(const char *rest, bool is_input, snd_pcm_t **out, struct takt_error *e);

#endif
