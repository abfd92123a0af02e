/* A library that breaks the rules behind its caller's back. */
#include "violations.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void *volatile kept;

static __attribute__((noinline)) void take_memory(void)
{
    kept = malloc(64); /* breaks: library */
}

__attribute__((visibility("default"))) void violation_in_a_library(void)
{
    take_memory();
    (void)kept;
}

__attribute__((visibility("default"))) void violation_of_a_library(void)
{
    close(open("/dev/zero", O_RDONLY)); /* breaks: library_io */
}
