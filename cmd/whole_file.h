/*
 * whole_file.h - a file that is there whole, or as it was before.
 */
#ifndef CMD_WHOLE_FILE_H
#define CMD_WHOLE_FILE_H

#include "options.h"

/* Could path be written? Leaves nothing behind. 0, or EXIT_FAILED after saying why not. */
int whole_file_check(const struct options *o, const char *path);

/* Puts so many bytes there: into a file beside it, which then takes its name. 0, or EXIT_FAILED
 * after saying why; path is as it was then. */
int whole_file_write(const struct options *o, const char *path, const char *bytes, size_t size);

#endif
