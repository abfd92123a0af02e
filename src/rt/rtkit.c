/*
 * rtkit hands out real-time scheduling on two conditions: the process limits its own real-time
 * CPU time (RLIMIT_RTTIME), so that a runaway thread is stopped by the kernel, and the thread
 * carries SCHED_RESET_ON_FORK, which rtkit itself sets. takt/thread.h tells what follows from it.
 *
 * A private connection, closed again: the program may use D-Bus in its own way. It is made by
 * hand, since dbus_bus_get_private would wait 25 s for a bus that hangs.
 */
#include "rt/rtkit.h"

#include <stdio.h>

#ifdef TAKT_HAVE_DBUS

#include <dbus/dbus.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { REPLY_MS = 1000 };

static const char *const service = "org.freedesktop.RealtimeKit1";
static const char *const object = "/org/freedesktop/RealtimeKit1";

static void disconnect(DBusConnection *bus)
{
    dbus_connection_close(bus);
    dbus_connection_unref(bus);
}

/* Sends and frees the message; the reply, or NULL with the reason in why. */
static DBusMessage *call(DBusConnection *bus, DBusMessage *message, char *why, size_t why_bytes)
{
    DBusError e;
    dbus_error_init(&e);
    DBusMessage *reply = NULL;
    if (message) {
        reply = dbus_connection_send_with_reply_and_block(bus, message, REPLY_MS, &e);
        dbus_message_unref(message);
    }
    if (!reply)
        snprintf(why, why_bytes, "rtkit: refused (%s)", e.name ? e.name : "out of memory");
    dbus_error_free(&e);
    return reply;
}

/* A bus knows a connection only after its Hello. */
static bool say_hello(DBusConnection *bus, char *why, size_t why_bytes)
{
    DBusMessage *reply = call(bus,
                              dbus_message_new_method_call(DBUS_SERVICE_DBUS, DBUS_PATH_DBUS,
                                                           DBUS_INTERFACE_DBUS, "Hello"),
                              why, why_bytes);
    if (!reply)
        return false;
    dbus_message_unref(reply);
    return true;
}

static DBusConnection *connect_bus(char *why, size_t why_bytes)
{
    const char *address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
    DBusError e;
    dbus_error_init(&e);
    dbus_connection_set_change_sigpipe(FALSE); /* SIGPIPE is the program's own affair */
    DBusConnection *bus = dbus_connection_open_private(
        address ? address : "unix:path=/run/dbus/system_bus_socket", &e);
    if (!bus) {
        snprintf(why, why_bytes, "rtkit: no system bus (%s)", e.name ? e.name : "out of memory");
        dbus_error_free(&e);
        return NULL;
    }
    dbus_connection_set_exit_on_disconnect(bus, FALSE);
    if (say_hello(bus, why, why_bytes))
        return bus;
    disconnect(bus);
    return NULL;
}

/* The integer in a reply to Properties.Get; false when it is none. */
static bool integer_of(DBusMessage *reply, int64_t *out)
{
    DBusMessageIter outer, inner;
    if (!dbus_message_iter_init(reply, &outer) ||
        dbus_message_iter_get_arg_type(&outer) != DBUS_TYPE_VARIANT)
        return false;
    dbus_message_iter_recurse(&outer, &inner);
    DBusBasicValue value;
    switch (dbus_message_iter_get_arg_type(&inner)) {
    case DBUS_TYPE_INT32:
        dbus_message_iter_get_basic(&inner, &value);
        *out = value.i32;
        return true;
    case DBUS_TYPE_INT64:
        dbus_message_iter_get_basic(&inner, &value);
        *out = value.i64;
        return true;
    default:
        return false;
    }
}

/* A property of rtkit's. */
static bool property(DBusConnection *bus, const char *name, int64_t *out, char *why,
                     size_t why_bytes)
{
    DBusMessage *message =
        dbus_message_new_method_call(service, object, DBUS_INTERFACE_PROPERTIES, "Get");
    if (message)
        dbus_message_append_args(message, DBUS_TYPE_STRING, &service, DBUS_TYPE_STRING, &name,
                                 DBUS_TYPE_INVALID);
    DBusMessage *reply = call(bus, message, why, why_bytes);
    if (!reply)
        return false;
    bool is_integer = integer_of(reply, out);
    dbus_message_unref(reply);
    if (!is_integer)
        snprintf(why, why_bytes, "rtkit: %s is no number", name);
    return is_integer;
}

/* MakeThreadRealtimeWithPID(pid, thread, uint32) or MakeThreadHighPriorityWithPID(…, int32). */
static bool make(DBusConnection *bus, const char *method, pid_t tid, int type, int32_t value,
                 char *why, size_t why_bytes)
{
    uint64_t process = (uint64_t)getpid(), thread = (uint64_t)tid;
    DBusMessage *message = dbus_message_new_method_call(service, object, service, method);
    if (message)
        dbus_message_append_args(message, DBUS_TYPE_UINT64, &process, DBUS_TYPE_UINT64, &thread,
                                 type, &value, DBUS_TYPE_INVALID);
    DBusMessage *reply = call(bus, message, why, why_bytes);
    if (!reply)
        return false;
    dbus_message_unref(reply);
    return true;
}

/* SIGXCPU at three quarters, which is survived (rt/runaway.h); SIGKILL at the whole. A lower limit
 * of the program's own stays. */
static void limit_realtime(int64_t limit_us)
{
    struct rlimit now;
    if (limit_us <= 0 || getrlimit(RLIMIT_RTTIME, &now) != 0)
        return;
    rlim_t hard = (rlim_t)limit_us < now.rlim_max ? (rlim_t)limit_us : now.rlim_max;
    rlim_t soft = hard / 4 * 3;
    soft = soft < now.rlim_cur ? soft : now.rlim_cur;
    setrlimit(RLIMIT_RTTIME, &(struct rlimit){.rlim_cur = soft, .rlim_max = hard});
}

bool takt_rtkit_make_realtime(pid_t tid, int priority, char *why, size_t why_bytes)
{
    DBusConnection *bus = connect_bus(why, why_bytes);
    if (!bus)
        return false;
    int64_t most = 0, limit_us = 0;
    bool done = property(bus, "MaxRealtimePriority", &most, why, why_bytes) &&
                property(bus, "RTTimeUSecMax", &limit_us, why, why_bytes);
    if (done) {
        limit_realtime(limit_us);
        done = make(bus, "MakeThreadRealtimeWithPID", tid, DBUS_TYPE_UINT32,
                    priority < most ? priority : (int32_t)most, why, why_bytes);
    }
    disconnect(bus);
    return done;
}

bool takt_rtkit_make_nice(pid_t tid, char *why, size_t why_bytes)
{
    DBusConnection *bus = connect_bus(why, why_bytes);
    if (!bus)
        return false;
    int64_t nice = 0;
    bool done = property(bus, "MinNiceLevel", &nice, why, why_bytes) &&
                make(bus, "MakeThreadHighPriorityWithPID", tid, DBUS_TYPE_INT32, (int32_t)nice, why,
                     why_bytes);
    disconnect(bus);
    return done;
}

#else

bool takt_rtkit_make_realtime(pid_t tid, int priority, char *why, size_t why_bytes)
{
    snprintf(why, why_bytes, "rtkit: not in this build");
    return false;
}

bool takt_rtkit_make_nice(pid_t tid, char *why, size_t why_bytes)
{
    snprintf(why, why_bytes, "rtkit: not in this build");
    return false;
}

#endif
