/*
 * device/pipewire_graph.h - a connection to a PipeWire server, and what is in its graph: the nodes
 * that can be played to or captured from, their ports, and which are the defaults.
 *
 * Threads: a graph has a loop with a thread of its own. Whoever looks at the graph holds its lock;
 * the hooks are called with it held. Nothing here waits longer than it says.
 */
#ifndef TAKT_DEVICE_PIPEWIRE_GRAPH_H
#define TAKT_DEVICE_PIPEWIRE_GRAPH_H

#include "takt/error.h"

#include <pipewire/pipewire.h>

#include <pipewire/extensions/metadata.h> /* has no includes of its own */
#include <stdbool.h>
#include <stdint.h>

enum { TAKT_PW_NAME_BYTES = 232 };

enum takt_pw_kind {
    TAKT_PW_OTHER = 0, /* a program, a filter: of no interest but for its ports */
    TAKT_PW_SINK,
    TAKT_PW_SOURCE,
    TAKT_PW_DUPLEX
};

struct takt_pw_node {
    uint32_t id;
    enum takt_pw_kind kind;
    int priority;
    char name[TAKT_PW_NAME_BYTES];
    char description[TAKT_PW_NAME_BYTES];
};

struct takt_pw_port {
    uint32_t id, node_id;
    uint32_t index;   /* among the node's ports of its direction */
    bool takes_sound; /* an input port, as the server calls it */
    bool is_monitor;  /* gives what a sink plays */
    char channel[16]; /* "FL", "AUX0", … */
};

struct takt_pw_connection {
    uint32_t id, from_node, to_node;
};

struct takt_pw_graph {
    struct pw_thread_loop *loop;
    struct pw_context *context;
    struct pw_core *core;
    struct pw_registry *registry;
    struct pw_metadata *defaults, *settings;
    uint32_t defaults_id, settings_id;
    struct spa_hook core_hook, registry_hook, defaults_hook, settings_hook;
    int awaited, arrived; /* of the roundtrips */
    bool is_lost;         /* the server is gone */

    struct pw_array nodes, ports, connections; /* of the structs above */
    uint32_t rate_hz, quantum, quantum_min, quantum_max;
    char default_sink[TAKT_PW_NAME_BYTES], default_source[TAKT_PW_NAME_BYTES];
    bool has_manager; /* somebody keeps the defaults, so somebody links streams */

    /* Set before open; either may be NULL. */
    void (*changed)(void *arg); /* something of the above */
    void (*lost)(void *arg);
    void *arg;
};

/* Connects and learns what there is. is_real_time: the thread for sound is to be so. On an error g
 * is closed. Errors: TAKT_ERR_NOT_FOUND without a server, TAKT_ERR_TIMEOUT, _NOMEM. RT: no. */
int takt_pw_graph_open(struct takt_pw_graph *g, bool is_real_time, int64_t timeout_ns,
                       struct takt_error *e);
void takt_pw_graph_close(struct takt_pw_graph *g);

/* ---- With the lock held; RT: no ---- */

/* What an id means now, for input or output; NULL when it is not there. "" is the default.
 * *is_monitor: its monitor ports are meant. */
const struct takt_pw_node *takt_pw_graph_find(const struct takt_pw_graph *g, const char *rest,
                                              bool is_input, bool *is_monitor);

/* A node's port number index for sound that flows so; NULL when there is none. */
const struct takt_pw_port *takt_pw_graph_port(const struct takt_pw_graph *g, uint32_t node_id,
                                              bool takes_sound, bool is_monitor, uint32_t index);
uint32_t takt_pw_graph_ports(const struct takt_pw_graph *g, uint32_t node_id, bool takes_sound,
                             bool is_monitor);

/* Does anything go to or from the node? */
bool takt_pw_graph_is_connected(const struct takt_pw_graph *g, uint32_t node_id);

/* ---- Without it ---- */

/* From now on this thread is one for sound: what the library logs on it is dropped, because a log
 * event takes a lock. RT: yes. */
void takt_pw_on_data_thread(void);

#endif
