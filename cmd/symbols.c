/*
 * elfutils' libdwfl reads the files, without asking any server for what is missing; without it
 * there are a module and an offset, which addr2line understands.
 */
#include "symbols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef TAKT_HAVE_DW
#include <elfutils/libdwfl.h>
#endif

struct symbols {
    const struct takt_guard_module *modules;
    int count;
#ifdef TAKT_HAVE_DW
    Dwfl *dwfl;
#endif
};

#ifdef TAKT_HAVE_DW

static char *no_path;

static void open_files(struct symbols *s)
{
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_build_id_find_elf,
                                             .find_debuginfo = dwfl_standard_find_debuginfo,
                                             .debuginfo_path = &no_path};
    unsetenv("DEBUGINFOD_URLS"); /* nothing is fetched */
    s->dwfl = dwfl_begin(&callbacks);
    if (!s->dwfl)
        return;
    dwfl_report_begin(s->dwfl);
    for (int i = 0; i < s->count; i++)
        if (*s->modules[i].path)
            dwfl_report_elf(s->dwfl, s->modules[i].path, s->modules[i].path, -1, s->modules[i].bias,
                            false);
    dwfl_report_end(s->dwfl, NULL, NULL);
}

static void find_source(struct symbols *s, uint64_t at, struct symbol *out)
{
    Dwfl_Module *module = s->dwfl ? dwfl_addrmodule(s->dwfl, at) : NULL;
    if (!module)
        return;
    const char *name = dwfl_module_addrname(module, at);
    snprintf(out->function, sizeof out->function, "%s", name ? name : "");
    Dwfl_Line *line = dwfl_module_getsrc(module, at);
    const char *file = line ? dwfl_lineinfo(line, NULL, &out->line, NULL, NULL, NULL) : NULL;
    snprintf(out->file, sizeof out->file, "%s", file ? file : "");
}

#endif

struct symbols *symbols_open(const struct takt_guard_module *modules, int count)
{
    struct symbols *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->modules = modules;
    s->count = count;
#ifdef TAKT_HAVE_DW
    open_files(s);
#endif
    return s;
}

void symbols_close(struct symbols *s)
{
    if (!s)
        return;
#ifdef TAKT_HAVE_DW
    if (s->dwfl)
        dwfl_end(s->dwfl);
#endif
    free(s);
}

static int owner_of(const char *module)
{
    static const char *const names[] = {"libc.so",   "libc-",      "ld-linux",  "libpthread",
                                        "libm.so",   "libdl.so",   "librt.so",  "libtakt-guard",
                                        "libgcc_s.", "libstdc++.", "linux-vdso"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strncmp(module, names[i], strlen(names[i])))
            return SYMBOL_SYSTEM;
    return strncmp(module, "libtakt.so", 10) ? SYMBOL_PROGRAM : SYMBOL_TAKT;
}

void symbols_find(struct symbols *s, uint64_t at, bool is_return, struct symbol *out)
{
    *out = (struct symbol){.offset = at};
    at -= is_return;
    for (int i = 0; i < s->count; i++) {
        const struct takt_guard_module *m = &s->modules[i];
        if (at < m->begin || at >= m->end)
            continue;
        const char *slash = strrchr(m->path, '/');
        snprintf(out->module, sizeof out->module, "%s", slash ? slash + 1 : m->path);
        out->offset = at - m->bias;
        out->owner = owner_of(out->module);
        break;
    }
#ifdef TAKT_HAVE_DW
    find_source(s, at, out);
#endif
}

void symbols_text(const struct symbol *is, char *to, size_t size)
{
    const char *slash = strrchr(is->file, '/');
    if (is->line)
        snprintf(to, size, "%s at %s:%d", *is->function ? is->function : "?",
                 slash ? slash + 1 : is->file, is->line);
    else if (*is->function)
        snprintf(to, size, "%s in %s", is->function, is->module);
    else
        snprintf(to, size, "%s+0x%llx", *is->module ? is->module : "?",
                 (unsigned long long)is->offset);
}
