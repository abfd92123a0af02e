/*
 * pipe.h - pipe:'COMMAND' in a chain: raw frames, interleaved 32-bit floats of this machine, go to
 * a program's standard input as the chain has them at that point; what it prints comes back as
 * lines.
 *
 * The callback copies a block into a ring, and a thread writes it out. While the program is too
 * slow the ring fills up, then frames are dropped and counted; the sound goes on whatever it does.
 * On a virtual clock nothing is dropped: time waits for the program, as long as it takes something.
 */
#ifndef CMD_PIPE_H
#define CMD_PIPE_H

#include "json.h"
#include "options.h"

#include <poll.h>
#include <signal.h>

enum { PIPES_MAX = 8 };

struct pipe;

/* command is kept, not copied. NULL when there is no memory. */
struct pipe *pipe_create(const struct options *o, const char *command, int number);
/* Starts the program and the thread. 0, or an exit status after saying why. */
int pipe_begin(struct pipe *p, const struct takt_stream_actual *actual, const sigset_t *mask);
/* The callback's. RT: yes, on a real clock. */
void pipe_write(struct pipe *p, const float *const *planes, uint32_t channels, uint32_t frames);
/* Nobody reads what it says any more: the callback waits no longer. */
void pipe_leave(struct pipe *p);

/* What poll() can wait for; *fds has room for two more. Returns how many were set. */
int pipe_poll(const struct pipe *p, struct pollfd *fds);
/* Reads a part of what the program has said, and tells each whole line. Returns whether there may
 * be more. what: 'o' is of its output, 'e' of its errors, 'x' of takt itself. tell returns false
 * when it had no room for the line. */
typedef bool pipe_tell_fn(struct pipe *p, char what, const char *line, void *arg);
bool pipe_take(struct pipe *p, pipe_tell_fn *tell, void *arg);
int pipe_number(const struct pipe *p);

/* After the stream. The first hands out what waits and closes the program's input; then it may
 * finish: false once it has ended, or did not in time and was made to. hurries: to end at once. */
void pipe_end_input(struct pipe *p);
bool pipe_still_runs(struct pipe *p, bool hurries);
void pipe_destroy(struct pipe *p);

/* Of the whole run. */
/* "pipe:COMMAND: exited with status 1". */
void pipe_status(const struct pipe *p, char *to, size_t size);
bool pipe_failed(const struct pipe *p);
uint64_t pipe_dropped(const struct pipe *p);
void pipe_json(const struct pipe *p, struct json *j);
void pipe_text(const struct pipe *p);

#endif
