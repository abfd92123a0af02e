/*
 * doctor_file.h - the small files by which Linux tells about itself, read under any root, so that
 * tests can plant a whole machine. Nothing in them is trusted: what is no printable ASCII becomes
 * '?', a file is read up to a limit, and what is not a plain file is not read at all.
 *
 *     char *at = text, *line;
 *     while (doctor_next_line(&at, &line))
 *         ...
 */
#ifndef CMD_DOCTOR_FILE_H
#define CMD_DOCTOR_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All of root/path, up to 1 MiB, to be freed; NULL when it cannot be read. */
char *doctor_read(const char *root, const char *path);

/* The same of what gzip packed; NULL also where this build cannot unpack it. */
char *doctor_read_packed(const char *root, const char *path);

/* Its first line, without spaces around it. False, and "" there, when it cannot be read. */
bool doctor_read_line(const char *root, const char *path, char *to, size_t size);

/* The whole number that its first line is. */
bool doctor_read_number(const char *root, const char *path, int64_t *to);

/* Cuts the next line off. False at the end. */
bool doctor_next_line(char **at, char **line);

/* Cuts the next word off, between any of the separators; NULL at the end. */
char *doctor_next_word(char **at, const char *separators);

/* A whole number from the text's beginning to its end. */
bool doctor_number(const char *text, int64_t *to);

/* What stands behind "key" and a colon, at the beginning of a line; without spaces around it. */
bool doctor_value(const char *text, const char *key, char *to, size_t size);

/* Is the word in a list with these separators? */
bool doctor_has_word(const char *list, const char *word, const char *separators);

/* Adds to a list such as "a, b"; what has no room is left out. */
void doctor_add(char *list, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Calls each with the names in a folder, sorted, at most some thousands. */
void doctor_each_name(const char *root, const char *path, void (*each)(const char *name, void *arg),
                      void *arg);

#endif
