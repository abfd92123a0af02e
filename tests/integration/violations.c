/*
 * Breaks one rule of the callback, named by the argument, and nothing else: for check_test.py,
 * which looks here for the line that "breaks: NAME" stands in.
 *
 *     violations NAME [TIMES]     in TIMES blocks, 3 by default, after the first 200
 *     violations list             the names: NAME KIND CALL
 */
#include "violations.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <syslog.h>
#include <takt/takt.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_BLOCK = 200, PAGE = 4096, PAGES = 64 };

static void *volatile held;      /* memory that a violation gives back */
static char *volatile untouched; /* PAGES pages that nobody has touched */
static int pair[2];              /* sockets */
static char path[64];
static FILE *file;
static FILE *text; /* in memory */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_spinlock_t spin;
static mtx_t c11_mutex, c11_timed;
static cnd_t c11_cond;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;
static pthread_t ended[16];
static int ended_used;
static int numbers[8192];

/* ---- Memory -----------------------------------------------------------------------------------
 */

static void do_malloc(void)
{
    held = malloc(100); /* breaks: malloc */
}

static void do_calloc(void)
{
    held = calloc(10, 10); /* breaks: calloc */
}

static void do_realloc(void)
{
    held = realloc(held, 300); /* breaks: realloc */
}

static void do_free(void)
{
    free(held); /* breaks: free */
    held = NULL;
}

static void do_aligned_alloc(void)
{
    held = aligned_alloc(64, 128); /* breaks: aligned_alloc */
}

static void do_posix_memalign(void)
{
    void *at;
    held = posix_memalign(&at, 64, 128) ? NULL : at; /* breaks: posix_memalign */
}

static void do_mmap(void)
{
    held = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* breaks: mmap */
}

static void do_munmap(void)
{
    if (held)
        munmap(held, PAGE); /* breaks: munmap */
    held = NULL;
}

static void do_strdup(void)
{
    held = strdup("takes memory by itself"); /* breaks: strdup */
}

static void do_asprintf(void)
{
    char *made;
    if (asprintf(&made, "%s", "so does this") > 0) /* breaks: asprintf */
        held = made;
}

static int by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Too much for the stack of qsort, so that it takes memory. */
static void do_qsort(void)
{
    qsort(numbers, 8192, sizeof *numbers, by_value); /* breaks: qsort */
}

static void do_brk(void)
{
    held = sbrk(0) ? sbrk(PAGE) : NULL; /* breaks: brk */
}

/* ---- Locks and waits ---------------------------------------------------------------------------
 */

static void do_mutex(void)
{
    pthread_mutex_lock(&mutex); /* breaks: mutex */
    pthread_mutex_unlock(&mutex);
}

static void do_rwlock(void)
{
    pthread_rwlock_rdlock(&rwlock); /* breaks: rwlock */
    pthread_rwlock_unlock(&rwlock);
}

static void do_spin(void)
{
    pthread_spin_lock(&spin); /* breaks: spin */
    pthread_spin_unlock(&spin);
}

static void do_mtx(void)
{
    mtx_lock(&c11_mutex); /* breaks: mtx */
    mtx_unlock(&c11_mutex);
}

static struct timespec soon(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_nsec += 100000;
    if (t.tv_nsec >= 1000000000)
        t = (struct timespec){t.tv_sec + 1, t.tv_nsec - 1000000000};
    return t;
}

static void do_condition(void)
{
    struct timespec t = soon(CLOCK_REALTIME);
    pthread_cond_timedwait(&cond, &mutex, &t); /* breaks: condition */
}

static void do_semaphore(void)
{
    struct timespec t = soon(CLOCK_REALTIME);
    sem_timedwait(&semaphore, &t); /* breaks: semaphore */
}

static void do_nanosleep(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000}, NULL); /* breaks: nanosleep */
}

static void do_usleep(void)
{
    usleep(1); /* breaks: usleep */
}

static void do_thrd_sleep(void)
{
    thrd_sleep(&(struct timespec){.tv_nsec = 1000}, NULL); /* breaks: thrd_sleep */
}

static void do_takt_sleep(void)
{
    takt_sleep_ms(1); /* breaks: takt_sleep */
}

