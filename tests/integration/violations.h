/* What violations.c calls of a library of its own. */
#ifndef VIOLATIONS_H
#define VIOLATIONS_H

void violation_in_a_library(void);
void violation_of_a_library(void);

#endif
