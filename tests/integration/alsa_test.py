#!/usr/bin/env python3
"""
alsa_test.py - the alsa backend. There is no card here: ALSA's own jack plugin, on a jackd of the
test's, has clock, buffer and hazards of one.

    alsa_test.py TAKT ROOT JACK_PROBE
"""
import contextlib
import json
import os
import signal
import subprocess
import sys
import time

from program import (ENVIRONMENT, TAKT, check, equal, near, needs, one_line, run, strict_json, test,
                     tests_done, unless_stalled)

ROOT, PROBE = os.path.abspath(sys.argv[2]), os.path.abspath(sys.argv[3])
ASOUNDRC = """
pcm.ports { type jack
  playback_ports { 0 system:playback_1 1 system:playback_2 }
  capture_ports { 0 system:capture_1 1 system:capture_2 } }
pcm.loop { type jack
  playback_ports { 0 thru:in_1 }
  capture_ports { 0 thru:out_1 } }
pcm.second { type jack
  playback_ports { 0 system:playback_1 1 thru:in_1 } }
pcm.converted { type plug slave.pcm loop }
pcm.hidden { type plug slave.pcm null }
pcm.tofile { type file file /dev/null format raw slave.pcm null }
"""


class Room:
    def __init__(self, environment):
        self.environment, self.server, self.programs = environment, int(environment["JACK_PID"]), []

    def run(self, *arguments, **more):
        return run(*arguments, environment=self.environment, **more)

    def start(self, *command):
        self.programs.append(subprocess.Popen(command, env=self.environment, text=True,
                                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                              stderr=subprocess.PIPE))
        return self.programs[-1]