static void do_join(void)
{
    if (ended_used < 16)
        pthread_join(ended[ended_used++], NULL); /* breaks: join */
}

static void do_poll(void)
{
    poll(NULL, 0, 1); /* breaks: poll */
}

static void do_select(void)
{
    select(0, NULL, NULL, NULL, &(struct timeval){.tv_usec = 100}); /* breaks: select */
}

/* The system call itself, past the C library's function. */
static void do_futex(void)
{
    static int word;
    struct timespec t = {.tv_nsec = 1000};
    syscall(SYS_futex, &word, 0, 0, &t, NULL, 0); /* breaks: futex */
}

static void do_mtx_timed(void)
{
    struct timespec t = soon(CLOCK_REALTIME);
    mtx_timedlock(&c11_timed, &t); /* breaks: mtx_timed */
    mtx_unlock(&c11_timed);
}

static void do_rwlock_timed_read(void)
{
    struct timespec t = soon(CLOCK_REALTIME);
    pthread_rwlock_timedrdlock(&rwlock, &t); /* breaks: rwlock_timed_read */
    pthread_rwlock_unlock(&rwlock);
}

static void do_rwlock_timed_write(void)
{
    struct timespec t = soon(CLOCK_REALTIME);
    pthread_rwlock_timedwrlock(&rwlock, &t); /* breaks: rwlock_timed_write */
    pthread_rwlock_unlock(&rwlock);
}

static void do_rwlock_clock_read(void)
{
    struct timespec t = soon(CLOCK_MONOTONIC);
    pthread_rwlock_clockrdlock(&rwlock, CLOCK_MONOTONIC, &t); /* breaks: rwlock_clock_read */
    pthread_rwlock_unlock(&rwlock);
}

static void do_rwlock_clock_write(void)
{
    struct timespec t = soon(CLOCK_MONOTONIC);
    pthread_rwlock_clockwrlock(&rwlock, CLOCK_MONOTONIC, &t); /* breaks: rwlock_clock_write */
    pthread_rwlock_unlock(&rwlock);
}

static void do_localtime(void)
{
    static struct tm tm;
    localtime_r(&(time_t){0}, &tm); /* breaks: localtime */
}

/* Nobody waits for these. */
static void do_sem_post(void)
{
    sem_post(&semaphore); /* breaks: sem_post */
}

static void do_cnd_signal(void)
{
    cnd_signal(&c11_cond); /* breaks: cnd_signal */
}

static void do_cnd_timed(void)
{
    struct timespec t = soon(CLOCK_REALTIME);
    cnd_timedwait(&c11_cond, &c11_mutex, &t); /* breaks: cnd_timed */
}

static void do_sem_clock(void)
{
    struct timespec t = soon(CLOCK_MONOTONIC);
    sem_clockwait(&semaphore, CLOCK_MONOTONIC, &t); /* breaks: sem_clock */
}

static void do_dlsym(void)
{
    held = dlsym(RTLD_DEFAULT, "printf"); /* breaks: dlsym */
}

static void do_dlopen(void)
{
    held = dlopen("libm.so.6", RTLD_NOW); /* breaks: dlopen */
}

static void do_dlclose(void)
{
    takt_guard_allow();
    void *handle = dlopen("libm.so.6", RTLD_NOW);
    takt_guard_forbid();
    dlclose(handle); /* breaks: dlclose */
}

/* ---- Files, sockets, the console ---------------------------------------------------------------
 */

static void do_open(void)
{
    close(open("/dev/null", O_RDONLY)); /* breaks: open */
}

static void do_read(void)
{
    char c;
    ssize_t n = read(pair[0], &c, 1); /* breaks: read */
    (void)n;
}

static void do_write(void)
{
    ssize_t n = write(pair[0], "x", 1); /* breaks: write */
    (void)n;
}

static void do_fopen(void)
{
    held = fopen("/dev/null", "r"); /* breaks: fopen */
}

static void do_fread(void)
{
    char c;
    size_t n = fread(&c, 1, 1, file); /* breaks: fread */
    (void)n;
}

static void do_fwrite(void)
{
    fwrite("x", 1, 1, file); /* breaks: fwrite */
}

