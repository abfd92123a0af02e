/*
 * device/quiet.h - libraries that would write to stderr, and are loaded by other libraries as well:
 * ALSA's plugins and PortAudio bring JACK along.
 */
#ifndef TAKT_DEVICE_QUIET_H
#define TAKT_DEVICE_QUIET_H

/* From now on what ALSA and JACK have to say are log events. Thread: any. RT: no. */
void takt_quiet_libraries(void);

#endif
