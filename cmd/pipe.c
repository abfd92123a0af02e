/*
 * Three threads meet here. The callback puts frames into the ring. The feeder writes them to the
 * program, and waits where the program does. The main thread reads what comes back, sees when the
 * program has ended, and ends it when it must.
 *
 * The program is a process group of its own: Ctrl-C in the terminal is takt's, which then ends the
 * program's input, and what it has started ends with it.
 */
#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LINE_BYTES = 65536,
    BUFFER_S = 2,
    NAP_MS = 5,
    POLL_MS = 20,
    TERM_MS = 2000, /* from being asked to end to being ended */
    WAIT_S = 10,
    NOT_RUN = 127
};

/* One of its two outputs, cut into lines. */
struct source {
    int fd;
    size_t used;
    char line[LINE_BYTES + 1];
};

struct pipe {
    const struct options *options;
    const char *command;
    int number;
    bool is_virtual;
    int64_t wait_ns;
    uint32_t channels;
    pid_t pid; /* 0: none, or reaped */
    int to;    /* its standard input; the feeder's */
    struct source out, err;
    struct takt_ring *ring;
    struct takt_thread *feeder;
    _Atomic bool leaves;  /* the callback does not wait */
    _Atomic bool ends;    /* nothing comes any more */
    _Atomic bool hurries; /* and nobody waits for what is left */
    _Atomic bool is_deaf; /* it takes nothing any more */
    _Atomic bool is_stuck;
    _Atomic uint64_t given, dropped;
    /* The main thread's: */
    uint64_t lines, lost_lines;
    bool told_end;
    bool was_ended;             /* by takt */
    int64_t ended_ns, asked_ns; /* when its input ended, when it was asked to end */
    int status;                 /* as waitpid has it */
    bool has_status;
};

struct pipe *pipe_create(const struct options *o, const char *command, int number)
{
    struct pipe *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->options = o;
    p->command = command;
    p->number = number;
    p->wait_ns = (int64_t)((o->wait_s > 0 ? o->wait_s : WAIT_S) * 1e9);
    p->to = p->out.fd = p->err.fd = -1;
    return p;
}

int pipe_number(const struct pipe *p)
{
    return p->number;
}

/* ---- The callback ------------------------------------------------------------------------------
 */

static inline void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void wait_for_room(struct pipe *p, uint32_t frames)
{
    while (takt_ring_write_avail(p->ring) < frames && !atomic_load(&p->is_deaf) &&
           !atomic_load(&p->leaves)) {
        takt_guard_allow(); /* time waits for the program */
        sched_yield();
        takt_guard_forbid();
    }
}

void pipe_write(struct pipe *p, const float *const *planes, uint32_t channels, uint32_t frames)
{
    void *at;
    if (p->is_virtual)
        wait_for_room(p, frames);
    if (atomic_load_explicit(&p->is_deaf, memory_order_relaxed) ||
        takt_ring_reserve(p->ring, frames, &at) < frames) {
        add(&p->dropped, frames);
        return;
    }
    takt_interleave(at, planes, channels, frames);
    takt_ring_commit(p->ring, frames);
}

void pipe_leave(struct pipe *p)
{
    atomic_store(&p->leaves, true);
}

/* ---- The feeder --------------------------------------------------------------------------------
 */

/* Writes what it can of the bytes; -1 when the program takes no more for good. */
static ssize_t write_some(struct pipe *p, const char *from, size_t bytes)
{
    ssize_t n = write(p->to, from, bytes);
    if (n >= 0)
        return n;
    if (errno != EAGAIN && errno != EINTR)
        return -1;
    poll(&(struct pollfd){.fd = p->to, .events = POLLOUT}, 1, POLL_MS);
    return 0;
}

/* On a real clock it may be slow for as long as the stream runs: frames are dropped. */
static bool lost_patience(struct pipe *p, int64_t since_ns)
{
    bool limited = p->is_virtual || atomic_load(&p->ends);
    bool over = limited && takt_now_ns() - since_ns > p->wait_ns;
    if (over)
        atomic_store(&p->is_stuck, true);
    return over || atomic_load(&p->hurries);
}

