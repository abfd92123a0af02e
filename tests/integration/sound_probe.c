/*
 * Reads a recording through libsndfile, to its end.
 *
 *     sound-probe FILE [REFERENCE]
 *
 * Prints one line of numbers: channels, rate, frames declared, frames read; and with a reference
 * how many of these frames equal the reference's at the same place, how many are a block or more of
 * silence in its stead, and how many are anything else. Exits with 1, and says why, where a file
 * does not open.
 */
#include <sndfile.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_FRAMES = 1024, BLOCK_FRAMES = 256, CHANNELS_MAX = 64 };

static SNDFILE *open_file(const char *path, SF_INFO *info)
{
    memset(info, 0, sizeof *info);
    SNDFILE *file = sf_open(path, SFM_READ, info);
    if (!file || info->channels > CHANNELS_MAX) {
        printf("%s: %s\n", path, file ? "too many channels" : sf_strerror(NULL));
        exit(1);
    }
    return file;
}

struct comparison {
    long equal, silent, other, gap;
};

/* The sound itself may be zero where the gap begins or ends. */
static void end_gap(struct comparison *c)
{
    if (c->gap >= BLOCK_FRAMES - 2)
        c->silent += c->gap;
    else
        c->other += c->gap;
    c->gap = 0;
}

static void compare(struct comparison *c, const double *a, const double *b, int channels)
{
    static const double zero[CHANNELS_MAX];
    size_t bytes = (size_t)channels * sizeof *a;
    if (!memcmp(a, zero, bytes) && (c->gap || memcmp(a, b, bytes) != 0)) {
        c->gap++;
        return;
    }
    end_gap(c);
    if (!memcmp(a, b, bytes))
        c->equal++;
    else
        c->other++;
}

int main(int argc, char **argv)
{
    static double ours[PIECE_FRAMES * CHANNELS_MAX], theirs[PIECE_FRAMES * CHANNELS_MAX];
    SF_INFO info, reference_info;
    if (argc < 2)
        return 2;
    SNDFILE *file = open_file(argv[1], &info);
    SNDFILE *reference = argc > 2 ? open_file(argv[2], &reference_info) : NULL;
    if (reference && reference_info.channels != info.channels)
        return 2;
    struct comparison c = {0};
    long read = 0;
    for (;;) {
        long n = (long)sf_readf_double(file, ours, PIECE_FRAMES);
        if (n <= 0)
            break;
        read += n;
        memset(theirs, 0, sizeof theirs);
        long m = reference ? (long)sf_readf_double(reference, theirs, n) : 0;
        for (long i = 0; i < m; i++)
            compare(&c, ours + i * info.channels, theirs + i * info.channels, info.channels);
        c.other += reference ? n - m : 0;
    }
    end_gap(&c);
    printf("%d %d %lld %ld", info.channels, info.samplerate, (long long)info.frames, read);
    if (reference)
        printf(" %ld %ld %ld", c.equal, c.silent, c.other);
    printf("\n");
    return 0;
}