static void do_printf(void)
{
    printf("%d\n", 1); /* breaks: printf */
}

static void do_puts(void)
{
    puts("to the console"); /* breaks: puts */
}

static void do_perror(void)
{
    errno = ENOENT;
    perror("to the console"); /* breaks: perror */
}

static void do_syslog(void)
{
    syslog(LOG_DEBUG, "takt's tests"); /* breaks: syslog */
}

static void do_stat(void)
{
    struct stat st;
    stat(path, &st); /* breaks: stat */
}

static void do_unlink(void)
{
    unlink(path); /* breaks: unlink */
}

static void do_send(void)
{
    send(pair[0], "x", 1, MSG_DONTWAIT); /* breaks: send */
}

static void do_recv(void)
{
    char c;
    recv(pair[0], &c, 1, MSG_DONTWAIT); /* breaks: recv */
}

static void do_writev(void)
{
    char c = 'x';
    struct iovec v = {&c, 1};
    ssize_t n = writev(pair[0], &v, 1); /* breaks: writev */
    (void)n;
}

/* From here on nothing but memory is read or written. */
static void do_getc(void)
{
    getc(text); /* breaks: getc */
}

static void do_fgetc(void)
{
    fgetc(text); /* breaks: fgetc */
}

static void do_ungetc(void)
{
    ungetc('x', text); /* breaks: ungetc */
}

static void do_getchar(void)
{
    static int (*volatile get)(void) = getchar; /* by its name alone it may become getc */
    get();                                      /* breaks: getchar */
}

static void do_fgets(void)
{
    char line[16];
    held = fgets(line, sizeof line, text) ? NULL : held; /* breaks: fgets */
}

static void do_getline(void)
{
    static char *line;
    static size_t size;
    ssize_t n = getline(&line, &size, text); /* breaks: getline */
    (void)n;
}

static void do_fscanf(void)
{
    int number;
    int n = fscanf(text, "%d", &number); /* breaks: fscanf */
    (void)n;
}

static void do_scanf(void)
{
    int number;
    int n = scanf("%d", &number); /* breaks: scanf */
    (void)n;
}

static void do_fseek(void)
{
    fseek(text, 0, SEEK_SET); /* breaks: fseek */
}

static void do_ftell(void)
{
    held = ftell(text) ? held : NULL; /* breaks: ftell */
}

static void do_putc(void)
{
    putc('x', text); /* breaks: putc */
}

static void do_fputc(void)
{
    fputc('x', text); /* breaks: fputc */
}

static void do_putchar(void)
{
    static int (*volatile put)(int) = putchar;
    put('x'); /* breaks: putchar */
}

static void do_fputs(void)
{
    fputs(path, text); /* breaks: fputs */
}

static void do_fputs_unlocked(void)
{
    fputs_unlocked(path, text); /* breaks: fputs_unlocked */
}

/* The function: there may be a macro. */
static void do_fwrite_unlocked(void)
{
    (fwrite_unlocked)(path, 2, 2, text); /* breaks: fwrite_unlocked */
}

static void do_fflush(void)
{
    fflush(text); /* breaks: fflush */
}

static void do_fprintf(void)
{
    fprintf(text, "%d", 1); /* breaks: fprintf */
}

__attribute__((format(printf, 1, 2))) static void print(const char *format, ...)
{
    va_list more;
    va_start(more, format);
    vfprintf(text, format, more); /* breaks: vfprintf */
    va_end(more);
}

static void do_vfprintf(void)
{
    print("%d", 1);
}

/* ---- Other system calls, and pages --------------------------------------------------------------
 */

static void do_yield(void)
{
    sched_yield(); /* breaks: yield */
}

static void do_gettid(void)
{
    syscall(SYS_gettid); /* breaks: gettid */
}

static void do_times(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* allowed: reading a clock */
    clock_getres(CLOCK_MONOTONIC, &t);
}

static void *nothing(void *arg)
{
    return NULL;
}

static void do_thread(void)
{
    if (ended_used < 16)
        pthread_create(&ended[ended_used++], NULL, nothing, NULL); /* breaks: thread */
}

static void do_fault(void)
{
    static int page;
    untouched[page++ % PAGES * PAGE] = 1; /* breaks: fault */
}