/* Whole frames leave the ring; of the first one in it, `done` bytes are written already. */
static void feed(void *arg)
{
    struct pipe *p = arg;
    size_t frame_bytes = p->channels * sizeof(float), done = 0;
    int64_t moved_ns = takt_now_ns();
    for (bool ends = false;;) {
        const void *at;
        if (!ends && (ends = atomic_load(&p->ends)))
            moved_ns = takt_now_ns(); /* from here on patience is limited */
        size_t frames = takt_ring_peek(p->ring, SIZE_MAX, &at);
        if (!frames) {
            if (ends)
                break;
            takt_sleep_ms(p->is_virtual ? 1 : NAP_MS);
            moved_ns = takt_now_ns();
            continue;
        }
        ssize_t n = write_some(p, (const char *)at + done, frames * frame_bytes - done);
        if (n > 0)
            moved_ns = takt_now_ns();
        else if (n < 0 || lost_patience(p, moved_ns))
            break;
        done += (size_t)n;
        takt_ring_advance(p->ring, done / frame_bytes);
        add(&p->given, done / frame_bytes);
        done %= frame_bytes;
    }
    atomic_store(&p->is_deaf, true);
    close(p->to);
    p->to = -1;
}

/* ---- The program -------------------------------------------------------------------------------
 */

static int fail(const struct pipe *p, const char *what, int error)
{
    return complain(p->options, EXIT_FAILED, "pipe:%s: %s%s%s", p->command, what, error ? ": " : "",
                    error ? strerror(error) : "");
}

/* The surroundings and what the program needs to know of the sound. Freed as one block. */
static char **make_environment(const struct takt_stream_actual *a, uint32_t channels)
{
    enum { TEXT_BYTES = 64 };
    size_t count = 0;
    while (environ[count])
        count++;
    char **all = calloc(1, (count + 3) * sizeof *all + 2 * TEXT_BYTES);
    if (!all)
        return NULL;
    char *text = (char *)(all + count + 3);
    memcpy(all + 2, environ, count * sizeof *all);
    snprintf(text, TEXT_BYTES, "TAKT_RATE_HZ=%u", a->rate_hz);
    snprintf(text + TEXT_BYTES, TEXT_BYTES, "TAKT_CHANNELS=%u", channels);
    all[0] = text;
    all[1] = text + TEXT_BYTES;
    return all;
}

/* Not fork: that would make the next writes to all pages fault, on the device thread too. */
static int spawn(struct pipe *p, const int in[2], const int out[2], const int err[2],
                 char *const *environment, const sigset_t *mask)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t usual;
    static char shell[] = "sh", option[] = "-c"; /* exec's arguments are not const */
    char *arguments[] = {shell, option, (char *)(uintptr_t)p->command, NULL};
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGXFSZ);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&how);
    posix_spawn_file_actions_adddup2(&files, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, err[1], STDERR_FILENO);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                       POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&how, mask);
    posix_spawnattr_setsigdefault(&how, &usual);
    int code = posix_spawn(&p->pid, "/bin/sh", &files, &how, arguments, environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    return code;
}

static void close_pair(const int pair[2])
{
    if (pair[0] >= 0) {
        close(pair[0]);
        close(pair[1]);
    }
}

static int start_program(struct pipe *p, const struct takt_stream_actual *a, const sigset_t *mask)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    char **environment = make_environment(a, p->channels);
    int code = !environment                ? ENOMEM
               : pipe2(in, O_CLOEXEC) < 0  ? errno
               : pipe2(out, O_CLOEXEC) < 0 ? errno
               : pipe2(err, O_CLOEXEC) < 0 ? errno
                                           : spawn(p, in, out, err, environment, mask);
    free(environment);
    if (code) {
        close_pair(in);
        close_pair(out);
        close_pair(err);
        p->pid = 0;
        return fail(p, "cannot start it", code);
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    p->to = in[1];
    p->out.fd = out[0];
    p->err.fd = err[0];
    fcntl(p->to, F_SETFL, O_NONBLOCK);
    fcntl(p->out.fd, F_SETFL, O_NONBLOCK);
    fcntl(p->err.fd, F_SETFL, O_NONBLOCK);
    return 0;
}

