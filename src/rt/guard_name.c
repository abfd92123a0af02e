/*
 * The file is mapped and its table of symbols gone through once for each name, from first to last:
 * it is done only for the few lines that a person reads.
 *
 * The file may be cut short or changed since it was loaded, so nothing in it is believed: each
 * table has to lie within it.
 */
#include "rt/guard_name.h"

#include "takt/guard.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct search {
    uint64_t at, bias;
    struct takt_code_place *out;
};

static int has_address(struct dl_phdr_info *o, size_t bytes, void *arg)
{
    struct search *s = arg;
    for (int i = 0; i < o->dlpi_phnum; i++) {
        uint64_t from = o->dlpi_addr + o->dlpi_phdr[i].p_vaddr;
        if (o->dlpi_phdr[i].p_type != PT_LOAD || s->at < from ||
            s->at >= from + o->dlpi_phdr[i].p_memsz)
            continue;
        s->bias = o->dlpi_addr;
        snprintf(s->out->file, sizeof s->out->file, "%s", o->dlpi_name);
        if (!*s->out->file && readlink("/proc/self/exe", s->out->file, sizeof s->out->file - 1) < 0)
            s->out->file[0] = '\0';
        return 1;
    }
    return 0;
}

/* Where the section's bytes are; NULL when they do not lie within the file. */
static const void *bytes_of(const char *file, size_t size, const ElfW(Shdr) * section)
{
    bool is_within = section->sh_offset <= size && section->sh_size <= size - section->sh_offset;
    return is_within ? file + section->sh_offset : NULL;
}

static void read_symbols(const char *file, size_t size, const ElfW(Shdr) * table,
                         const ElfW(Shdr) * names, const struct search *s)
{
    const ElfW(Sym) *symbol = bytes_of(file, size, table);
    const char *text = bytes_of(file, size, names);
    uint64_t at = s->at - s->bias;
    for (size_t i = 0; symbol && text && i < table->sh_size / sizeof *symbol; i++, symbol++)
        if (at >= symbol->st_value && at - symbol->st_value < symbol->st_size &&
            (symbol->st_info & 15) == STT_FUNC && symbol->st_name < names->sh_size) {
            size_t most = names->sh_size - symbol->st_name;
            snprintf(s->out->name, sizeof s->out->name, "%.*s",
                     (int)strnlen(text + symbol->st_name, most), text + symbol->st_name);
            return;
        }
}

static void read_file(const char *file, size_t size, const struct search *s)
{
    const ElfW(Ehdr) *head = (const void *)file;
    if (size < sizeof *head || memcmp(head->e_ident, ELFMAG, SELFMAG) ||
        head->e_shentsize != sizeof(ElfW(Shdr)) || head->e_shoff > size ||
        head->e_shoff % sizeof(void *) ||
        head->e_shnum > (size - head->e_shoff) / sizeof(ElfW(Shdr)))
        return;
    const ElfW(Shdr) *sections = (const void *)(file + head->e_shoff);
    for (int i = 0; i < head->e_shnum; i++)
        if (sections[i].sh_type == SHT_SYMTAB && sections[i].sh_link < head->e_shnum)
            read_symbols(file, size, &sections[i], &sections[sections[i].sh_link], s);
}

void takt_code_find(uint64_t at, bool is_return, struct takt_code_place *out)
{
    struct search s = {.at = at - is_return, .out = out};
    struct stat st;
    Dl_info is = {0};
    *out = (struct takt_code_place){.offset = at};
    if (!dl_iterate_phdr(has_address, &s))
        return;
    out->offset = at - s.bias;
    int fd = open(out->file, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0) {
        size_t size = (size_t)st.st_size;
        void *file = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (file != MAP_FAILED) {
            read_file(file, size, &s);
            munmap(file, size);
        }
    }
    if (fd >= 0)
        close(fd);
    if (!*out->name && dladdr((void *)(uintptr_t)s.at, &is) && is.dli_sname)
        snprintf(out->name, sizeof out->name, "%s", is.dli_sname);
}

const char *takt_code_file_name(const struct takt_code_place *is)
{
    const char *slash = strrchr(is->file, '/');
    return slash ? slash + 1 : is->file;
}

enum takt_guard_owner takt_guard_owner_of(const char *path)
{
    static const char *const system[] = {"libc.so",    "libc-",         "ld-linux",  "libpthread",
                                         "libm.so",    "libtakt-guard", "libgcc_s.", "libstdc++.",
                                         "linux-vdso", "libdl.so",      "librt.so"};
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof system / sizeof *system; i++)
        if (!strncmp(file, system[i], strlen(system[i])))
            return TAKT_GUARD_OF_SYSTEM;
    if (!*file)
        return TAKT_GUARD_OF_SYSTEM; /* no file's: nobody looks for his mistake there */
    return strncmp(file, "libtakt.so", 10) ? TAKT_GUARD_OF_PROGRAM : TAKT_GUARD_OF_TAKT;
}
