/*
 * wire/key.h - a key as a line of text and back. Thread: any. RT: yes.
 */
#ifndef TAKT_WIRE_KEY_H
#define TAKT_WIRE_KEY_H

#include "takt/key.h"

#include <stdbool.h>
#include <stddef.h>

/* "takt-key-1 ", 64 digits and a newline. */
enum { TAKT_KEY_TEXT_BYTES = 11 + 2 * TAKT_KEY_BYTES + 1 };

/* No NUL is written. */
void takt_key_print(const struct takt_key *k, char out[TAKT_KEY_TEXT_BYTES]);

/* Exactly what print makes, in digits of either case and with or without the newline. False, and
 * zeros, for anything else. */
bool takt_key_parse(const char *text, size_t bytes, struct takt_key *out);

#endif
