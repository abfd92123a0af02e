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

enum { SYMBOL_DEPTH = 16 };

/* Where an address lies; empty words where that is not known. */
struct symbol {
    char function[200]; /* C++'s as it was written, where its library is installed */
    char file[200];     /* as the compiler was told it */
    int line;           /* 0: not known */
    char module[232];
    uint64_t offset; /* in the module */
    enum takt_guard_owner owner;
    bool is_of_system; /* the line is of a header that came with the compiler or the system */
};

/* NULL when there is no memory. modules are used as long as it lives. */
struct symbols *symbols_open(const struct takt_guard_module *modules, int count);
void symbols_close(struct symbols *s);

/* All that lies there, the innermost first: functions that the compiler put in line, and last the
 * one that they are in. is_return: the address is where a call returns to, so the call itself lies
 * before it. Returns how many, 1 at least and SYMBOL_DEPTH at most. */
int symbols_find(struct symbols *s, uint64_t at, bool is_return, struct symbol out[SYMBOL_DEPTH]);

/* "scale at synth.c:12", "scale in libsynth.so", or "libsynth.so+0x1234". */
void symbols_text(const struct symbol *is, char *to, size_t size);

#endif
