/*
 * Native JACK clients for comparison:
 *
 *     jack-probe thru NAME           passes in_1 to out_1, until it is ended
 *     jack-probe delay NAME FRAMES [PLAYBACK CAPTURE]
 *                                    the same, FRAMES later. As a sound card would, it reports the
 *                                    latencies PLAYBACK of in_1 and CAPTURE of out_1, if given
 *     jack-probe measure TO FROM     sends clicks to port TO and hears port FROM: prints the delay
 *                                    of each in frames, one a line, 10 of them
 */
#include <jack/jack.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLICKS = 10, EVERY_FRAMES = 9600, DELAY_MAX = 1 << 16 };

static jack_port_t *in, *out;
static bool measures;
static uint64_t now_frame, sent_frame;
static bool waits;
static _Atomic int heard;
static uint64_t delays[CLICKS];
static uint32_t delay_frames, playback_frames, capture_frames;
static float past[DELAY_MAX];

static void listen_and_click(const float *from, float *to, jack_nframes_t frames)
{
    for (jack_nframes_t i = 0; i < frames; i++, now_frame++) {
        to[i] = 0;
        int n = atomic_load(&heard);
        if (waits && from[i] > 0.25f && n < CLICKS) {
            delays[n] = now_frame - sent_frame;
            waits = false;
            atomic_store(&heard, n + 1);
        }
        if (now_frame % EVERY_FRAMES == EVERY_FRAMES / 2 + now_frame / EVERY_FRAMES * 7) {
            to[i] = 0.5f;
            sent_frame = now_frame;
            waits = true;
        }
    }
}

static void delay(const float *from, float *to, jack_nframes_t frames)
{
    for (jack_nframes_t i = 0; i < frames; i++, now_frame++) {
        past[now_frame % DELAY_MAX] = from[i];
        to[i] = past[(now_frame - delay_frames) % DELAY_MAX];
    }
}

static int process(jack_nframes_t frames, void *arg)
{
    const float *from = jack_port_get_buffer(in, frames);
    float *to = jack_port_get_buffer(out, frames);
    if (measures)
        listen_and_click(from, to, frames);
    else
        delay(from, to, frames);
    return 0;
}

static void report(jack_latency_callback_mode_t mode, void *arg)
{
    bool plays = mode == JackPlaybackLatency;
    uint32_t frames = plays ? playback_frames : capture_frames;
    jack_port_set_latency_range(plays ? in : out, mode, &(jack_latency_range_t){frames, frames});
}

static void say_nothing(const char *text)
{
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    measures = !strcmp(argv[1], "measure");
    delay_frames = argc > 3 && !measures ? (uint32_t)atoi(argv[3]) : 0;
    if (delay_frames >= DELAY_MAX)
        return 2;
    jack_set_error_function(say_nothing);
    jack_set_info_function(say_nothing);
    jack_client_t *client =
        jack_client_open(measures ? "probe" : argv[2], JackNoStartServer | JackUseExactName, NULL);
    if (!client)
        return 1;
    in = jack_port_register(client, "in_1", JACK_DEFAULT_AUDIO_TYPE, JackPortIsInput, 0);
    out = jack_port_register(client, "out_1", JACK_DEFAULT_AUDIO_TYPE, JackPortIsOutput, 0);
    jack_set_process_callback(client, process, NULL);
    if (argc > 5) {
        playback_frames = (uint32_t)atoi(argv[4]);
        capture_frames = (uint32_t)atoi(argv[5]);
        jack_set_latency_callback(client, report, NULL);
    }
    if (!in || !out || jack_activate(client))
        return 1;
    if (!measures) {
        puts("ready");
        fflush(stdout);
        pause();
    }
    if (argc < 4 || jack_connect(client, jack_port_name(out), argv[2]) ||
        jack_connect(client, argv[3], jack_port_name(in)))
        return 1;
    for (int ms = 0; ms < 20000 && atomic_load(&heard) < CLICKS; ms++)
        usleep(1000);
    jack_client_close(client);
    for (int i = 0; i < atomic_load(&heard); i++)
        printf("%llu\n", (unsigned long long)delays[i]);
    return atomic_load(&heard) == CLICKS ? 0 : 1;
}