int pipe_begin(struct pipe *p, const struct takt_stream_actual *a, const sigset_t *mask)
{
    struct takt_error e;
    struct takt_ring_cfg ring = {.elem_bytes = a->out_channels * sizeof(float),
                                 .capacity = BUFFER_S * a->rate_hz + 2 * a->block_frames_max};
    struct takt_thread_cfg feeder = {
        .name = "takt-pipe", .entry = feed, .arg = p, .priority = TAKT_PRIORITY_OFF};
    p->channels = a->out_channels;
    p->is_virtual = a->clock == TAKT_CLOCK_VIRTUAL;
    if (takt_ring_create(&ring, &p->ring, &e) < 0)
        return fail(p, e.text, 0);
    int status = start_program(p, a, mask);
    if (status)
        return status;
    if (takt_thread_start(&feeder, &p->feeder, &e) < 0)
        return fail(p, e.text, 0);
    return 0;
}

/* ---- What it says ------------------------------------------------------------------------------
 */

int pipe_poll(const struct pipe *p, struct pollfd *fds)
{
    int n = 0;
    if (p->out.fd >= 0)
        fds[n++] = (struct pollfd){.fd = p->out.fd, .events = POLLIN};
    if (p->err.fd >= 0)
        fds[n++] = (struct pollfd){.fd = p->err.fd, .events = POLLIN};
    return n;
}

static void tell_line(struct pipe *p, struct source *s, size_t begin, size_t end,
                      pipe_tell_fn *tell, void *arg)
{
    for (size_t i = begin; i < end; i++)
        if (!s->line[i])
            s->line[i] = '?';
    if (end > begin && s->line[end - 1] == '\r')
        end--;
    s->line[end] = '\0';
    p->lines += s == &p->out;
    p->lost_lines += !tell(p, s == &p->out ? 'o' : 'e', s->line + begin, arg);
}

/* Lines that are too long come in parts. */
static void tell_lines(struct pipe *p, struct source *s, bool is_all, pipe_tell_fn *tell, void *arg)
{
    size_t begin = 0;
    for (char *end; (end = memchr(s->line + begin, '\n', s->used - begin));) {
        tell_line(p, s, begin, (size_t)(end - s->line), tell, arg);
        begin = (size_t)(end - s->line) + 1;
    }
    s->used -= begin;
    memmove(s->line, s->line + begin, s->used);
    if (s->used && (is_all || s->used == LINE_BYTES)) {
        tell_line(p, s, 0, s->used, tell, arg);
        s->used = 0;
    }
}

static bool take_from(struct pipe *p, struct source *s, pipe_tell_fn *tell, void *arg)
{
    if (s->fd < 0)
        return false;
    ssize_t n = read(s->fd, s->line + s->used, LINE_BYTES - s->used);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n > 0)
        s->used += (size_t)n;
    tell_lines(p, s, n <= 0, tell, arg);
    if (n <= 0) {
        close(s->fd);
        s->fd = -1;
    }
    return n > 0;
}

/* "exited with status 1", "ended by signal 15 (Terminated)". */
static void put_status(const struct pipe *p, char *to, size_t size)
{
    if (!p->has_status)
        snprintf(to, size, "still running");
    else if (WIFSIGNALED(p->status))
        snprintf(to, size, "ended by signal %d (%s)", WTERMSIG(p->status),
                 strsignal(WTERMSIG(p->status)));
    else if (WEXITSTATUS(p->status) == NOT_RUN)
        snprintf(to, size, "could not be run (status %d)", NOT_RUN);
    else
        snprintf(to, size, "exited with status %d", WEXITSTATUS(p->status));
}

static void reap(struct pipe *p)
{
    if (p->pid && waitpid(p->pid, &p->status, WNOHANG) == p->pid) {
        p->pid = 0;
        p->has_status = true;
        atomic_store(&p->is_deaf, true);
    }
}

/* Of an end before the stream's, and of patience lost. */
static void tell_trouble(struct pipe *p, pipe_tell_fn *tell, void *arg)
{
    char text[160], status[100];
    if (p->told_end)
        return;
    if (p->has_status && !atomic_load(&p->ends)) {
        put_status(p, status, sizeof status);
        snprintf(text, sizeof text, "%s; the sound goes on without it", status);
    } else if (atomic_load(&p->is_stuck)) {
        snprintf(text, sizeof text, "took nothing for %g s; it gets no more",
                 (double)p->wait_ns / 1e9);
    } else {
        return;
    }
    p->told_end = true;
    tell(p, 'x', text, arg);
}

bool pipe_take(struct pipe *p, pipe_tell_fn *tell, void *arg)
{
    bool more = take_from(p, &p->out, tell, arg);
    more |= take_from(p, &p->err, tell, arg);
    if (!more)
        reap(p);
    tell_trouble(p, tell, arg);
    return more;
}

