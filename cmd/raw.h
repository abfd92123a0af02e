/*
 * raw.h - frames as a program has them: interleaved little-endian numbers on stdin or to stdout, a
 * thread and a ring between them and the callback.
 *
 * What comes in goes at the stream's pace, so whoever writes may be as fast as it likes: it waits.
 * Where it is too slow there is silence, counted, until some hundredths of a second are there
 * again. What goes out waits for nobody: where the reader is two seconds behind, frames are dropped
 * and counted.
 */
#ifndef CMD_RAW_H
#define CMD_RAW_H

#include "json.h"
#include "options.h"

struct raw_in;
struct raw_out;

/* A word or option that means stdin or stdout. */
bool raw_is(const char *id);

/* 0, or EXIT_FAILED after saying why. */
int raw_in_begin(const struct options *o, uint32_t channels, uint32_t rate_hz, struct raw_in **out);
void raw_in_end(struct raw_in *r);
/* The next frames; what there is not stays as it was. Returns how many there were. RT: yes. */
uint32_t raw_in_read(struct raw_in *r, float *const *planes, uint32_t frames);
/* All of it was read. RT: yes. */
bool raw_in_is_over(struct raw_in *r);
/* Some of it was read. RT: yes. */
bool raw_in_has_begun(const struct raw_in *r);
/* It ended before a whole frame had come. RT: yes. */
bool raw_in_is_empty(const struct raw_in *r);
void raw_in_json(const struct raw_in *r, struct json *j);
/* 0, or EXIT_FAILED after saying why: it could not be read to its end. */
int raw_in_verdict(const struct raw_in *r);

/* Takes stdout for itself: from then on what is printed goes to stderr. */
int raw_out_take(const struct options *o, int *fd);
int raw_out_begin(const struct options *o, int fd, uint32_t channels, uint32_t rate_hz,
                  struct raw_out **out);
/* False once nobody reads any more. RT: yes. */
bool raw_out_write(struct raw_out *r, const float *const *planes, uint32_t frames);
/* Writes what is left, for as long as somebody takes some of it each 2 s. */
void raw_out_finish(struct raw_out *r);
uint64_t raw_out_dropped(const struct raw_out *r);
void raw_out_json(const struct raw_out *r, struct json *j);
/* 0, or EXIT_FAILED after saying why: it could not be written. */
int raw_out_verdict(const struct raw_out *r);
void raw_out_destroy(struct raw_out *r);

#endif
