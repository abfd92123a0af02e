/*
 * Scientific pitch notation: the octave's number changes at C, and C4 is MIDI's note 60. Equal
 * temperament with A4 at 440 Hz is ISO 16:1975; other references are the caller's.
 *
 * The tunings are those that makers and methods of the instruments give, written by their names so
 * that they can be compared by eye.
 */
#include "takt/note.h"

#include "base/fail.h"

#include <math.h>
#include <string.h>

enum { A4 = 69, OCTAVE = 12 };

static const char *const sharp_names[OCTAVE] = {"C",  "C#", "D",  "D#", "E",  "F",
                                                "F#", "G",  "G#", "A",  "A#", "B"};
static const char *const flat_names[OCTAVE] = {"C",  "Db", "D",  "Eb", "E",  "F",
                                               "Gb", "G",  "Ab", "A",  "Bb", "B"};

/* Lowest octave -1, so that no expression below is negative. */
#define NOTE(semitone, octave) ((octave + 1) * OCTAVE + semitone)
#define C(o)                   NOTE(0, o)
#define Cs(o)                  NOTE(1, o)
#define D(o)                   NOTE(2, o)
#define Ds(o)                  NOTE(3, o)
#define E(o)                   NOTE(4, o)
#define F(o)                   NOTE(5, o)
#define Fs(o)                  NOTE(6, o)
#define G(o)                   NOTE(7, o)
#define Gs(o)                  NOTE(8, o)
#define A(o)                   NOTE(9, o)
#define As(o)                  NOTE(10, o)
#define B(o)                   NOTE(11, o)

static const struct takt_tuning tunings[] = {
    {"guitar", "guitar", 6, {E(2), A(2), D(3), G(3), B(3), E(4)}},
    {"guitar-7", "guitar, seven strings", 7, {B(1), E(2), A(2), D(3), G(3), B(3), E(4)}},
    {"half-step-down", "guitar, half a step down", 6, {Ds(2), Gs(2), Cs(3), Fs(3), As(3), Ds(4)}},
    {"full-step-down", "guitar, a whole step down", 6, {D(2), G(2), C(3), F(3), A(3), D(4)}},
    {"drop-d", "guitar, drop D", 6, {D(2), A(2), D(3), G(3), B(3), E(4)}},
    {"drop-c", "guitar, drop C", 6, {C(2), G(2), C(3), F(3), A(3), D(4)}},
    {"double-drop-d", "guitar, double drop D", 6, {D(2), A(2), D(3), G(3), B(3), D(4)}},
    {"dadgad", "guitar, DADGAD", 6, {D(2), A(2), D(3), G(3), A(3), D(4)}},
    {"open-d", "guitar, open D", 6, {D(2), A(2), D(3), Fs(3), A(3), D(4)}},
    {"open-e", "guitar, open E", 6, {E(2), B(2), E(3), Gs(3), B(3), E(4)}},
    {"open-g", "guitar, open G", 6, {D(2), G(2), D(3), G(3), B(3), D(4)}},
    {"open-a", "guitar, open A", 6, {E(2), A(2), E(3), A(3), Cs(4), E(4)}},
    {"open-c", "guitar, open C", 6, {C(2), G(2), C(3), G(3), C(4), E(4)}},
    {"baritone", "baritone guitar", 6, {B(1), E(2), A(2), D(3), Fs(3), B(3)}},
    {"bass", "bass", 4, {E(1), A(1), D(2), G(2)}},
    {"bass-5", "bass, five strings", 5, {B(0), E(1), A(1), D(2), G(2)}},
    {"bass-6", "bass, six strings", 6, {B(0), E(1), A(1), D(2), G(2), C(3)}},
    {"bass-drop-d", "bass, drop D", 4, {D(1), A(1), D(2), G(2)}},
    {"ukulele", "ukulele", 4, {G(4), C(4), E(4), A(4)}},
    {"ukulele-low-g", "ukulele, low G", 4, {G(3), C(4), E(4), A(4)}},
    {"ukulele-baritone", "baritone ukulele", 4, {D(3), G(3), B(3), E(4)}},
    {"violin", "violin", 4, {G(3), D(4), A(4), E(5)}},
    {"viola", "viola", 4, {C(3), G(3), D(4), A(4)}},
    {"cello", "cello", 4, {C(2), G(2), D(3), A(3)}},
    {"double-bass", "double bass", 4, {E(1), A(1), D(2), G(2)}},
    {"mandolin", "mandolin", 4, {G(3), D(4), A(4), E(5)}},
    {"banjo", "banjo, open G", 5, {G(4), D(3), G(3), B(3), D(4)}},
    {"banjo-tenor", "tenor banjo", 4, {C(3), G(3), D(4), A(4)}},
};
enum { TUNINGS = sizeof tunings / sizeof *tunings };

