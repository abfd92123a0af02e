#include "device/pipewire_graph.h"

#include "base/fail.h"
#include "device/host.h"

#include <errno.h>
#include <spa/utils/json.h>
#include <spa/utils/result.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The library ----------------------------------------------------------------------------- */

/* Found at once: the general way calls a function that may have to allocate. */
static _Thread_local bool is_data_thread __attribute__((tls_model("initial-exec")));

void takt_pw_on_data_thread(void)
{
    is_data_thread = true;
}

__attribute__((format(printf, 7, 0))) static void
hear(void *object, enum spa_log_level level, const struct spa_log_topic *topic, const char *file,
     int line, const char *function, const char *format, va_list args)
{
    char said[160], text[200];
    if (is_data_thread)
        return;
    vsnprintf(said, sizeof said, format, args);
    snprintf(text, sizeof text, "%s: %s", topic ? topic->topic : "pipewire", said);
    takt_host_log("pipewire", text);
}

__attribute__((format(printf, 7, 8))) static void
hear_topic(void *object, enum spa_log_level level, const struct spa_log_topic *topic,
           const char *file, int line, const char *function, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    hear(object, level, topic, file, line, function, format, args);
    va_end(args);
}

__attribute__((format(printf, 6, 0))) static void
hear_old_list(void *object, enum spa_log_level level, const char *file, int line,
              const char *function, const char *format, va_list args)
{
    hear(object, level, NULL, file, line, function, format, args);
}

__attribute__((format(printf, 6, 7))) static void hear_old(void *object, enum spa_log_level level,
                                                           const char *file, int line,
                                                           const char *function, const char *format,
                                                           ...)
{
    va_list args;
    va_start(args, format);
    hear(object, level, NULL, file, line, function, format, args);
    va_end(args);
}

static void init_topic(void *object, struct spa_log_topic *topic)
{
    topic->has_custom_level = false;
}

static const struct spa_log_methods log_methods = {.version = SPA_VERSION_LOG_METHODS,
                                                   .log = hear_old,
                                                   .logv = hear_old_list,
                                                   .logt = hear_topic,
                                                   .logtv = hear,
                                                   .topic_init = init_topic};
static struct spa_log our_log = {
    .iface = {.type = SPA_TYPE_INTERFACE_Log,
              .version = SPA_VERSION_LOG,
              .cb = {.funcs = &log_methods, .data = &our_log}},
    .level = SPA_LOG_LEVEL_WARN,
};
static enum spa_log_level level;

static void init_library(void)
{
    pw_log_set(&our_log); /* before pw_init, which else makes one that writes to stderr */
    pw_init(NULL, NULL);
    level = our_log.level; /* or what PIPEWIRE_DEBUG asks for */
}

/* ---- The graph, as the server tells of it ---------------------------------------------------- */

static void say_changed(struct takt_pw_graph *g)
{
    if (g->changed)
        g->changed(g->arg);
}

static const char *text_of(const struct spa_dict *props, const char *key)
{
    const char *text = props ? spa_dict_lookup(props, key) : NULL;
    return text ? text : "";
}

static uint32_t number_of(const struct spa_dict *props, const char *key)
{
    return (uint32_t)strtoul(text_of(props, key), NULL, 10);
}

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
}

static enum takt_pw_kind kind_of(const char *class)
{
    /* Audio/Source/Virtual and the like are sources, too. */
    if (spa_strstartswith(class, "Audio/Sink"))
        return TAKT_PW_SINK;
    if (spa_strstartswith(class, "Audio/Source"))
        return TAKT_PW_SOURCE;
    return spa_streq(class, "Audio/Duplex") ? TAKT_PW_DUPLEX : TAKT_PW_OTHER;
}

static void add_node(struct takt_pw_graph *g, uint32_t id, const struct spa_dict *props)
{
    enum takt_pw_kind kind = kind_of(text_of(props, PW_KEY_MEDIA_CLASS));
    const char *name = text_of(props, PW_KEY_NODE_NAME);
    if (kind == TAKT_PW_OTHER || !*name || strlen(name) >= TAKT_PW_NAME_BYTES)
        return;
    struct takt_pw_node *n = pw_array_add(&g->nodes, sizeof *n);
    if (!n)
        return;
    const char *description = text_of(props, PW_KEY_NODE_DESCRIPTION);
    *n = (struct takt_pw_node){
        .id = id, .kind = kind, .priority = (int)number_of(props, PW_KEY_PRIORITY_SESSION)};
    copy(n->name, sizeof n->name, name);
    copy(n->description, sizeof n->description, *description ? description : name);
}

