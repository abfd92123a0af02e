/*
 * page.h - a report as one page of HTML, well-formed XML as well: nothing from elsewhere, no
 * scripts, readable on a phone, on paper and in the dark.
 */
#ifndef CMD_PAGE_H
#define CMD_PAGE_H

#include "machine.h"
#include "options.h"

#include <stdio.h>

/* The head, titled "takt VERB: OF", and the beginning of the body. */
void page_begin(FILE *to, const char *verb, const char *of);
void page_end(FILE *to);

/* Text from outside, escaped, for text and for attributes. */
void page_text(FILE *to, const char *text);

/* Rows of a <dl>. */
void page_term(FILE *to, const char *name, const char *text);
void page_machine(FILE *to, const struct machine *m);
void page_time(FILE *to, const struct machine *m); /* when and by what it was made */

/* Writes what make() makes, whole or not at all. 0, or EXIT_FAILED after saying why. */
int page_write(const struct options *o, const char *path, void (*make)(FILE *to, const void *of),
               const void *of);

#endif