/* ---- The list -----------------------------------------------------------------------------------
 */

static const struct {
    const char *name, *kind, *call;
    void (*run)(void);
} violations[] = {
    {"malloc", "allocation", "malloc", do_malloc},
    {"calloc", "allocation", "calloc", do_calloc},
    {"realloc", "allocation", "realloc", do_realloc},
    {"free", "allocation", "free", do_free},
    {"aligned_alloc", "allocation", "aligned_alloc", do_aligned_alloc},
    {"posix_memalign", "allocation", "posix_memalign", do_posix_memalign},
    {"mmap", "allocation", "mmap", do_mmap},
    {"munmap", "allocation", "munmap", do_munmap},
    {"strdup", "allocation", "malloc", do_strdup},
    {"asprintf", "allocation", "malloc", do_asprintf},
    {"qsort", "allocation", "malloc", do_qsort},
    {"brk", "allocation", "brk", do_brk},
    {"mutex", "lock", "pthread_mutex_lock", do_mutex},
    {"rwlock", "lock", "pthread_rwlock_rdlock", do_rwlock},
    {"spin", "lock", "pthread_spin_lock", do_spin},
    {"mtx", "lock", "mtx_lock", do_mtx},
    {"mtx_timed", "lock", "mtx_timedlock", do_mtx_timed},
    {"rwlock_timed_read", "lock", "pthread_rwlock_timedrdlock", do_rwlock_timed_read},
    {"rwlock_timed_write", "lock", "pthread_rwlock_timedwrlock", do_rwlock_timed_write},
    {"rwlock_clock_read", "lock", "pthread_rwlock_clockrdlock", do_rwlock_clock_read},
    {"rwlock_clock_write", "lock", "pthread_rwlock_clockwrlock", do_rwlock_clock_write},
    {"localtime", "lock", "localtime_r", do_localtime},
    {"sem_post", "lock", "sem_post", do_sem_post},
    {"cnd_signal", "lock", "cnd_signal", do_cnd_signal},
    {"dlsym", "lock", "dlsym", do_dlsym},
    {"dlopen", "lock", "dlopen", do_dlopen},
    {"dlclose", "lock", "dlclose", do_dlclose},
    {"cnd_timed", "wait", "cnd_timedwait", do_cnd_timed},
    {"sem_clock", "wait", "sem_clockwait", do_sem_clock},
    {"condition", "wait", "pthread_cond_timedwait", do_condition},
    {"semaphore", "wait", "sem_timedwait", do_semaphore},
    {"nanosleep", "wait", "nanosleep", do_nanosleep},
    {"usleep", "wait", "usleep", do_usleep},
    {"thrd_sleep", "wait", "thrd_sleep", do_thrd_sleep},
    {"takt_sleep", "wait", "clock_nanosleep", do_takt_sleep},
    {"join", "wait", "pthread_join", do_join},
    {"poll", "wait", "poll", do_poll},
    {"select", "wait", "select", do_select},
    {"futex", "wait", "futex wait", do_futex},
    {"open", "io", "open", do_open},
    {"read", "io", "read", do_read},
    {"write", "io", "write", do_write},
    {"fopen", "io", "fopen", do_fopen},
    {"fread", "io", "fread", do_fread},
    {"fwrite", "io", "fwrite", do_fwrite},
    {"printf", "io", "printf", do_printf},
    {"puts", "io", "puts", do_puts},
    {"getc", "io", "getc", do_getc},
    {"fgetc", "io", "fgetc", do_fgetc},
    {"ungetc", "io", "ungetc", do_ungetc},
    {"getchar", "io", "getchar", do_getchar},
    {"fgets", "io", "fgets", do_fgets},
    {"getline", "io", "getline", do_getline},
    {"fscanf", "io", "fscanf", do_fscanf},
    {"scanf", "io", "scanf", do_scanf},
    {"fseek", "io", "fseek", do_fseek},
    {"ftell", "io", "ftell", do_ftell},
    {"putc", "io", "putc", do_putc},
    {"fputc", "io", "fputc", do_fputc},
    {"putchar", "io", "putchar", do_putchar},
    {"fputs", "io", "fputs", do_fputs},
    {"fputs_unlocked", "io", "fputs_unlocked", do_fputs_unlocked},
    {"fwrite_unlocked", "io", "fwrite_unlocked", do_fwrite_unlocked},
    {"fflush", "io", "fflush", do_fflush},
    {"fprintf", "io", "fprintf", do_fprintf},
    {"vfprintf", "io", "vfprintf", do_vfprintf},
    {"perror", "io", "perror", do_perror},
    {"syslog", "io", "syslog", do_syslog},
    {"stat", "io", "newfstatat", do_stat},
    {"unlink", "io", "unlink", do_unlink},
    {"send", "io", "send", do_send},
    {"recv", "io", "recv", do_recv},
    {"writev", "io", "writev", do_writev},
    {"yield", "call", "sched_yield", do_yield},
    {"gettid", "call", "gettid", do_gettid},
    {"thread", "call", "pthread_create", do_thread},
    {"fault", "page_fault", "page fault", do_fault},
    {"library", "allocation", "malloc", violation_in_a_library},
    {"library_io", "io", "open", violation_of_a_library},
    {"times", "none", "", do_times},
};
enum { VIOLATIONS = sizeof violations / sizeof *violations };

