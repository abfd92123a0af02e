/*
 * rtkit hands out real-time scheduling on two conditions: the process limits its own real-time
 * CPU time (RLIMIT_RTTIME), so that a runaway thread is stopped by the kernel, and the thread
 * carries SCHED_RESET_ON_FORK, which rtkit itself sets. The kernel sends SIGXCPU at the soft
 * limit: the time between two sleeps, not in total, so a callback that keeps its deadlines never
 * comes near it.
 *
 * A private connection, closed again: the program may use D-Bus in its own way.
 */
#include "rt/rtkit.h"

#include <stdio.h>

#ifdef TAKT_HAVE_DBUS

#include <dbus/dbus.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { REPLY_MS = 1000 };

static const char *const service = "org.freedesktop.RealtimeKit1";
static const char *const object = "/org/freedesktop/RealtimeKit1";

static DBusConnection *connect_bus(char *why, size_t why_bytes)
{
    DBusError e;
    dbus_error_init(&e);
    DBusConnection *bus = dbus_bus_get_private(DBUS_BUS_SYSTEM, &e);
    if (bus)
        dbus_connection_set_exit_on_disconnect(bus, FALSE);
    else
        snprintf(why, why_bytes, "rtkit: no system bus (%s)", e.name ? e.name : "unknown");
    dbus_error_free(&e);
    return bus;
}

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

/* A property of rtkit's, or the fallback. */
static int64_t property(DBusConnection *bus, const char *name, int64_t fallback)
{
    char ignored[16];
    DBusMessage *message =
        dbus_message_new_method_call(service, object, "org.freedesktop.DBus.Properties", "Get");
    if (message)
        dbus_message_append_args(message, DBUS_TYPE_STRING, &service, DBUS_TYPE_STRING, &name,
                                 DBUS_TYPE_INVALID);
    DBusMessage *reply = call(bus, message, ignored, sizeof ignored);
    if (!reply)
        return fallback;
    DBusMessageIter outer, inner;
    if (dbus_message_iter_init(reply, &outer) &&
        dbus_message_iter_get_arg_type(&outer) == DBUS_TYPE_VARIANT) {
        dbus_message_iter_recurse(&outer, &inner);
        int type = dbus_message_iter_get_arg_type(&inner);
        if (type == DBUS_TYPE_INT32) {
            dbus_int32_t value;
            dbus_message_iter_get_basic(&inner, &value);
            fallback = value;
        } else if (type == DBUS_TYPE_INT64) {
            dbus_int64_t value;
            dbus_message_iter_get_basic(&inner, &value);
            fallback = value;
        }
    }
    dbus_message_unref(reply);
    return fallback;
}

/* MakeThreadRealtimeWithPID(pid, thread, uint32) or MakeThreadHighPriorityWithPID(…, int32). */
static bool make(DBusConnection *bus, const char *method, int type, int32_t value, char *why,
                 size_t why_bytes)
{
    uint64_t process = (uint64_t)getpid(), thread = (uint64_t)syscall(SYS_gettid);
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

static void limit_realtime(int64_t limit_us)
{
    struct rlimit now;
    if (getrlimit(RLIMIT_RTTIME, &now) != 0 || now.rlim_max <= (rlim_t)limit_us)
        return;
    now.rlim_cur = now.rlim_max = (rlim_t)limit_us;
    setrlimit(RLIMIT_RTTIME, &now);
}

bool takt_rtkit_make_realtime(int priority, char *why, size_t why_bytes)
{
    DBusConnection *bus = connect_bus(why, why_bytes);
    if (!bus)
        return false;
    int64_t most = property(bus, "MaxRealtimePriority", 20);
    limit_realtime(property(bus, "RTTimeUSecMax", 200000));
    bool done = make(bus, "MakeThreadRealtimeWithPID", DBUS_TYPE_UINT32,
                     priority < most ? priority : (int32_t)most, why, why_bytes);
    disconnect(bus);
    return done;
}

bool takt_rtkit_make_nice(char *why, size_t why_bytes)
{
    DBusConnection *bus = connect_bus(why, why_bytes);
    if (!bus)
        return false;
    int32_t nice = (int32_t)property(bus, "MinNiceLevel", -15);
    bool done = make(bus, "MakeThreadHighPriorityWithPID", DBUS_TYPE_INT32, nice, why, why_bytes);
    disconnect(bus);
    return done;
}

#else

bool takt_rtkit_make_realtime(int priority, char *why, size_t why_bytes)
{
    snprintf(why, why_bytes, "rtkit: not in this build");
    return false;
}

bool takt_rtkit_make_nice(char *why, size_t why_bytes)
{
    snprintf(why, why_bytes, "rtkit: not in this build");
    return false;
}

#endif
