/* What is asked of a simulated network in words, what is drawn, and the sound that can be told. */
#include "lab/net_plan.h"
#include "lab/net_run.h"
#include "lab/net_sound.h"
#include "tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct takt_error e;

static int apply(struct takt_lab_net_plan *p, const char *name, const char *value)
{
    return takt_lab_net_apply(p, name, value, &e);
}

/* Each name in the list has a value that is taken, and one that is refused and changes nothing. */
static void every_option_takes_its_form_and_nothing_else(void)
{
    static const char *const good[][2] = {
        {"loss", "0.05"},    {"burst", "3"},        {"delay", "2"},        {"jitter", "gamma:5,5"},
        {"order", "kept"},   {"spike", "1,50"},     {"wifi", "10"},        {"step", "10,5"},
        {"still", "5,100"},  {"reorder", "0.1"},    {"duplicate", "0.1"},  {"corrupt", "0.1"},
        {"truncate", "0.1"}, {"partition", "3,4"},  {"bottleneck", "500"}, {"drift", "-20ppm"},
        {"restart", "30"},   {"stall", "20,1"},     {"jump", "9,1000"},    {"codec", "L24"},
        {"rate", "44100"},   {"channels", "2"},     {"ptime", "1"},        {"block", "64"},
        {"latency", "12ms"}, {"max-latency", "50"}, {"late", "0.3%"},      {"lambda", "500"},
        {"copies", "2"},     {"repair", "1"},       {"encrypted", "yes"},  {"sound", "pauses"},
    };
    const struct takt_simulate_net_info *info;
    uint32_t count = 0;
    for (; (info = takt_simulate_net_info(count)); count++) {
        struct takt_lab_net_plan p, before;
        takt_lab_net_usual(&p);
        before = p;
        CHECK_INT(apply(&p, info->name, "what"), TAKT_ERR_ARG);
        CHECK_INT(apply(&p, info->name, ""), TAKT_ERR_ARG);
        CHECK(!memcmp(&p, &before, sizeof p));
        CHECK(strstr(e.text, info->name) && strlen(info->meaning) > 4);
        const char *value = NULL;
        for (size_t i = 0; i < sizeof good / sizeof *good; i++)
            value = strcmp(good[i][0], info->name) ? value : good[i][1];
        CHECK(value && apply(&p, info->name, value) == TAKT_OK);
        CHECK(memcmp(&p, &before, sizeof p) != 0 || !strcmp(info->name, "order"));
    }
    CHECK_INT(count, sizeof good / sizeof *good);
    struct takt_lab_net_plan p;
    takt_lab_net_usual(&p);
    CHECK_INT(apply(&p, "nosuch", "1"), TAKT_ERR_NOT_FOUND);
}

static void values_are_what_they_say(void)
{
    struct takt_lab_net_plan p;
    takt_lab_net_usual(&p);
    CHECK(apply(&p, "late", "0.3%") == TAKT_OK && fabs(p.late_ratio - 0.003) < 1e-12);
    CHECK(apply(&p, "late", "0.003") == TAKT_OK && fabs(p.late_ratio - 0.003) < 1e-12);
    CHECK(apply(&p, "stall", "20") == TAKT_OK && p.faults.stall_s == 3);
    CHECK(apply(&p, "drift", "-500,60") == TAKT_OK && p.faults.drift_ppm == -500);
    CHECK(p.faults.drift_every_s == 60);
    CHECK(apply(&p, "bottleneck", "500") == TAKT_OK && p.network.rate_kbit_s == 500);
    CHECK(apply(&p, "rate", "8000") == TAKT_OK && p.format.rate_hz == 8000);
    CHECK_INT(takt_lab_net_settle(&p, &e), TAKT_OK);
    CHECK_INT(p.format.frames, 40);
    CHECK(apply(&p, "drift", "501") < 0 && apply(&p, "drift", "0x5") < 0 &&
          apply(&p, "drift", "nan") < 0);
}

/* Whatever the seed, a scenario can be made, and is the same each time. */
static void every_scenario_can_be_made(void)
{
    bool has[TAKT_CODECS] = {false};
    uint32_t differ = 0;
    char text[512];
    for (uint64_t i = 0; i < 5000; i++) {
        struct takt_lab_net_plan p, again;
        takt_lab_net_draw(&p, 1 + i / 100, i % 100);
        takt_lab_net_draw(&again, 1 + i / 100, i % 100);
        CHECK(!memcmp(&p, &again, sizeof p));
        takt_lab_net_draw(&again, 2 + i / 100, i % 100);
        differ += p.seed != again.seed;
        CHECK_INT(takt_lab_net_settle(&p, &e), TAKT_OK);
        CHECK(p.seconds >= 60 && p.seconds <= 600);
        CHECK(takt_codec_bytes_max(&p.format) <= 1300);
        int length = takt_lab_net_describe(&p, text, sizeof text);
        CHECK(length > 20 && (size_t)length == strlen(text));
        has[p.format.codec] = true;
    }
    CHECK_INT(differ, 5000);
    CHECK(has[TAKT_CODEC_L16] && has[TAKT_CODEC_L24]);
}

static void a_sound_says_where_it_is_from(void)
{
    struct takt_lab_sound s;
    CHECK_INT(takt_lab_sound_init(&s), TAKT_OK);
    int64_t wrong = 0;
    for (int64_t m = 0; m < 3 * TAKT_LAB_SOUND_FRAMES; m += 37) {
        float x[TAKT_LAB_SOUND_KEY];
        for (int i = 0; i < TAKT_LAB_SOUND_KEY; i++)
            x[i] = takt_lab_sound_at(&s, m + i, 0, 0);
        wrong += takt_lab_sound_find(&s, x, m + m % 50000 - 25000) != m;
        x[2] += 1.0f / 32768;
        wrong += takt_lab_sound_find(&s, x, m) == m;
    }
    CHECK_INT(wrong, 0);
    CHECK(s.step_most > 0.05f && s.step_most < s.level_most && s.level_most <= 0.5f);
    takt_lab_sound_fini(&s);
}

int main(void)
{
    RUN(every_option_takes_its_form_and_nothing_else);
    RUN(values_are_what_they_say);
    RUN(every_scenario_can_be_made);
    RUN(a_sound_says_where_it_is_from);
    return tap_done();
}