struct state {
    void (*run)(void);
    int blocks, times;
    bool allows;
};

static enum takt_next process(const struct takt_block *b, void *arg)
{
    struct state *s = arg;
    if (s->blocks++ < FIRST_BLOCK || !s->times)
        return TAKT_CONTINUE;
    s->times--;
    if (s->allows)
        takt_guard_allow();
    s->run();
    if (s->allows)
        takt_guard_forbid();
    return TAKT_CONTINUE;
}

static void prepare(void)
{
    snprintf(path, sizeof path, "violations-%d", (int)getpid());
    static char lines[256] = "1\n2\n3\n4\n";
    file = fopen("/dev/zero", "r+");
    text = fmemopen(lines, sizeof lines, "r+");
    pthread_spin_init(&spin, 0);
    mtx_init(&c11_mutex, mtx_plain);
    mtx_init(&c11_timed, mtx_timed);
    cnd_init(&c11_cond);
    sem_init(&semaphore, 0, 0);
    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair);
    for (int i = 0; i < 16; i++)
        pthread_create(&ended[i], NULL, nothing, NULL);
    untouched =
        mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(untouched, PAGES * PAGE, MADV_NOHUGEPAGE);
    setvbuf(stdout, NULL, _IOLBF, 0);
    do_qsort(); /* asks the system at its first use how much memory there is */
    openlog(NULL, LOG_NDELAY, LOG_USER);
}

static int find(const char *name)
{
    for (int i = 0; i < VIOLATIONS; i++)
        if (!strcmp(name, violations[i].name))
            return i;
    return -1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "list")) {
        for (int i = 0; i < VIOLATIONS; i++)
            printf("%s\t%s\t%s\n", violations[i].name, violations[i].kind, violations[i].call);
        return 0;
    }
    int i = argc > 1 ? find(argv[1]) : -1;
    if (i < 0)
        return fprintf(stderr, "violations: name one of `violations list`\n"), 2;
    prepare();
    struct state state = {violations[i].run, 0, argc > 2 ? atoi(argv[2]) : 3,
                          argc > 3 && !strcmp(argv[3], "allowed")};
    held = !strcmp(argv[1], "munmap")
               ? mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
           : !strcmp(argv[1], "free") || !strcmp(argv[1], "realloc") ? malloc(100)
                                                                     : NULL;
    struct takt_stream *s;
    struct takt_error e;
    struct takt_stream_cfg cfg = {.in = {.device = "sim:tone=440"},
                                  .rate_hz = 48000,
                                  .block_frames = 64,
                                  .length_frames = 64 * (FIRST_BLOCK + 300),
                                  .clock = TAKT_CLOCK_VIRTUAL,
                                  .process = process,
                                  .arg = &state};
    if (takt_stream_create(&cfg, &s, &e) < 0 || takt_stream_start(s) < 0)
        return takt_die(&e);
    takt_stream_wait(s, -1);
    takt_stream_destroy(s);
    return 0;
}