/* ---- The end -----------------------------------------------------------------------------------
 */

void pipe_end_input(struct pipe *p)
{
    atomic_store(&p->ends, true);
    pipe_leave(p);
    p->ended_ns = takt_now_ns();
}

static void ask_to_end(struct pipe *p)
{
    p->asked_ns = takt_now_ns();
    p->was_ended = true;
    atomic_store(&p->hurries, true);
    kill(-p->pid, SIGTERM);
}

static void end_feeder(struct pipe *p)
{
    atomic_store(&p->hurries, true);
    takt_thread_join(p->feeder, -1);
    p->feeder = NULL;
}

/* Its time to finish begins when the last frame was handed out. What still holds its outputs open
 * when it has ended, such as a program that it left in the background, is not waited for. */
bool pipe_still_runs(struct pipe *p, bool hurries)
{
    int64_t now_ns = takt_now_ns();
    if (!atomic_load(&p->is_deaf) && !hurries)
        p->ended_ns = now_ns;
    if (hurries)
        atomic_store(&p->hurries, true);
    if (!p->pid) {
        end_feeder(p);
        return false;
    }
    if (!p->asked_ns && (hurries || now_ns - p->ended_ns > p->wait_ns)) {
        ask_to_end(p);
    } else if (p->asked_ns && now_ns - p->asked_ns > TERM_MS * INT64_C(1000000)) {
        kill(-p->pid, SIGKILL);
        p->has_status = waitpid(p->pid, &p->status, 0) == p->pid;
        p->pid = 0;
    }
    return true; /* until it is reaped, and all is read */
}

void pipe_destroy(struct pipe *p)
{
    if (!p)
        return;
    pipe_end_input(p);
    while (p->pid && pipe_still_runs(p, true)) {
        reap(p);
        takt_sleep_ms(1);
    }
    end_feeder(p);
    if (p->to >= 0)
        close(p->to);
    if (p->out.fd >= 0)
        close(p->out.fd);
    if (p->err.fd >= 0)
        close(p->err.fd);
    takt_ring_destroy(p->ring);
    free(p);
}

/* ---- What it came to ---------------------------------------------------------------------------
 */

static uint64_t given(const struct pipe *p)
{
    return atomic_load_explicit(&p->given, memory_order_relaxed);
}

/* What is left in the ring never got there. */
uint64_t pipe_dropped(const struct pipe *p)
{
    return atomic_load_explicit(&p->dropped, memory_order_relaxed) +
           (p->ring ? takt_ring_read_avail(p->ring) : 0);
}

void pipe_status(const struct pipe *p, char *to, size_t size)
{
    char status[100];
    put_status(p, status, sizeof status);
    snprintf(to, size, "pipe:%s: %s%s", p->command, status,
             p->was_ended ? "; it did not finish within its time (--wait)" : "");
}

bool pipe_failed(const struct pipe *p)
{
    return p->was_ended || !p->has_status || !WIFEXITED(p->status) || WEXITSTATUS(p->status);
}

void pipe_json(const struct pipe *p, struct json *j)
{
    json_open(j, NULL, '{');
    json_string(j, "command", p->command);
    json_int(j, "given_frames", (int64_t)given(p));
    json_int(j, "dropped_frames", (int64_t)pipe_dropped(p));
    json_int(j, "lines", (int64_t)p->lines);
    json_int(j, "lost_lines", (int64_t)p->lost_lines);
    if (p->has_status && WIFEXITED(p->status))
        json_int(j, "exit_status", WEXITSTATUS(p->status));
    else if (p->has_status)
        json_int(j, "signal", WTERMSIG(p->status));
    json_bool(j, "ended_by_takt", p->was_ended);
    json_close(j, '}');
}

void pipe_text(const struct pipe *p)
{
    char status[100];
    put_status(p, status, sizeof status);
    printf("pipe %d: %llu frames given, %llu dropped, %s%s\n", p->number,
           (unsigned long long)given(p), (unsigned long long)pipe_dropped(p), status,
           p->was_ended ? ", as it did not finish in time" : "");
    if (p->lost_lines)
        printf("pipe %d: %llu of its lines found no room\n", p->number,
               (unsigned long long)p->lost_lines);
}
