/*
 * io/text_file.h - small files: read whole, and written so that they are there whole or as before.
 * Thread: any. RT: no.
 */
#ifndef TAKT_IO_TEXT_FILE_H
#define TAKT_IO_TEXT_FILE_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Opens a file or a pipe to be read; waits some seconds at most for what a pipe brings, so that one
 * that nobody writes to holds nobody up. Returns the descriptor. Errors: TAKT_ERR_NOT_FOUND,
 * TAKT_ERR_IO, of a folder or a device, too. */
int takt_text_open(const char *path, struct takt_error *e);

/* Reads up to room bytes and no NUL. open_mode, if there: the file's permission bits where others
 * than its owner have any, else 0. Returns how many. Errors: TAKT_ERR_NOT_FOUND, TAKT_ERR_IO;
 * TAKT_ERR_FULL: there are more. */
int takt_text_read(const char *path, char *out, size_t room, unsigned *open_mode,
                   struct takt_error *e);
/* That of an open file. 0, or TAKT_ERR_IO. */
int takt_text_open_mode(const char *path, int fd, unsigned *open_mode, struct takt_error *e);

/* Puts the text there: into a file beside it, which then takes its name. Only its owner may read
 * what is secret; the rest is as the umask has it. Returns 0. Errors: TAKT_ERR_IO, and path is as
 * it was. */
int takt_text_write(const char *path, const char *text, size_t bytes, bool is_secret,
                    struct takt_error *e);

/* Writes all of it and waits until it is on the disk. 0, or the errno of what failed. */
int takt_text_put(int fd, const char *text, size_t bytes);

#endif
