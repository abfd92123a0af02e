/* The level meter beside sox's, on recordings. */
#include "takt/format.h"
#include "takt/level.h"
#include "tap.h"

#include <glob.h>
#include <math.h>

#define RECORDINGS "/usr/share/sounds/alsa/*.wav"

enum { PIECE = 333 };

static bool have_sox(void)
{
    return system("sox --version >/dev/null 2>&1") == 0;
}

/* One channel, so that sox prints one column. */
static FILE *run_sox(const char *path, const char *end)
{
    char command[512];
    snprintf(command, sizeof command, "sox '%s' %s", path, end);
    return popen(command, "r");
}

/* What `sox -n stats` says after a name; NaN if nothing. */
static double sox_says(const char *path, const char *name)
{
    char line[256];
    double value = (double)NAN;
    FILE *f = run_sox(path, "-n remix - stats 2>&1");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, strlen(name)))
            value = strtod(line + strlen(name), NULL);
    if (f)
        pclose(f);
    return value;
}

/* The same sound as 16-bit samples, through takt's converter into takt's meter. */
static bool measure(const char *path, struct takt_level_reading *out)
{
    struct takt_level *l;
    struct takt_error e;
    int16_t ints[PIECE];
    float floats[PIECE];
    size_t n;
    FILE *f = run_sox(path, "-t s16 - remix -");
    if (!f || takt_level_create(&(struct takt_level_cfg){0}, &l, &e) < 0)
        return false;
    while ((n = fread(ints, sizeof *ints, PIECE, f)) > 0) {
        takt_decode(floats, ints, TAKT_S16, 1, n);
        takt_level_update(l, (const float *[]){floats}, n);
    }
    takt_level_read(l, 0, out);
    takt_level_destroy(l);
    return pclose(f) == 0 && out->frames > 0;
}

/* sox prints two digits behind the point of a level, six of an offset; so that is how near. */
static void level_reads_what_sox_reads(void)
{
    glob_t found;
    if (!have_sox())
        SKIP("sox is not installed");
    if (glob(RECORDINGS, 0, NULL, &found) != 0)
        SKIP("there are no recordings as " RECORDINGS);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i];
        struct takt_level_reading now;
        printf("# %s\n", path);
        CHECK(measure(path, &now));
        CHECK_NEAR(now.total_rms_dbfs, sox_says(path, "RMS lev dB"), 0.0051);
        CHECK_NEAR(now.peak_dbfs, sox_says(path, "Pk lev dB"), 0.0051);
        CHECK_NEAR(now.dc, sox_says(path, "DC offset"), 0.51e-6);
    }
    globfree(&found);
}

int main(void)
{
    RUN(level_reads_what_sox_reads);
    return tap_done();
}
