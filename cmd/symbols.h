/*
 * symbols.h - what lies at an address of a program that may have ended: function, file and line,
 * from the files that its code came from.
 */
#ifndef CMD_SYMBOLS_H
#define CMD_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>
#include <takt/guard.h>

struct symbols;

/* Where an address lies; empty words where that is not known. */
struct symbol {
    char function[120];
    char file[200]; /* as the compiler was told it */
    int line;       /* 0: not known */
    char module[232];
    uint64_t offset;                                           /* in the module */
    enum { SYMBOL_PROGRAM, SYMBOL_TAKT, SYMBOL_SYSTEM } owner; /* libtakt; the C library or such */
};

/* NULL when there is no memory. modules are used as long as it lives. */
struct symbols *symbols_open(const struct takt_guard_module *modules, int count);
void symbols_close(struct symbols *s);

/* is_return: the address is where a call returns to, so the call itself lies before it. */
void symbols_find(struct symbols *s, uint64_t at, bool is_return, struct symbol *out);

/* "scale at synth.c:12", "scale in libsynth.so", or "libsynth.so+0x1234". */
void symbols_text(const struct symbol *is, char *to, size_t size);

#endif
