/*
 * device/quiet.h - libraries that would write to stderr, and are loaded by other libraries as well:
 * ALSA's plugins and PortAudio bring JACK along.
 */
#ifndef TAKT_DEVICE_QUIET_H
#define TAKT_DEVICE_QUIET_H

/* From now on what ALSA and JACK have to say are log events. Thread: any. RT: no. */
void takt_quiet_libraries(void);

/* What ALSA says on this thread from now on is dropped: it is one for sound, and a log event takes
 * a lock. RT: yes. */
void takt_quiet_here(void);

#endif
