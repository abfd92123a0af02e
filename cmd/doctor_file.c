#include "doctor_file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef TAKT_HAVE_ZLIB
#include <zlib.h>
#endif

enum { FILE_MAX = 1 << 20, NAMES_LIMIT = 8192 };

/* A pipe would hang, and a device may do anything when it is opened. */
static int open_plain(const char *root, const char *path)
{
    char whole[PATH_MAX];
    struct stat is;
    if (snprintf(whole, sizeof whole, "%s%s", root, path) >= (int)sizeof whole)
        return -1;
    int fd = open(whole, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && (fstat(fd, &is) != 0 || !S_ISREG(is.st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

static void clean(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\t' || c == '\r')
            text[i] = ' ';
        else if (c != '\n' && (c < 0x20 || c >= 0x7f))
            text[i] = '?';
    }
}

/* Reads to the end, or up to the limit, whatever reads: like read(2), where one that is interrupted
 * is tried again. */
static char *read_all(ssize_t (*read_some)(void *from, void *to, size_t size), void *from)
{
    size_t used = 0, room = 4096;
    char *text = malloc(room);
    while (text) {
        ssize_t n = read_some(from, text + used, room - 1 - used);
        if (n < 0) {
            free(text);
            return NULL;
        }
        used += (size_t)n;
        if (n == 0 || (used == room - 1 && room >= FILE_MAX))
            break;
        if (used < room - 1)
            continue;
        room *= 2;
        char *more = realloc(text, room);
        if (!more)
            free(text);
        text = more;
    }
    if (text) {
        clean(text, used);
        text[used] = '\0';
    }
    return text;
}

static ssize_t read_plain(void *from, void *to, size_t size)
{
    ssize_t n;
    do
        n = read(*(int *)from, to, size);
    while (n < 0 && errno == EINTR);
    return n;
}

char *doctor_read(const char *root, const char *path)
{
    int fd = open_plain(root, path);
    if (fd < 0)
        return NULL;
    char *text = read_all(read_plain, &fd);
    close(fd);
    return text;
}

#ifdef TAKT_HAVE_ZLIB

static ssize_t read_gzip(void *from, void *to, size_t size)
{
    return gzread(from, to, (unsigned)size);
}

char *doctor_read_packed(const char *root, const char *path)
{
    int fd = open_plain(root, path);
    gzFile file = fd < 0 ? NULL : gzdopen(fd, "rb");
    if (!file) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    char *text = read_all(read_gzip, file);
    gzclose(file); /* and the descriptor */
    return text;
}

#else

char *doctor_read_packed(const char *root, const char *path)
{
    (void)root, (void)path;
    return NULL;
}

#endif

/* By hand: checkers of strings would look at all of the text for each of its lines. */
static const char *line_end(const char *at)
{
    while (*at && *at != '\n')
        at++;
    return at;
}

bool doctor_next_line(char **at, char **line)
{
    if (!**at)
        return false;
    *line = *at;
    *at += line_end(*at) - *at;
    if (**at)
        *(*at)++ = '\0';
    return true;
}

char *doctor_next_word(char **at, const char *separators)
{
    *at += strspn(*at, separators);
    if (!**at)
        return NULL;
    char *word = *at;
    *at += strcspn(*at, separators);
    if (**at)
        *(*at)++ = '\0';
    return word;
}

/* So many letters, without spaces around them. */
static void keep(char *to, size_t size, const char *from, size_t length)
{
    while (length && *from == ' ') {
        from++;
        length--;
    }
    while (length && from[length - 1] == ' ')
        length--;
    snprintf(to, size, "%.*s", (int)(length < size ? length : size), from);
}

bool doctor_read_line(const char *root, const char *path, char *to, size_t size)
{
    char *text = doctor_read(root, path);
    *to = '\0';
    if (text)
        keep(to, size, text, (size_t)(line_end(text) - text));
    free(text);
    return text != NULL;
}

bool doctor_number(const char *text, int64_t *to)
{
    char *end;
    if (!isdigit((unsigned char)*text) && *text != '-')
        return false;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno || end == text || *end)
        return false;
    *to = n;
    return true;
}

bool doctor_read_number(const char *root, const char *path, int64_t *to)
{
    char line[64];
    return doctor_read_line(root, path, line, sizeof line) && doctor_number(line, to);
}

bool doctor_value(const char *text, const char *key, char *to, size_t size)
{
    size_t length = strlen(key);
    *to = '\0';
    for (const char *line = text; *line; line = line_end(line), line += *line == '\n') {
        if (strncmp(line, key, length) != 0)
            continue;
        const char *at = line + length;
        at += strspn(at, " ");
        if (*at != ':')
            continue;
        at++;
        keep(to, size, at, (size_t)(line_end(at) - at));
        return true;
    }
    return false;
}

bool doctor_has_word(const char *list, const char *word, const char *separators)
{
    size_t length = strlen(word);
    for (const char *at = list; *(at += strspn(at, separators));) {
        size_t l = strcspn(at, separators);
        if (l == length && !strncmp(at, word, l))
            return true;
        at += l;
    }
    return false;
}

void doctor_add(char *list, size_t size, const char *format, ...)
{
    char one[128];
    va_list args;
    va_start(args, format);
    vsnprintf(one, sizeof one, format, args);
    va_end(args);
    size_t used = strlen(list);
    if (used + strlen(one) + 3 <= size)
        snprintf(list + used, size - used, "%s%s", used ? ", " : "", one);
}

/* Numbers by their size, so that 10 comes behind 9. */
static int by_name(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

void doctor_each_name(const char *root, const char *path, void (*each)(const char *name, void *arg),
                      void *arg)
{
    char whole[PATH_MAX];
    char **names = calloc(NAMES_LIMIT, sizeof *names);
    size_t count = 0;
    if (snprintf(whole, sizeof whole, "%s%s", root, path) >= (int)sizeof whole)
        whole[0] = '\0';
    DIR *folder = names && *whole ? opendir(whole) : NULL;
    for (struct dirent *d; folder && count < NAMES_LIMIT && (d = readdir(folder));)
        if (*d->d_name != '.' && (names[count] = strdup(d->d_name)))
            count++;
    if (folder)
        closedir(folder);
    if (count)
        qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++) {
        each(names[i], arg);
        free(names[i]);
    }
    free(names);
}
