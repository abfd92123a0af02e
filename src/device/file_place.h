/*
 * device/file_place.h - where a recording may be made: in a regular file that nobody else plays or
 * records.
 *
 * Making a recording empties the file, so a file that is being played would lose its sound. Sources
 * hold a shared flock(2) on their file and recordings an exclusive one, across all programs that
 * use takt. A file system without such locks is used without them.
 * Thread: control or worker. RT: no.
 */
#ifndef TAKT_DEVICE_FILE_PLACE_H
#define TAKT_DEVICE_FILE_PLACE_H

#include "takt/error.h"

/* Is it a place to record to? Locks the file where there is one, and changes nothing: *fd is its
 * descriptor, or -1 where it is still to be made. Never waits. Errors: TAKT_ERR_IO. */
int takt_file_claim(const char *path, int *fd, struct takt_error *e);

/* Empties the file that was claimed, or makes it: *fd is open for reading and writing then.
 * Errors: TAKT_ERR_IO. */
int takt_file_empty(const char *path, int *fd, struct takt_error *e);

/* Keeps recordings off the file; the descriptor, or -1 where that cannot be had: the file is just
 * being recorded, which may be played. */
int takt_file_hold(const char *path);

/* Ends either. 0, or the errno of what the system had kept for this moment. fd < 0 is fine. */
int takt_file_let_go(int fd);

/* The end of the path, where the name is, short enough for any message: at most 80 bytes. */
const char *takt_file_tail(const char *path);

#endif
