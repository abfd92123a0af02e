/*
 * takt/note.h - the names of notes, and the notes that the strings of instruments are tuned to.
 *
 *     takt_note_name(40, false, name);                     // "E2"
 *     takt_note_parse("F#3", &note);                       // 54
 *     takt_note_hz(69, 440);                               // 440
 *     const struct takt_tuning *t = takt_tuning_find("drop-d");
 *
 * A note is a MIDI number, 0 to 127: 60 is C4, the middle C, and 69 is A4. Between them lies equal
 * temperament, a hundred cents a semitone.
 * Thread: any, all calls.
 */
#ifndef TAKT_NOTE_H
#define TAKT_NOTE_H

#include "takt/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { TAKT_NOTE_MAX = 127, TAKT_NOTE_NAME_BYTES = 8, TAKT_STRINGS_MAX = 16 };

/* The pitch in Hz of a note, or of what lies between two: a4_hz·2^((note - 69)/12). RT: yes. */
TAKT_API double takt_note_hz(double note, double a4_hz);

/* The other way round: what note, with its fraction, hz is; both above 0. RT: yes. */
TAKT_API double takt_note_at(double hz, double a4_hz);

/* Writes "C#4", or "Db4" where flats are preferred; note is brought into 0..127.
 * Shape: to[TAKT_NOTE_NAME_BYTES]. RT: yes. */
TAKT_API void takt_note_name(int note, bool flats, char *to);

/* Reads a name such as E2, f#3, Bb1 or C-1, all of the text. Errors: TAKT_ERR_ARG when it is none,
 * or outside of 0..127; *note is then as it was. RT: yes. */
TAKT_API int takt_note_parse(const char *text, int *note);

/* What strings are tuned to, in the order in which players name them: the lowest first, but for
 * instruments such as the ukulele. */
struct takt_tuning {
    const char *name;  /* "drop-d" */
    const char *title; /* "guitar, drop D" */
    int count;         /* of strings, 1..TAKT_STRINGS_MAX */
    int8_t note[TAKT_STRINGS_MAX];
};

/* The tuning of that name, or NULL. RT: yes. */
TAKT_API const struct takt_tuning *takt_tuning_find(const char *name);

/* The i-th of all there are, or NULL behind the last. RT: yes. */
TAKT_API const struct takt_tuning *takt_tuning_at(int i);

/* Reads notes with commas between them, "E2,A2,D3,G3,B3,E4"; *out is then called "notes".
 * Errors: TAKT_ERR_ARG, with the word that is no note. RT: no. */
TAKT_API int takt_tuning_parse(const char *text, struct takt_tuning *out, struct takt_error *e);

/* The string whose note is the least number of cents from `note`, which may have a fraction; of two
 * that are tuned alike the first. RT: yes. */
TAKT_API int takt_tuning_nearest(const struct takt_tuning *t, double note);

#ifdef __cplusplus
}
#endif
#endif
