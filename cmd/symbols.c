/*
 * elfutils' libdwfl reads the files, without asking any server for what is missing; without it
 * there are a module and an offset, which addr2line understands.
 */
#include "symbols.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef TAKT_HAVE_DW
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#endif

struct symbols {
    const struct takt_guard_module *modules;
    int count;
#ifdef TAKT_HAVE_DW
    Dwfl *dwfl;
    void *cxx; /* NULL: not needed yet, or not there */
    char *(*demangle)(const char *, char *, size_t *, int *);
#endif
};

#ifdef TAKT_HAVE_DW

/* A header that came with the system or the compiler: nobody looks for his mistake there. */
static bool is_of_system(const char *file)
{
    static const char *const folders[] = {"/usr/include/", "/usr/lib/", "/usr/lib32/",
                                          "/usr/lib64/", "/usr/local/lib/"};
    bool is_library = strstr(file, "/include/") || strstr(file, "/c++/");
    for (size_t i = 0; i < sizeof folders / sizeof *folders && is_library; i++)
        if (!strncmp(file, folders[i], strlen(folders[i])))
            return true;
    return false;
}

/* C++'s library tells what its names mean; without it they stay as the linker has them. */
static void set_name(struct symbols *s, struct symbol *is, const char *name)
{
    char *plain = NULL;
    if (name && !strncmp(name, "_Z", 2) && !s->cxx) {
        s->cxx = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL);
        if (s->cxx)
            *(void **)&s->demangle = dlsym(s->cxx, "__cxa_demangle");
    }
    if (name && !strncmp(name, "_Z", 2) && s->demangle)
        plain = s->demangle(name, NULL, NULL, NULL);
    snprintf(is->function, sizeof is->function, "%s", plain ? plain : name ? name : "");
    free(plain);
}

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

/* The compilation unit. Not every compiler says in one place which addresses are whose. */
static Dwarf_Die *unit_of(Dwfl_Module *module, uint64_t at, Dwarf_Addr *bias)
{
    Dwarf_Die *unit = dwfl_module_addrdie(module, at, bias);
    if (unit)
        return unit;
    while ((unit = dwfl_module_nextcu(module, unit, bias)))
        if (dwarf_haspc(unit, at - *bias) > 0)
            return unit;
    return NULL;
}

static void set_file(struct symbol *is, const char *file)
{
    snprintf(is->file, sizeof is->file, "%s", file ? file : "");
    is->is_of_system = is_of_system(is->file);
}

static void set_line(struct symbol *is, Dwfl_Module *module, Dwarf_Die *unit, uint64_t at,
                     uint64_t bias)
{
    Dwfl_Line *line = dwfl_module_getsrc(module, at);
    const char *file = line ? dwfl_lineinfo(line, NULL, &is->line, NULL, NULL, NULL) : NULL;
    Dwarf_Line *plain = file || !unit ? NULL : dwarf_getsrc_die(unit, at - bias);
    if (plain && dwarf_lineno(plain, &is->line) == 0)
        file = dwarf_linesrc(plain, NULL, NULL);
    set_file(is, file);
}

static const char *linker_name(Dwarf_Die *die)
{
    Dwarf_Attribute a;
    const char *name = NULL;
    if (dwarf_attr_integrate(die, DW_AT_linkage_name, &a) ||
        dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &a))
        name = dwarf_formstring(&a);
    return name ? name : dwarf_diename(die);
}

/* Where a function that was put in line is called. */
static void set_call(struct symbol *is, Dwarf_Die *die)
{
    Dwarf_Attribute a;
    Dwarf_Die unit;
    Dwarf_Files *files;
    size_t count;
    Dwarf_Word number = 0;
    is->line = 0;
    if (dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &a), &number) == 0)
        is->line = (int)number;
    bool has_file = dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &a), &number) == 0 &&
                    dwarf_diecu(die, &unit, NULL, NULL) &&
                    dwarf_getsrcfiles(&unit, &files, &count) == 0;
    set_file(is, has_file ? dwarf_filesrc(files, number, NULL, NULL) : NULL);
}

/* Fills in out[0] and those around it, which begin as copies of it. */
static int find_source(struct symbols *s, uint64_t at, struct symbol *out)
{
    Dwarf_Addr bias = 0;
    Dwarf_Die *innermost = NULL, *scopes = NULL;
    Dwfl_Module *module = s->dwfl ? dwfl_addrmodule(s->dwfl, at) : NULL;
    if (!module)
        return 1;
    const char *symbol = dwfl_module_addrname(module, at), *name = NULL;
    Dwarf_Die *unit = unit_of(module, at, &bias);
    set_line(out, module, unit, at, bias);
    int n = unit ? dwarf_getscopes(unit, at - bias, &innermost) : 0;
    n = n > 0 ? dwarf_getscopes_die(&innermost[0], &scopes) : 0; /* as the code is nested */
    int used = 1;
    for (int i = 0; i < n && !name; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag == DW_TAG_subprogram) {
            name = linker_name(&scopes[i]);
        } else if (tag == DW_TAG_inlined_subroutine && used < SYMBOL_DEPTH) {
            out[used] = out[used - 1];
            set_name(s, &out[used - 1], linker_name(&scopes[i]));
            set_call(&out[used++], &scopes[i]);
        }
    }
    set_name(s, &out[used - 1], name ? name : symbol);
    free(innermost);
    free(scopes);
    return used;
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
    if (s->cxx)
        dlclose(s->cxx);
#endif
    free(s);
}

int symbols_find(struct symbols *s, uint64_t at, bool is_return, struct symbol out[SYMBOL_DEPTH])
{
    *out = (struct symbol){.offset = at, .owner = TAKT_GUARD_OF_SYSTEM};
    at -= is_return;
    for (int i = 0; i < s->count; i++) {
        const struct takt_guard_module *m = &s->modules[i];
        if (at < m->begin || at >= m->end)
            continue;
        const char *slash = strrchr(m->path, '/');
        snprintf(out->module, sizeof out->module, "%s", slash ? slash + 1 : m->path);
        out->offset = at - m->bias;
        out->owner = takt_guard_owner_of(m->path);
        break;
    }
#ifdef TAKT_HAVE_DW
    return find_source(s, at, out);
#else
    return 1;
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