static void add_port(struct takt_pw_graph *g, uint32_t id, const struct spa_dict *props)
{
    if (!spa_streq(text_of(props, PW_KEY_FORMAT_DSP), "32 bit float mono audio"))
        return;
    struct takt_pw_port *p = pw_array_add(&g->ports, sizeof *p);
    if (!p)
        return;
    *p = (struct takt_pw_port){
        .id = id,
        .node_id = number_of(props, PW_KEY_NODE_ID),
        .index = number_of(props, PW_KEY_PORT_ID),
        .takes_sound = spa_streq(text_of(props, PW_KEY_PORT_DIRECTION), "in"),
        .is_monitor = spa_atob(text_of(props, PW_KEY_PORT_MONITOR)),
    };
    copy(p->channel, sizeof p->channel, text_of(props, PW_KEY_AUDIO_CHANNEL));
}

static void add_connection(struct takt_pw_graph *g, uint32_t id, const struct spa_dict *props)
{
    struct takt_pw_connection *c = pw_array_add(&g->connections, sizeof *c);
    if (c)
        *c = (struct takt_pw_connection){.id = id,
                                         .from_node = number_of(props, PW_KEY_LINK_OUTPUT_NODE),
                                         .to_node = number_of(props, PW_KEY_LINK_INPUT_NODE)};
}

/* Every kind of item begins with its id. */
static bool remove_item(struct pw_array *items, size_t size, uint32_t id)
{
    for (char *at = items->data; pw_array_check(items, at); at += size)
        if (*(uint32_t *)(void *)at == id) {
            char *end = (char *)items->data + items->size;
            memmove(at, at + size, (size_t)(end - at) - size);
            items->size -= size;
            return true;
        }
    return false;
}

/* Its value is {"name":"…"}. */
static void read_name(char *to, const char *value)
{
    struct spa_json json, object;
    char key[16];
    *to = 0;
    if (!value)
        return;
    spa_json_init(&json, value, strlen(value));
    if (spa_json_enter_object(&json, &object) <= 0)
        return;
    while (spa_json_get_string(&object, key, sizeof key) > 0) {
        const char *other;
        if (spa_streq(key, "name")) {
            if (spa_json_get_string(&object, to, TAKT_PW_NAME_BYTES) <= 0)
                *to = 0;
            return;
        }
        if (spa_json_next(&object, &other) <= 0)
            return;
    }
}

static int default_changed(void *arg, uint32_t subject, const char *key, const char *type,
                           const char *value)
{
    struct takt_pw_graph *g = arg;
    if (subject)
        return 0;
    if (!key || spa_streq(key, "default.audio.sink"))
        read_name(g->default_sink, value);
    if (!key || spa_streq(key, "default.audio.source"))
        read_name(g->default_source, value);
    say_changed(g);
    return 0;
}

static int setting_changed(void *arg, uint32_t subject, const char *key, const char *type,
                           const char *value)
{
    struct takt_pw_graph *g = arg;
    uint32_t number = value ? (uint32_t)strtoul(value, NULL, 10) : 0;
    if (subject || !key || !number)
        return 0;
    if (spa_streq(key, "clock.rate") || spa_streq(key, "clock.force-rate"))
        g->rate_hz = number;
    else if (spa_streq(key, "clock.quantum"))
        g->quantum = number;
    else if (spa_streq(key, "clock.min-quantum"))
        g->quantum_min = number;
    else if (spa_streq(key, "clock.max-quantum"))
        g->quantum_max = number;
    else if (spa_streq(key, "clock.force-quantum"))
        g->quantum = g->quantum_min = g->quantum_max = number;
    return 0;
}

static const struct pw_metadata_events defaults_events = {.version = PW_VERSION_METADATA_EVENTS,
                                                          .property = default_changed};
static const struct pw_metadata_events settings_events = {.version = PW_VERSION_METADATA_EVENTS,
                                                          .property = setting_changed};

static struct pw_metadata *bind_metadata(struct takt_pw_graph *g, uint32_t id,
                                         struct spa_hook *hook,
                                         const struct pw_metadata_events *events)
{
    struct pw_metadata *m =
        pw_registry_bind(g->registry, id, PW_TYPE_INTERFACE_Metadata, PW_VERSION_METADATA, 0);
    if (m)
        pw_metadata_add_listener(m, hook, events, g);
    return m;
}

static void add_metadata(struct takt_pw_graph *g, uint32_t id, const struct spa_dict *props)
{
    const char *name = text_of(props, PW_KEY_METADATA_NAME);
    if (spa_streq(name, "default") && !g->defaults) {
        g->defaults = bind_metadata(g, id, &g->defaults_hook, &defaults_events);
        g->defaults_id = id;
        g->has_manager = true;
    } else if (spa_streq(name, "settings") && !g->settings) {
        g->settings = bind_metadata(g, id, &g->settings_hook, &settings_events);
        g->settings_id = id;
    }
}

