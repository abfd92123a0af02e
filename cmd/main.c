/*
 * takt VERB …: finds the verb, reads the options that all verbs share, and lets the verb do the
 * rest.
 */
#include "output.h"
#include "verbs.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define STREAM_OPTIONS                                                                             \
    "-r -b -c -t --latency --fast --seed --priority --html --json --strict -q -v -h"

const struct verb verbs[] = {
    {"devices", "[DEVICE]", "what can be listened and played to",
     "With a DEVICE or a recording, only that one. With --watch a line comes for\n"
     "every change; what is there already comes first, as added.\n",
     "-w -t --json -h", verb_devices},
    {"meter", "[SOURCE]", "level and loudness of a source, live",
     "RMS is smoothed over 0.3 s, peaks are held for 1.5 s. MODE is level, loudness,\n"
     "truepeak, vu, ppm-din, ppm-nordic, ppm-bbc, ppm-ebu, k20, k14, k12,\n"
     "correlation or all. JSON has all of them, in lines each 0.1 s.\n",
     "-i --mode --target " STREAM_OPTIONS, verb_meter},
    {"tune", "[SOURCE]", "what note it is, and how many cents off",
     "In tune: within 2 cents. Give or take is one standard error of what is shown.\n",
     "-i --a4 --instrument --notes --strum --flats --calibrate " STREAM_OPTIONS, verb_tune},
    {"spectrum", "[SOURCE]", "spectrum and spectrogram of a source, live", "",
     "-i -r -b -c -t --size --hop --window --scale --range --bands --bins --average --png "
     "--html --fast --seed --json --strict -q -v -h",
     verb_spectrum},
    {"beat", "[SOURCE]", "onsets, tempo and beat of a source, live",
     "An onset's strength is how much the bands of its spectrum rise on average. A\n"
     "beat is foretold: next_s is when the next one is due.\n",
     "-i " STREAM_OPTIONS, verb_beat},
    {"play", "FILE", "play a recording", "", "-o --fade " STREAM_OPTIONS, verb_play},
    {"record", "FILE", "record to .wav, .flac, .opus or .ogg",
     "A crash loses at most the last second. --on-voice begins 0.3 s before a voice.\n",
     "-i -f --buffer --on-voice --dither --fade " STREAM_OPTIONS, verb_record},
    {"run", "SOURCE [EFFECT...] SINK", "from a source through effects to a sink",
     "  takt run in.wav gain=-2dB pipe:'wc -c' out.wav --fast\n",
     "-i -o -f --dither --fade --bypass --wait " STREAM_OPTIONS, verb_run},
    {"demo", "", "15 s of everything, without a sound card",
     "With -o FILE the sound of the first part is recorded there.\n", "-o --strict -q -h",
     verb_demo},
    {"send", "HOST[:PORT]...", "to the network, encrypted with a key",
     "To takt recv there, port 5004 if none is said; [IPV6]:PORT; 239.1.2.3%eth0:PORT\n"
     "for a group. -i - is raw frames from stdin. Beyond this machine it wants a key.\n"
     "  takt send studio.local -i speech.wav --key-file k\n",
     "-i --codec --ptime --bitrate --red --repair --key-file --passphrase-file --passphrase "
     "--plain --sdp --sdes --raw "
     "| --low-delay --no-fec --rotate --bare --sap --name --from --mux --ttl --dscp -r -b -c -t "
     "--seed --priority --json --strict -q -v -h",
     verb_send},
    {"recv", "[[HOST:]PORT]", "from the network, despite jitter and loss",
     "Of takt send, or of other programs by their --sdp. Port 5004 if none is said; a\n"
     "group is heard at 239.1.2.3%eth0:PORT. -o - is raw frames to stdout, and all\n"
     "that takt says goes to stderr then.\n"
     "  takt recv :5004 -o take.wav --key-file k\n",
     "-o --key-file --passphrase-file --passphrase --plain --sdp --format=MAP --mix --late "
     "--latency=TIME --max-latency --html "
     "| --sender --silent --raw -r -b -c -t --priority --json --strict -q -v -h",
     verb_recv},
    {"key", "new|check FILE", "make or check a key for send and recv",
     "A file that only its owner may read; one that is there stays as it is. Copy it\n"
     "to the other side by a safe way, such as scp.\n"
     "  takt key new studio.key\n",
     "-q -h", verb_key},
    {"bench", "[EFFECT...]", "which block size holds on this machine",
     "Measures latency, CPU and deadlines at each size for 10 s (-t): with an empty\n"
     "callback, with effects, or with known work (--load).\n"
     "  takt bench\n"
     "  takt bench -i jack: -o jack: --blocks 64,128,256 -t 60 --load 30%\n"
     "Safe: nothing missed, and the worst block had a quarter of its time left. Too\n"
     "small: more than 60 misses an hour are sure. Risky: in between. The picture is\n"
     "bench.html unless --html or --no-html says otherwise.\n",
     "-i -o -r -t --blocks --load --html --no-html --latency --priority --json -q -v -h",
     verb_bench},
    {"latency", "", "how long sound takes from output to input",
     "Needs a way back: a cable, a link of JACK or PipeWire, or sim:loop. It plays\n"
     "noise at -20 dBFS for some seconds, and compares what it measures with what\n"
     "was reported. When nothing comes back it tries again until -t is over. With\n"
     "--strict it exits with 3 when the two disagree.\n"
     "  takt latency -i sim:loop -o sim:loop -b 64 --fast\n",
     "-i -o -r -b -t --latency --fast --priority --json --strict -q -v -h", verb_latency},
    {"doctor", "", "why sound may be late, and what to do first",
     "Reads limits, rtkit, CPUs, kernel, interrupts and sound servers, measures for\n"
     "10 s (-t) in turns how late threads wake at each block size, and gives advice\n"
     "in order of effect, with what was measured. With -q the advice alone, and\n"
     "with --json one object. With --strict it exits with 3 when advice is serious.\n",
     "-t --blocks --json --strict -q -h", verb_doctor},
    {"sim", "", "hours of faults on virtual clocks",
     "Runs the whole engine: devices, rings, recordings and callbacks, with late\n"
     "wakes, overruns, lost frames, devices that go and come back, full queues and\n"
     "disks. It checks after every step that no frame is lost or doubled without a\n"
     "count, and much else. The same seed gives the same run.\n"
     "  takt sim --seed 1 --hours 10 --json\n"
     "  takt sim --seed 1 --scenario 45 -v\n"
     "takt sim net does the same for sound over a network; takt sim net --help.\n",
     "--seed --hours --scenario --json -q -v -h", verb_sim},
    {"check", "-- PROGRAM [ARG...]", "what its callbacks do that they must not",
     "Runs any program that uses libtakt, and tells each place in its callbacks that\n"
     "takes memory, locks, waits, does I/O, makes a system call or faults a page in;\n"
     "with -v the chain of calls, too. Exits with 3 when there is one. With --json\n"
     "the program's own output goes to stderr.\n"
     "  takt check -- ./synth --voices 8\n",
     "-t --json -q -v -h", verb_check},
    {"help", "[VERB]", "this, or more about one verb", "", "-h", verb_help},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

static const struct verb *find(const char *name)
{
    for (const struct verb *v = verbs; v->name; v++)
        if (!strcmp(v->name, name))
            return v;
    return NULL;
}

static int run(struct options *o, int count, char **arguments)
{
    struct terminal terminal;
    terminal_init(&terminal);
    if (count < 2 && terminal.live) {
        o->verb = "dashboard";
        return verb_dashboard(o);
    }
    const char *name = count > 1 ? arguments[1] : "help";
    if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
        printf("takt %s\n", takt_version());
        return EXIT_OK;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h"))
        name = "help";
    const struct verb *verb = find(name);
    if (!verb) {
        o->words[o->word_count++] = name;
        return *name == '-' ? complain(o, EXIT_USAGE, "%s: a verb comes first; see takt help", name)
                            : verb_help(o);
    }
    if (verb->run == verb_sim && count > 2 && !strcmp(arguments[2], "net"))
        return verb_sim_net(o, count - 3, arguments + 3);
    o->verb = verb->name;
    int status = options_read(o, verb->options, count > 2 ? count - 2 : 0, arguments + 2);
    if (status)
        return status;
    if (o->help && verb->run != verb_help) {
        o->words[0] = verb->name;
        o->word_count = 1;
        return verb_help(o);
    }
    return verb->run(o);
}

int main(int count, char **arguments)
{
    struct options o = {.verb = NULL};
    signal(SIGPIPE, SIG_IGN); /* a write fails instead, and each part can end in order */
    signal(SIGCHLD, SIG_DFL); /* where it is ignored, no program's end can be told */
    signal(SIGXFSZ, SIG_IGN); /* the same for a recording that may not grow further */
    int status = run(&o, count, arguments);
    return output_flush() == OUTPUT_FAILED && !status ? EXIT_FAILED : status;
}