@contextlib.contextmanager
def room(period=64):
    """A jackd, an asoundrc, and a client that a loop goes through."""
    needs("jackd")
    with open(".asoundrc", "w") as file:
        file.write(ASOUNDRC)
    home = {"HOME": os.getcwd(), "PIPEWIRE_RUNTIME_DIR": "/nonexistent"}
    holder = subprocess.Popen(
        [os.path.join(ROOT, "tools", "with-jack"), "-p", str(period), sys.executable, "-c",
         "import json, os, sys; print(json.dumps(dict(os.environ)), flush=True); sys.stdin.read()"],
        env=ENVIRONMENT | home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        line = holder.stdout.readline()
        check(line, "tools/with-jack gave no server")
        r = Room(json.loads(line))
        thru = r.start(PROBE, "thru", "thru")
        equal(thru.stdout.readline(), "ready\n")
        yield r
    finally:
        for program in r.programs:
            program.kill()
            program.communicate()
        holder.communicate(timeout=60)


@test
def sound_comes_through_with_just_the_latency_that_is_reported():
    for period, blocks in [(64, [(64, "loop"), (100, "loop"), (64, "converted")]),
                           (256, [(256, "loop"), (333, "loop"), (1000, "converted")])]:
        with room(period) as r:
            for block, pcm in blocks:
                def agrees():  # the plugin is two JACK clients, and a stall may cost one a period
                    found = r.run("latency", "-i", f"alsa:{pcm}", "-o", f"alsa:{pcm}", "-b",
                                  str(block), "--json").lines()[-1]
                    equal((found["verdict"], found["block_frames"]), ("measured", block))
                    equal(found["difference_frames"], 0, f"alsa:{pcm}, blocks of {block}: {found}")
                    # Told to 0.1 dB; a wrong gain or a wrong channel is 3 dB or more.
                    near(found["level_dbfs"], -20, 0.5, "level")

                unless_stalled(agrees, 8)


@test
def one_way_streams_keep_the_clock_and_the_sound():
    with room(256) as r:
        player = r.start(TAKT, "run", "sim:tone", "alsa:ports", "-t", "20", "-c", "2")
        said = r.run("meter", "alsa:loop", "-t", "1", "--json")
        equal((said.summary()["frames"], said.summary()["sched"]["policy"], said.err),
              (48000, "fifo", ""))
        check(player.poll() is None, "the player has ended")
        player.send_signal(signal.SIGINT)
        equal(player.wait(timeout=20), 0)
        r.run("run", "sim:tone", "alsa:loop", "-c", "1", "-t", "0.5")

        def is_heard():  # what is resampled rings at a hole; a wrong gain is 3 dB or more
            heard = r.start(TAKT, "meter", "jack:thru", "-c", "1", "-t", "2", "--json")
            check(strict_json(heard.stdout.readline())["type"] in ("level", "meter"), "first line")
            r.run("run", "sim:tone", "alsa:loop", "-c", "1", "-t", "3")
            summary = strict_json(heard.communicate(timeout=30)[0].splitlines()[-1])
            near(summary["channels"][0]["peak_dbfs"], -6.02, 0.5, "half of full scale")

        unless_stalled(is_heard)


@test
def one_channel_is_heard_from_all_that_there_are():
    with room(256) as r:
        def is_heard():  # to as much, as above
            heard = r.start(TAKT, "meter", "jack:thru", "-c", "1", "-t", "2", "--json")
            check(strict_json(heard.stdout.readline())["type"] in ("level", "meter"), "first line")
            said = r.run("run", "sim:tone", "alsa:second", "-c", "1", "-t", "3", "--json").summary()
            equal(len(said["channels"]), 1)
            summary = strict_json(heard.communicate(timeout=30)[0].splitlines()[-1])
            near(summary["channels"][0]["peak_dbfs"], -6.02, 0.5, "the second channel")

        unless_stalled(is_heard)
        said = one_line(r.run("run", "sim:tone", "alsa:second", "-c", "3", "-t", "1", status=1))
        check("has 2 output channels, not 3" in said, said)


@test
def periods_of_any_length_are_begun_in_time():
    script = 'for way in "-b 16384" "-r 8000 -b 4096"; do "$0" run sim:tone alsa:pipewire $way -t 1 -q || exit; done'
    said = subprocess.run([os.path.join(ROOT, "tools", "with-pipewire"), "bash", "-c",
                           script + '; ! "$0" run sim:tone alsa:pipewire --latency 2 -t 1 -q', TAKT],
                          capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    equal(said.returncode, 0, said.stderr)
    check(said.stderr.count("\n") == 1 and "ask for less latency" in said.stderr, said.stderr)


@test
def what_has_no_clock_is_refused():
    with room() as r:
        for pcm in ["null", "hidden", "tofile"]:
            for arguments in [("run", "sim:tone", f"alsa:{pcm}"), ("meter", f"alsa:{pcm}")]:
                if pcm == "tofile" and arguments[0] == "meter":
                    continue  # it has nothing to be read
                said = one_line(r.run(*arguments, "-t", "1", status=1))
                check("no clock" in said, said)
        equal([d for d in r.run("devices", "--json").lines() if "null" in d.get("id", "")
               and d["backend"] == "alsa"], [])


@test
def what_is_not_there_is_one_clear_line():
    with room() as r:
        for pcm in ["nosuch", "hw:7", "hw:CARD=Nobody,DEV=0", "x" * 200, "hw:", "{", "a,b:c"]:
            said = one_line(r.run("meter", f"alsa:{pcm}", "-t", "1", status=1))
            check("alsa:" in said, said)
        said = one_line(r.run("run", "sim:tone", "alsa:ports", "-r", "44100", "-t", "1", status=1))
        check("48000 Hz" in said and "44100" in said, said)


@test
def a_server_that_is_killed_costs_silence_and_no_more():
    with room() as r:
        took = r.start(TAKT, "run", "alsa:ports", "alsa:ports", "-b", "64", "-t", "4", "--json")
        strict_json(took.stdout.readline())
        os.kill(r.server, signal.SIGKILL)
        out, err = took.communicate(timeout=30)
        summary = strict_json(out.splitlines()[-1])
        equal((took.returncode, summary["seconds"], summary["events"]["device_lost"]), (0, 4.0, 1))
        equal(err.strip().splitlines()[0].startswith("takt: "), True, err)


@test
def a_server_that_comes_back_is_used_again():
    with room() as r:
        took = r.start(TAKT, "run", "alsa:ports", "alsa:ports", "-b", "64", "-t", "8", "--json")
        strict_json(took.stdout.readline())
        os.kill(r.server, signal.SIGKILL)
        time.sleep(1.5)
        again = r.start("jackd", "-r", "-n", r.environment["JACK_DEFAULT_SERVER"], "-d", "dummy",
                        "-r", "48000", "-p", "64")
        out, err = took.communicate(timeout=30)
        again.terminate()
        again.wait()
        summary = strict_json(out.splitlines()[-1])
        equal((took.returncode, summary["seconds"]), (0, 8.0))
        equal([summary["events"][k] for k in ("device_lost", "device_back")], [1, 1], err)


@test
def a_server_that_hangs_does_not_hold_the_stop():
    with room() as r:
        took = r.start(TAKT, "run", "alsa:ports", "alsa:ports", "-b", "64", "-t", "60", "--json")
        strict_json(took.stdout.readline())
        os.kill(r.server, signal.SIGSTOP)
        try:
            time.sleep(1)
            began = time.monotonic()
            took.send_signal(signal.SIGINT)
            took.communicate(timeout=15)
            check(time.monotonic() - began < 10, "it took too long")
            equal(took.returncode, 0)
        finally:
            os.kill(r.server, signal.SIGCONT)


tests_done()
