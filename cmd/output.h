/*
 * output.h - stdout, as a filter treats it: a reader that went away ends the run quietly, any other
 * failure is told once and makes the exit status 1.
 */
#ifndef CMD_OUTPUT_H
#define CMD_OUTPUT_H

enum output { OUTPUT_WELL = 0, OUTPUT_CLOSED, OUTPUT_FAILED };

/* Writes out what stdio holds. What it returned once, other than OUTPUT_WELL, it returns for ever.
 * To be used instead of fflush, which would take the reason of a failure with it. */
enum output output_flush(void);

#endif
