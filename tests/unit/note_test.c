/* The names of notes and the tunings of instruments. */

#include "takt/note.h"

#include "tap.h"

#include <math.h>
#include <string.h>

static const double references[] = {380, 415.3, 432, 440, 442, 443, 466.16, 480};
enum { REFERENCES = sizeof references / sizeof *references };

static void every_name_is_read_back_as_its_note(void)
{
    for (int note = 0; note <= TAKT_NOTE_MAX; note++)
        for (int flats = 0; flats < 2; flats++) {
            char name[TAKT_NOTE_NAME_BYTES];
            int back = -1;
            takt_note_name(note, flats, name);
            CHECK(strlen(name) < TAKT_NOTE_NAME_BYTES);
            CHECK_INT(takt_note_parse(name, &back), 0);
            CHECK_INT(back, note);
            name[0] = (char)(name[0] - 'A' + 'a');
            CHECK_INT(takt_note_parse(name, &back), 0);
            CHECK_INT(back, note);
        }
}

static void names_are_those_of_the_standard(void)
{
    static const struct {
        int note;
        const char *sharp, *flat;
    } known[] = {{0, "C-1", "C-1"}, {21, "A0", "A0"},   {28, "E1", "E1"},   {40, "E2", "E2"},
                 {59, "B3", "B3"},  {60, "C4", "C4"},   {61, "C#4", "Db4"}, {66, "F#4", "Gb4"},
                 {69, "A4", "A4"},  {70, "A#4", "Bb4"}, {71, "B4", "B4"},   {72, "C5", "C5"},
                 {108, "C8", "C8"}, {127, "G9", "G9"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char name[TAKT_NOTE_NAME_BYTES];
        takt_note_name(known[i].note, false, name);
        CHECK(!strcmp(name, known[i].sharp));
        takt_note_name(known[i].note, true, name);
        CHECK(!strcmp(name, known[i].flat));
    }
}

static void what_is_no_note_is_refused(void)
{
    static const char *const wrong[] = {"",    "E",    "2",    "H2",   "E2 ",  " E2", "E22", "Ebb2",
                                        "E#b", "E-2",  "G#9",  "A9",   "Cb-1", "E2,", "#2",  "b",
                                        "B-",  "C--1", "\xc2", "\x01", "e\n",  "C10"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int note = 77;
        CHECK_INT(takt_note_parse(wrong[i], &note), TAKT_ERR_ARG);
        CHECK_INT(note, 77);
    }
}

static void pitches_follow_the_reference(void)
{
    for (int r = 0; r < REFERENCES; r++) {
        double a4 = references[r];
        CHECK_NEAR(takt_note_hz(69, a4), a4, 1e-9);
        CHECK_NEAR(takt_note_hz(57, a4), a4 / 2, 1e-9);
        for (int note = 0; note <= TAKT_NOTE_MAX; note++) {
            CHECK_NEAR(takt_note_at(takt_note_hz(note, a4), a4), note, 1e-9);
            CHECK_NEAR(takt_note_at(takt_note_hz(note + 0.37, a4), a4), note + 0.37, 1e-9);
        }
    }
    CHECK_NEAR(takt_note_hz(40, 440), 82.4069, 1e-4);
    CHECK_NEAR(takt_note_hz(28, 440), 41.2034, 1e-4);
    CHECK_NEAR(takt_note_hz(60, 440), 261.6256, 1e-4);
}

/* The tunings as players spell them. */
static void tunings_are_those_of_the_instruments(void)
{
    static const char *const known[][2] = {
        {"guitar", "E2,A2,D3,G3,B3,E4"}, {"drop-d", "D2,A2,D3,G3,B3,E4"},
        {"drop-c", "C2,G2,C3,F3,A3,D4"}, {"half-step-down", "Eb2,Ab2,Db3,Gb3,Bb3,Eb4"},
        {"dadgad", "D2,A2,D3,G3,A3,D4"}, {"open-g", "D2,G2,D3,G3,B3,D4"},
        {"bass", "E1,A1,D2,G2"},         {"bass-5", "B0,E1,A1,D2,G2"},
        {"violin", "G3,D4,A4,E5"},       {"viola", "C3,G3,D4,A4"},
        {"cello", "C2,G2,D3,A3"},        {"ukulele", "G4,C4,E4,A4"},
        {"mandolin", "G3,D4,A4,E5"},     {"banjo", "G4,D3,G3,B3,D4"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const struct takt_tuning *t = takt_tuning_find(known[i][0]);
        struct takt_tuning read;
        CHECK(t);
        CHECK_INT(takt_tuning_parse(known[i][1], &read, NULL), 0);
        CHECK_INT(read.count, t->count);
        CHECK(!memcmp(read.note, t->note, sizeof read.note));
    }
    CHECK(!takt_tuning_find("lute"));
    CHECK(!takt_tuning_find(""));
}

static void tunings_can_be_gone_through(void)
{
    int count = 0;
    CHECK(!takt_tuning_at(-1));
    for (const struct takt_tuning *t; (t = takt_tuning_at(count)); count++) {
        CHECK(takt_tuning_find(t->name) == t);
        CHECK(*t->title);
        CHECK(t->count >= 4 && t->count <= TAKT_STRINGS_MAX);
        CHECK(!strpbrk(t->name, " ,\"\\"));
        for (int s = 0; s < t->count; s++)
            CHECK(t->note[s] >= 23 && t->note[s] <= 80);
    }
    CHECK(count >= 20);
    CHECK(!takt_tuning_at(count + 1));
}

static void lists_of_notes_are_read_strictly(void)
{
    struct takt_tuning t = {.count = 5};
    struct takt_error e;
    static const char *const wrong[] = {"", ",", "E2,", ",E2", "E2,,A2", "E2 A2", "E2,X3", "E2;A2"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_INT(takt_tuning_parse(wrong[i], &t, &e), TAKT_ERR_ARG);
        CHECK(*e.text && !strchr(e.text, '\n'));
        CHECK_INT(t.count, 5);
    }
    CHECK_INT(takt_tuning_parse("c4", &t, &e), 0);
    CHECK_INT(t.count, 1);
    CHECK_INT(t.note[0], 60);
    char many[256] = "A4";
    for (int i = 1; i < TAKT_STRINGS_MAX; i++)
        strcat(many, ",A4");
    CHECK_INT(takt_tuning_parse(many, &t, &e), 0);
    CHECK_INT(t.count, TAKT_STRINGS_MAX);
    strcat(many, ",A4");
    CHECK_INT(takt_tuning_parse(many, &t, &e), TAKT_ERR_ARG);
}

static void the_nearest_string_is_the_nearest_in_cents(void)
{
    for (int i = 0; takt_tuning_at(i); i++) {
        const struct takt_tuning *t = takt_tuning_at(i);
        for (double note = 10; note < 100; note += 0.13) {
            int s = takt_tuning_nearest(t, note);
            CHECK(s >= 0 && s < t->count);
            for (int other = 0; other < t->count; other++)
                CHECK(fabs(note - t->note[s]) <= fabs(note - t->note[other]));
        }
    }
}

int main(void)
{
    RUN(every_name_is_read_back_as_its_note);
    RUN(names_are_those_of_the_standard);
    RUN(what_is_no_note_is_refused);
    RUN(pitches_follow_the_reference);
    RUN(tunings_are_those_of_the_instruments);
    RUN(tunings_can_be_gone_through);
    RUN(lists_of_notes_are_read_strictly);
    RUN(the_nearest_string_is_the_nearest_in_cents);
    return tap_done();
}
