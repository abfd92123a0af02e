/* Gives every file of a folder to the fuzz target that this is linked with, without a fuzzer. */
#include "edge.h"
#include "fuzz.h"

#include <dirent.h>

static char path[4096];

static void run_file(void)
{
    static uint8_t bytes[EDGE_BYTES];
    FILE *file = fopen(path, "rb");
    CHECK(file);
    size_t n = fread(bytes, 1, sizeof bytes, file);
    bool is_whole = feof(file) || fgetc(file) == EOF;
    fclose(file);
    CHECK(is_whole);
    CHECK(LLVMFuzzerTestOneInput(edge_put(bytes, n), n) == 0);
}

static void corpus_is_not_empty(void)
{
    CHECK(tap_run > 0);
}

int main(int argc, char **argv)
{
    struct dirent **names = NULL;
    int count = argc == 2 ? scandir(argv[1], &names, NULL, alphasort) : -1;
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", argv[1], names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            tap_one(names[i]->d_name, run_file);
        free(names[i]);
    }
    free(names);
    RUN(corpus_is_not_empty);
    return tap_done();
}
