/*
 * tests/fuzz/fuzz.h - what a fuzz target is: NAME_fuzz.c defines this one function, which parses
 * any bytes and asserts what must hold of whatever came of them. It is run by libFuzzer (`tools/ci
 * fuzz`), over the corpus by replay.c, and by the unit tests with bytes of their own.
 */
#ifndef TAKT_TESTS_FUZZ_H
#define TAKT_TESTS_FUZZ_H

#include "base/assert.h"

#include <stddef.h>
#include <stdint.h>

/* Returns 0; ends the program when something does not hold. */
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t bytes);

#endif
