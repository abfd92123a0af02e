/*
 * device/jack_lib.h - libjack, loaded when it is first needed, so that takt runs where there is
 * none and `pw-jack` works. Functions stand in takt_jack under their own names.
 */
#ifndef TAKT_DEVICE_JACK_LIB_H
#define TAKT_DEVICE_JACK_LIB_H

#include "takt/error.h"

#include <jack/jack.h>
#include <stdbool.h>

#define TAKT_JACK_CALLS(X)                                                                         \
    X(jack_client_open)                                                                            \
    X(jack_client_close)                                                                           \
    X(jack_activate)                                                                               \
    X(jack_connect)                                                                                \
    X(jack_free)                                                                                   \
    X(jack_get_buffer_size)                                                                        \
    X(jack_get_cycle_times)                                                                        \
    X(jack_get_ports)                                                                              \
    X(jack_get_sample_rate)                                                                        \
    X(jack_get_time)                                                                               \
    X(jack_on_info_shutdown)                                                                       \
    X(jack_port_by_name)                                                                           \
    X(jack_port_connected_to)                                                                      \
    X(jack_port_get_buffer)                                                                        \
    X(jack_port_get_latency_range)                                                                 \
    X(jack_port_name)                                                                              \
    X(jack_port_register)                                                                          \
    X(jack_port_set_latency_range)                                                                 \
    X(jack_set_buffer_size_callback)                                                               \
    X(jack_set_error_function)                                                                     \
    X(jack_set_freewheel_callback)                                                                 \
    X(jack_set_info_function)                                                                      \
    X(jack_set_latency_callback)                                                                   \
    X(jack_set_port_registration_callback)                                                         \
    X(jack_set_process_callback)                                                                   \
    X(jack_set_xrun_callback)

struct takt_jack_lib {
#define X(name) __typeof__(&name) name;
    TAKT_JACK_CALLS(X)
#undef X
};
extern struct takt_jack_lib takt_jack;

/* Errors: TAKT_ERR_NOT_FOUND when it is not installed. Thread: any. RT: no. */
int takt_jack_need(struct takt_error *e);

/* A client of the server that is running; it starts none. May wait for the server.
 * Errors: TAKT_ERR_NOT_FOUND with what libjack had to say; *out is NULL then. */
int takt_jack_open(const char *name, jack_client_t **out, struct takt_error *e);
void takt_jack_close(jack_client_t *client);

/* After the scheme: "none" has ports without connections. */
bool takt_jack_is_unconnected(const char *rest);

/* The names of the ports that an input is connected from, or an output to: NULL at the end, to be
 * freed with jack_free; NULL when there are none. "" means the machine's own ports, whatever their
 * client is called; else those of all clients. */
const char **takt_jack_ports_of(jack_client_t *client, const char *rest, bool is_input);

#endif
