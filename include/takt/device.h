/*
 * takt/device.h - which devices there are, what they can do, and which are the defaults.
 *
 *     struct takt_device_info *list;
 *     int n = takt_devices(&list, &e);
 *     for (int i = 0; i < n; i++)
 *         puts(list[i].id);
 *     takt_devices_free(list);
 *
 * A device's id is a string: "sim:voice", "file:take.wav", "null:". A path with no known scheme
 * before it means a file.
 */
#ifndef TAKT_DEVICE_H
#define TAKT_DEVICE_H

#include "takt/error.h"
#include "takt/format.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct takt_device_info {
    char id[256];              /* what to write into takt_side_cfg.device */
    char backend[16];          /* "sim", "file", "null", … */
    char description[160];     /* one line for people */
    uint32_t in_channels_max;  /* 0: no input */
    uint32_t out_channels_max; /* 0: no output */
    uint32_t in_channels_default, out_channels_default; /* when a stream does not say */
    uint32_t rate_hz_default, rate_hz_min, rate_hz_max;
    uint32_t block_frames_default, block_frames_min, block_frames_max;
    double latency_low_s, latency_high_s; /* one way, at the default rate; 0 where not paced */
    enum takt_sample format; /* its own sample format; TAKT_F32 unless it is a file of another */
    uint64_t frames;         /* a recording's length; 0 where there is no end */
    bool is_default_in, is_default_out;
};

/* Lists what can be opened now. Returns how many; *list is to be freed with takt_devices_free,
 * and is NULL after an error. Errors: TAKT_ERR_NOMEM. Thread: any. RT: no. */
TAKT_API int takt_devices(struct takt_device_info **list, struct takt_error *e);
TAKT_API void takt_devices_free(struct takt_device_info *list);

/* What one device can do. Opens a file far enough to read its header.
 * Errors: TAKT_ERR_ARG, _NOT_FOUND, _FORMAT, _IO. Thread: any. RT: no. */
TAKT_API int takt_device_query(const char *id, struct takt_device_info *out, struct takt_error *e);

/*
 * Changes of that list as they happen:
 *
 *     takt_device_watch_create(&w, &e);
 *     while (poll(&(struct pollfd){takt_device_watch_fd(w), POLLIN}, 1, -1) > 0)
 *         while (takt_device_watch_next(w, &change))
 *             puts(change.device.id);
 *
 * The devices that are there already come first, as added, so that no change falls between a list
 * and a watch. What came and went before anybody asked is not told. It takes about a tenth of a
 * second for a change to be told where the sound system tells of it (PipeWire, JACK), else a
 * second.
 */
enum takt_device_change_type {
    TAKT_DEVICE_ADDED = 1,
    TAKT_DEVICE_REMOVED,
    TAKT_DEVICE_CHANGED, /* its channels, rates, latencies or description are others */
    TAKT_DEVICE_DEFAULT  /* it is the default now, or is it no more */
};
struct takt_device_change {
    enum takt_device_change_type type;
    struct takt_device_info device; /* as it is now; when removed, as it was last */
};
struct takt_device_watch;

/* Errors: TAKT_ERR_NOMEM, _SYSTEM; *out is NULL then. Thread: any. RT: no. */
TAKT_API int takt_device_watch_create(struct takt_device_watch **out, struct takt_error *e);

/* Readable while there may be a change to be told. It is closed with the watch. RT: yes. */
TAKT_API int takt_device_watch_fd(const struct takt_device_watch *w);

/* Takes the next change; false: none for now. Thread: any, one at a time. RT: no. */
TAKT_API bool takt_device_watch_next(struct takt_device_watch *w, struct takt_device_change *out);

/* Returns within a second, also when a sound server hangs. NULL is fine. Thread: any. RT: no. */
TAKT_API void takt_device_watch_destroy(struct takt_device_watch *w);

/* "added", "removed", "changed", "default". RT: yes. */
TAKT_API const char *takt_device_change_name(enum takt_device_change_type type);

/* What a stream takes where its settings say nothing. "" and 0 mean takt's own choice. */
struct takt_defaults {
    char in_device[256];  /* first TAKT_IN from the environment, else the best live input */
    char out_device[256]; /* first TAKT_OUT from the environment, else the best live output */
    uint32_t rate_hz;     /* else the device's */
    uint32_t block_frames;
};

/* Thread: any; a set is seen by streams created after it. RT: no. */
TAKT_API void takt_defaults_get(struct takt_defaults *out);
TAKT_API int takt_defaults_set(const struct takt_defaults *d, struct takt_error *e);

#ifdef __cplusplus
}
#endif
#endif