static void release(struct pw_metadata **m, struct spa_hook *hook)
{
    if (!*m)
        return;
    spa_hook_remove(hook);
    pw_proxy_destroy((struct pw_proxy *)*m);
    *m = NULL;
}

static void added(void *arg, uint32_t id, uint32_t permissions, const char *type, uint32_t version,
                  const struct spa_dict *props)
{
    struct takt_pw_graph *g = arg;
    if (spa_streq(type, PW_TYPE_INTERFACE_Node))
        add_node(g, id, props);
    else if (spa_streq(type, PW_TYPE_INTERFACE_Port))
        add_port(g, id, props);
    else if (spa_streq(type, PW_TYPE_INTERFACE_Link))
        add_connection(g, id, props);
    else if (spa_streq(type, PW_TYPE_INTERFACE_Metadata))
        add_metadata(g, id, props);
    else
        return;
    say_changed(g);
}

static void removed(void *arg, uint32_t id)
{
    struct takt_pw_graph *g = arg;
    if (g->defaults && id == g->defaults_id) {
        release(&g->defaults, &g->defaults_hook);
        g->has_manager = false;
        *g->default_sink = *g->default_source = 0;
    } else if (g->settings && id == g->settings_id) {
        release(&g->settings, &g->settings_hook);
    } else if (!remove_item(&g->nodes, sizeof(struct takt_pw_node), id) &&
               !remove_item(&g->ports, sizeof(struct takt_pw_port), id) &&
               !remove_item(&g->connections, sizeof(struct takt_pw_connection), id)) {
        return;
    }
    say_changed(g);
}

static const struct pw_registry_events registry_events = {
    .version = PW_VERSION_REGISTRY_EVENTS, .global = added, .global_remove = removed};

/* ---- The connection -------------------------------------------------------------------------- */

static void done(void *arg, uint32_t id, int seq)
{
    struct takt_pw_graph *g = arg;
    if (id == PW_ID_CORE)
        g->arrived = seq;
    pw_thread_loop_signal(g->loop, false);
}

static void failed(void *arg, uint32_t id, int seq, int res, const char *message)
{
    struct takt_pw_graph *g = arg;
    if (id != PW_ID_CORE || res != -EPIPE) {
        takt_host_log("pipewire", message ? message : spa_strerror(res));
        return;
    }
    g->is_lost = true;
    if (g->lost)
        g->lost(g->arg);
    pw_thread_loop_signal(g->loop, false);
}

static const struct pw_core_events core_events = {
    .version = PW_VERSION_CORE_EVENTS, .done = done, .error = failed};

/* Until the server has done all that it was asked so far. */
static int roundtrip(struct takt_pw_graph *g, struct timespec *until)
{
    g->awaited = pw_core_sync(g->core, PW_ID_CORE, g->awaited);
    while (g->arrived != g->awaited && !g->is_lost)
        if (pw_thread_loop_timed_wait_full(g->loop, until) == -ETIMEDOUT)
            return TAKT_ERR_TIMEOUT;
    return g->is_lost ? TAKT_ERR_NOT_FOUND : 0;
}

static int connect_to_server(struct takt_pw_graph *g, int64_t timeout_ns, struct takt_error *e)
{
    struct timespec until;
    pw_thread_loop_get_time(g->loop, &until, timeout_ns);
    g->core = pw_context_connect(g->context, NULL, 0);
    if (!g->core)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, errno,
                         "pipewire: no server answers; is pipewire running for this user?");
    pw_core_add_listener(g->core, &g->core_hook, &core_events, g);
    g->registry = pw_core_get_registry(g->core, PW_VERSION_REGISTRY, 0);
    if (!g->registry)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    pw_registry_add_listener(g->registry, &g->registry_hook, &registry_events, g);
    int err = roundtrip(g, &until);
    err = err ? err : roundtrip(g, &until); /* what is in the metadata, bound in the first */
    if (err == TAKT_ERR_TIMEOUT)
        return takt_fail(e, err, 0, "pipewire: the server does not answer");
    return err ? takt_fail(e, err, 0, "pipewire: the server has ended") : 0;
}

int takt_pw_graph_open(struct takt_pw_graph *g, bool is_real_time, int64_t timeout_ns,
                       struct takt_error *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_library);
    *g = (struct takt_pw_graph){.changed = g->changed,
                                .lost = g->lost,
                                .arg = g->arg,
                                .rate_hz = 48000,
                                .quantum = 1024,
                                .quantum_min = 32,
                                .quantum_max = 2048};
    pw_array_init(&g->nodes, 4096);
    pw_array_init(&g->ports, 4096);
    pw_array_init(&g->connections, 1024);
    g->loop = pw_thread_loop_new("takt-pipewire", NULL);
    if (g->loop)
        g->context = pw_context_new(
            pw_thread_loop_get_loop(g->loop),
            is_real_time ? pw_properties_new(PW_KEY_CONFIG_NAME, "client-rt.conf", NULL) : NULL, 0);
    pw_log_set_level(level); /* the settings that were just read may have silenced it */
    if (!g->context || pw_thread_loop_start(g->loop) < 0) {
        int os = errno;
        takt_pw_graph_close(g);
        return takt_fail(e, TAKT_ERR_SYSTEM, os, "pipewire: the library cannot be set up");
    }
    pw_thread_loop_lock(g->loop);
    int err = connect_to_server(g, timeout_ns, e);
    pw_thread_loop_unlock(g->loop);
    if (err < 0)
        takt_pw_graph_close(g);
    return err;
}

