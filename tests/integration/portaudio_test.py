#!/usr/bin/env python3
"""
portaudio_test.py - the portaudio backend, on PortAudio's JACK and a jackd of the test's own.

    portaudio_test.py TAKT ROOT JACK_PROBE
"""
import contextlib
import json
import os
import signal
import subprocess
import sys
import time

from program import (ENVIRONMENT, TAKT, check, equal, near, needs, one_line, run, strict_json, test,
                     tests_done)

ROOT, PROBE = os.path.abspath(sys.argv[2]), os.path.abspath(sys.argv[3])


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
def room(period=128):
    needs("jackd")
    holder = subprocess.Popen(
        [os.path.join(ROOT, "tools", "with-jack"), "-p", str(period), sys.executable, "-c",
         "import json, os, sys; print(json.dumps(dict(os.environ)), flush=True); sys.stdin.read()"],
        env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        line = holder.stdout.readline()
        check(line, "tools/with-jack gave no server")
        r = Room(json.loads(line))
        yield r
    finally:
        for program in r.programs:
            program.kill()
            program.communicate()
        holder.communicate(timeout=60)


@test
def its_devices_can_be_asked_for_and_are_not_listed_twice():
    with room() as r:
        said = r.run("devices", "portaudio:", "--json")
        device = said.lines()[0]
        equal((device["id"], device["in_channels_max"], device["out_channels_max"], said.err),
              ("portaudio:", 2, 2, ""))
        check("JACK" in device["description"], device)
        equal(r.run("devices", "portaudio:JACK", "--json").lines()[0]["out_channels_max"], 2)
        check(all(d.get("backend") != "portaudio" for d in r.run("devices", "--json").lines()),
              "listed, where jack: is")
        said = one_line(r.run("devices", "portaudio:nobody", status=1))
        check("nobody" in said and "no such device" in said, said)


@test
def without_a_device_it_is_one_clear_line():
    nowhere = {"JACK_DEFAULT_SERVER": f"takt-nowhere-{os.getpid()}"}
    said = one_line(run("run", "sim:tone", "portaudio:", "-t", "1", environment=nowhere, status=1))
    check("PortAudio finds no device" in said, said)


@test
def any_block_is_kept_and_the_sound_is_right():
    with room() as r:
        thru = r.start(PROBE, "thru", "thru")
        equal(thru.stdout.readline(), "ready\n")
        for block in [64, 128, 100, 333]:
            said = r.run("run", "portaudio:", "portaudio:", "-b", str(block), "-t", "0.5", "--json")
            summary = said.summary()
            equal((summary["block_frames"], summary["frames"], said.err), (block, 24000, ""))
            found = r.run("latency", "-i", "portaudio:thru", "-o", "portaudio:thru", "-b",
                          str(block), "--json").lines()[-1]
            equal(found["verdict"], "measured")
            # It is told to 0.1 dB, and a block lost in the sweep costs as much. A wrong gain or a
            # wrong channel is 3 dB or more.
            near(found["level_dbfs"], -20, 0.5, "level")
            # What it reports over JACK is a block too much, never too little.
            check(found["difference_frames"] <= 0, found)


@test
def a_server_that_is_killed_costs_silence_and_no_more():
    with room() as r:
        took = r.start(TAKT, "run", "portaudio:", "portaudio:", "-b", "64", "-t", "4", "--json")
        strict_json(took.stdout.readline())
        os.kill(r.server, signal.SIGKILL)
        out, err = took.communicate(timeout=30)
        summary = strict_json(out.splitlines()[-1])
        equal((took.returncode, summary["seconds"], summary["events"]["device_lost"]), (0, 4.0, 1))
        check(all(line.startswith("takt: ") for line in err.splitlines()), err)


@test
def a_server_that_hangs_does_not_hold_the_stop():
    with room() as r:
        took = r.start(TAKT, "run", "portaudio:", "portaudio:", "-t", "60", "--json")
        strict_json(took.stdout.readline())
        os.kill(r.server, signal.SIGSTOP)
        try:
            time.sleep(1)
            began = time.monotonic()
            took.send_signal(signal.SIGINT)
            took.communicate(timeout=20)
            check(time.monotonic() - began < 10, "it took too long")
        finally:
            os.kill(r.server, signal.SIGCONT)


tests_done()