double takt_note_hz(double note, double a4_hz)
{
    return a4_hz * exp2((note - A4) / OCTAVE);
}

double takt_note_at(double hz, double a4_hz)
{
    return A4 + OCTAVE * log2(hz / a4_hz);
}

void takt_note_name(int note, bool flats, char *to)
{
    note = note < 0 ? 0 : note > TAKT_NOTE_MAX ? TAKT_NOTE_MAX : note;
    int octave = note / OCTAVE - 1;
    for (const char *c = (flats ? flat_names : sharp_names)[note % OCTAVE]; *c; c++)
        *to++ = *c;
    if (octave < 0)
        *to++ = '-';
    *to++ = (char)('0' + (octave < 0 ? -octave : octave));
    *to = '\0';
}

int takt_note_parse(const char *text, int *note)
{
    static const char letters[] = "C D EF G A B"; /* each at its semitone */
    char upper = (char)(*text >= 'a' && *text <= 'g' ? *text - 'a' + 'A' : *text);
    const char *at = upper > ' ' ? strchr(letters, upper) : NULL;
    if (!at)
        return TAKT_ERR_ARG;
    int semitone = (int)(at - letters), octave;
    text++;
    if (*text == '#' || *text == 'b')
        semitone += *text++ == '#' ? 1 : -1;
    bool below = *text == '-';
    text += below;
    if (*text < '0' || *text > '9' || text[1])
        return TAKT_ERR_ARG;
    octave = below ? -(*text - '0') : *text - '0';
    int found = (octave + 1) * OCTAVE + semitone;
    if (found < 0 || found > TAKT_NOTE_MAX)
        return TAKT_ERR_ARG;
    *note = found;
    return 0;
}

const struct takt_tuning *takt_tuning_find(const char *name)
{
    for (int i = 0; i < TUNINGS; i++)
        if (!strcmp(tunings[i].name, name))
            return &tunings[i];
    return NULL;
}

const struct takt_tuning *takt_tuning_at(int i)
{
    return i >= 0 && i < TUNINGS ? &tunings[i] : NULL;
}

int takt_tuning_parse(const char *text, struct takt_tuning *out, struct takt_error *e)
{
    struct takt_tuning t = {.name = "notes", .title = "notes of one's own"};
    for (const char *at = text;; at++) {
        char word[TAKT_NOTE_NAME_BYTES] = "";
        int note = 0;
        size_t length = strcspn(at, ",");
        if (length < sizeof word)
            memcpy(word, at, length);
        if (takt_note_parse(word, &note) < 0)
            return takt_fail(e, TAKT_ERR_ARG, 0, "%.*s is no note; write notes as in E2,A2,D3,F#3",
                             length < 40 ? (int)length : 40, at);
        if (t.count == TAKT_STRINGS_MAX)
            return takt_fail(e, TAKT_ERR_ARG, 0, "more than %d notes", TAKT_STRINGS_MAX);
        t.note[t.count++] = (int8_t)note;
        at += length;
        if (!*at)
            break;
    }
    *out = t;
    return 0;
}

int takt_tuning_nearest(const struct takt_tuning *t, double note)
{
    int best = 0;
    for (int i = 1; i < t->count; i++)
        if (fabs(note - t->note[i]) < fabs(note - t->note[best]))
            best = i;
    return best;
}
