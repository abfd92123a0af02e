/*
 * Stands in for polkit on a private bus: says yes to every question of CheckAuthorization. The real
 * one asks whose session a process belongs to, and a test's belongs to none.
 *
 *     polkit-stand-in ADDRESS
 */
#include <dbus/dbus.h>
#include <stdio.h>

/* One structure: is authorised, is a challenge, details (a dictionary; empty). */
static DBusMessage *yes_to(DBusMessage *question)
{
    dbus_bool_t yes = TRUE, no = FALSE;
    DBusMessage *answer = dbus_message_new_method_return(question);
    DBusMessageIter all, result, details;
    if (!answer)
        return NULL;
    dbus_message_iter_init_append(answer, &all);
    if (dbus_message_iter_open_container(&all, DBUS_TYPE_STRUCT, NULL, &result) &&
        dbus_message_iter_append_basic(&result, DBUS_TYPE_BOOLEAN, &yes) &&
        dbus_message_iter_append_basic(&result, DBUS_TYPE_BOOLEAN, &no) &&
        dbus_message_iter_open_container(&result, DBUS_TYPE_ARRAY, "{ss}", &details) &&
        dbus_message_iter_close_container(&result, &details) &&
        dbus_message_iter_close_container(&all, &result))
        return answer;
    dbus_message_unref(answer);
    return NULL;
}

int main(int argc, char **argv)
{
    DBusError e = DBUS_ERROR_INIT;
    DBusConnection *bus = argc == 2 ? dbus_connection_open_private(argv[1], &e) : NULL;
    if (!bus || !dbus_bus_register(bus, &e) ||
        dbus_bus_request_name(bus, "org.freedesktop.PolicyKit1", 0, &e) < 0) {
        fprintf(stderr, "polkit-stand-in: %s\n", e.message ? e.message : "usage: ADDRESS");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    while (dbus_connection_read_write(bus, -1)) {
        for (DBusMessage *m; (m = dbus_connection_pop_message(bus));) {
            if (dbus_message_is_method_call(m, "org.freedesktop.PolicyKit1.Authority",
                                            "CheckAuthorization")) {
                DBusMessage *answer = yes_to(m);
                if (answer)
                    dbus_connection_send(bus, answer, NULL);
                if (answer)
                    dbus_message_unref(answer);
            }
            dbus_message_unref(m);
        }
    }
    return 0;
}
