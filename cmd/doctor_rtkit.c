/*
 * Does rtkit answer on the system bus? On a private connection, made by hand since
 * dbus_bus_get_private would wait 25 s for a bus that hangs.
 */
#include "doctor.h"

#include <stdio.h>
#include <stdlib.h>

#ifdef TAKT_HAVE_DBUS

#include <dbus/dbus.h>

enum { REPLY_MS = 1000, PRIORITY_MAX = 99 };

/* Sends and frees the message; the reply, or NULL with the reason in why. */
static DBusMessage *call(DBusConnection *bus, DBusMessage *message, char *why, size_t size)
{
    DBusError e;
    DBusMessage *reply = NULL;
    dbus_error_init(&e);
    if (message) {
        reply = dbus_connection_send_with_reply_and_block(bus, message, REPLY_MS, &e);
        dbus_message_unref(message);
    }
    if (!reply)
        snprintf(why, size, "%s", e.name ? e.name : "out of memory");
    dbus_error_free(&e);
    return reply;
}

static bool say_hello(DBusConnection *bus, char *why, size_t size)
{
    DBusMessage *reply = call(bus,
                              dbus_message_new_method_call(DBUS_SERVICE_DBUS, DBUS_PATH_DBUS,
                                                           DBUS_INTERFACE_DBUS, "Hello"),
                              why, size);
    if (reply)
        dbus_message_unref(reply);
    return reply != NULL;
}

static int ask_priority(DBusConnection *bus, char *why, size_t size)
{
    const char *service = "org.freedesktop.RealtimeKit1", *name = "MaxRealtimePriority";
    int priority = 0;
    DBusMessageIter outer, inner;
    DBusMessage *message = dbus_message_new_method_call(service, "/org/freedesktop/RealtimeKit1",
                                                        DBUS_INTERFACE_PROPERTIES, "Get");
    if (message)
        dbus_message_append_args(message, DBUS_TYPE_STRING, &service, DBUS_TYPE_STRING, &name,
                                 DBUS_TYPE_INVALID);
    DBusMessage *reply = call(bus, message, why, size);
    if (!reply)
        return 0;
    if (dbus_message_iter_init(reply, &outer) &&
        dbus_message_iter_get_arg_type(&outer) == DBUS_TYPE_VARIANT) {
        dbus_message_iter_recurse(&outer, &inner);
        if (dbus_message_iter_get_arg_type(&inner) == DBUS_TYPE_INT32) {
            dbus_int32_t value;
            dbus_message_iter_get_basic(&inner, &value);
            priority = value > 0 && value <= PRIORITY_MAX ? value : 0;
        }
    }
    dbus_message_unref(reply);
    if (!priority)
        snprintf(why, size, "it lends no priority");
    return priority;
}

int doctor_rtkit_priority(char *why, size_t size)
{
    const char *address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
    DBusError e;
    int priority = 0;
    dbus_error_init(&e);
    *why = '\0';
    dbus_connection_set_change_sigpipe(FALSE);
    DBusConnection *bus = dbus_connection_open_private(
        address ? address : "unix:path=/run/dbus/system_bus_socket", &e);
    if (!bus) {
        snprintf(why, size, "no system bus");
        dbus_error_free(&e);
        return 0;
    }
    dbus_connection_set_exit_on_disconnect(bus, FALSE);
    if (say_hello(bus, why, size))
        priority = ask_priority(bus, why, size);
    dbus_connection_close(bus);
    dbus_connection_unref(bus);
    return priority;
}

#else

int doctor_rtkit_priority(char *why, size_t size)
{
    snprintf(why, size, "not in this build");
    return 0;
}

#endif