void takt_pw_graph_close(struct takt_pw_graph *g)
{
    if (g->loop)
        pw_thread_loop_stop(g->loop);
    release(&g->defaults, &g->defaults_hook);
    release(&g->settings, &g->settings_hook);
    if (g->registry) {
        spa_hook_remove(&g->registry_hook);
        pw_proxy_destroy((struct pw_proxy *)g->registry);
    }
    if (g->core) {
        spa_hook_remove(&g->core_hook);
        pw_core_disconnect(g->core);
    }
    if (g->context)
        pw_context_destroy(g->context);
    if (g->loop)
        pw_thread_loop_destroy(g->loop);
    pw_array_clear(&g->nodes);
    pw_array_clear(&g->ports);
    pw_array_clear(&g->connections);
    *g = (struct takt_pw_graph){.changed = g->changed, .lost = g->lost, .arg = g->arg};
}

/* ---- Questions ------------------------------------------------------------------------------- */

static const struct takt_pw_node *named(const struct takt_pw_graph *g, const char *name)
{
    const struct takt_pw_node *n;
    if (*name)
        pw_array_for_each(n, &g->nodes) if (spa_streq(n->name, name)) return n;
    return NULL;
}

static const struct takt_pw_node *highest(const struct takt_pw_graph *g, enum takt_pw_kind kind)
{
    const struct takt_pw_node *n, *best = NULL;
    pw_array_for_each(n, &g->nodes) if ((n->kind == kind || n->kind == TAKT_PW_DUPLEX) &&
                                        (!best || n->priority > best->priority)) best = n;
    return best;
}

/* A machine without a source has the monitor of its sink as default input, as session managers
 * have it. */
static const struct takt_pw_node *default_node(const struct takt_pw_graph *g, bool is_input)
{
    const struct takt_pw_node *n = named(g, is_input ? g->default_source : g->default_sink);
    n = n ? n : highest(g, is_input ? TAKT_PW_SOURCE : TAKT_PW_SINK);
    return n || !is_input ? n : default_node(g, false);
}

const struct takt_pw_node *takt_pw_graph_find(const struct takt_pw_graph *g, const char *rest,
                                              bool is_input, bool *is_monitor)
{
    static const char ending[] = ".monitor";
    const struct takt_pw_node *n = *rest ? named(g, rest) : default_node(g, is_input);
    *is_monitor = is_input && n && n->kind == TAKT_PW_SINK;
    if (!n && is_input && spa_strendswith(rest, ending)) {
        char name[TAKT_PW_NAME_BYTES];
        snprintf(name, sizeof name, "%.*s", (int)(strlen(rest) - strlen(ending)), rest);
        n = named(g, name);
        *is_monitor = true;
    }
    return n;
}

const struct takt_pw_port *takt_pw_graph_port(const struct takt_pw_graph *g, uint32_t node_id,
                                              bool takes_sound, bool is_monitor, uint32_t index)
{
    /* A port's index counts within its direction, monitors after or among the others; its rank
     * among its like is what a channel number means. */
    const struct takt_pw_port *p, *best = NULL;
    int64_t after = -1;
    for (uint32_t rank = 0; rank <= index; rank++) {
        best = NULL;
        pw_array_for_each(p, &g->ports) if (p->node_id == node_id &&
                                            p->takes_sound == takes_sound &&
                                            p->is_monitor == is_monitor && p->index > after &&
                                            (!best || p->index < best->index)) best = p;
        if (!best)
            return NULL;
        after = best->index;
    }
    return best;
}

uint32_t takt_pw_graph_ports(const struct takt_pw_graph *g, uint32_t node_id, bool takes_sound,
                             bool is_monitor)
{
    const struct takt_pw_port *p;
    uint32_t count = 0;
    pw_array_for_each(p, &g->ports) count +=
        p->node_id == node_id && p->takes_sound == takes_sound && p->is_monitor == is_monitor;
    return count;
}

bool takt_pw_graph_is_connected(const struct takt_pw_graph *g, uint32_t node_id)
{
    const struct takt_pw_connection *c;
    pw_array_for_each(c, &g->connections) if (c->from_node == node_id ||
                                              c->to_node == node_id) return true;
    return false;
}
