#!/usr/bin/env python3
"""
latency_test.py - takt latency beside what is known, beside jack_iodelay, and where it cannot tell.

    latency_test.py TAKT ROOT (pipewire | none) [JACK_PROBE]
"""
import os
import re
import signal
import subprocess
import sys
import time

from program import (ENVIRONMENT, TAKT, Skip, check, equal, near, needs, one_line, run, strict_json,
                     test, tests_done)

ROOT = os.path.abspath(sys.argv[2])
PROBE = os.path.abspath(sys.argv[4]) if len(sys.argv) > 4 else None


def measured(said):
    """Its one line, which has to be of one piece."""
    found = said.lines()[-1]
    equal((found["type"], found["verb"]), ("summary", "latency"))
    reported = found["reported_frames"]
    equal(reported["total"], sum(reported[k] for k in ("host_in", "host_out", "adapter")))
    equal(found["difference_frames"], found["measured_frames"] - reported["total"])
    near(found["measured_ms"],
         (found["measured_frames"] + found["measured_fraction"]) * 1e3 / found["rate_hz"], 1e-3,
         "ms")
    return found


@test
def the_simulated_loop_is_as_long_as_it_says_whatever_the_blocks():
    for host in ["", ",host=64", ",host=96", ",host=1", ",host=64,vary"]:
        for block in ["1", "64", "100", "250", "1000"]:
            found = measured(run("latency", "-i", "sim:loop" + host, "-o", "sim:loop" + host,
                                 "-b", block, "--fast", "--json", "--strict"))
            equal((found["agrees"], found["difference_frames"], found["inverted"]),
                  (True, 0, False), f"blocks of {block} with {host!r}")
            check(found["clarity_db"] > 60 and abs(found["gain_db"]) < 0.1, found)
            equal(found["block_frames"], int(block))


@test
def other_rates_and_longer_times_give_the_same():
    for rate in ["8000", "44100", "192000"]:
        found = measured(run("latency", "-i", "sim:loop", "-o", "sim:loop", "-r", rate, "--fast",
                             "--json", "-b", "64", "-t", "5"))
        equal((found["rate_hz"], found["agrees"], found["measured_frames"]),
              (int(rate), True, 128))


@test
def people_are_told_in_words():
    said = run("latency", "-i", "sim:loop", "-o", "sim:loop", "--fast", "-b", "100")
    check(re.match(r"measured   200 frames, 4\.167 ms at 48000 Hz\n"
                   r"reported   200 frames, 4\.167 ms: in 100 \+ out 100 \+ adapter 0\n"
                   r"they agree\n", said.out), said.out)


@test
def without_a_way_back_it_is_one_clear_line():
    for source in ["sim:voice", "sim:noise", "sim:silence", "null:"]:
        said = one_line(run("latency", "-i", source, "-o", "sim:", "--fast", status=1))
        check("nothing came back" in said and "connected" in said, said)


@test
def what_makes_no_sense_is_refused():
    for arguments, what in [(["x"], "one word too many"), (["-t", "0.1"], "too short"),
                            (["-i", "x.wav"], "recording"), (["-f", "s16"], "no such option"),
                            (["-b", "0"], "-b 0")]:
        equal(what in one_line(run("latency", "-i", "sim:loop", "-o", "sim:loop", "--fast",
                                   *arguments, status=2)), True, f"{arguments}")
    said = one_line(run("latency", "-i", "sim:nosuch", "-o", "sim:", status=2))
    check("nosuch" in said, said)


@test
def sound_that_breaks_again_and_again_is_given_up():
    broken = "sim:loop,jitter=2ms"
    said = one_line(run("latency", "-i", broken, "-o", broken, "-b", "16", "--fast", status=1))
    check("breaks too often" in said, said)


@test
def one_break_is_survived():
    found = measured(run("latency", "-i", "sim:loop,xrun=1s", "-o", "sim:loop,xrun=1s", "--fast",
                         "--json"))
    equal((found["restarts"], found["agrees"]), (1, True))


# ---- JACK ---------------------------------------------------------------------------------------


class Jack:
    def __init__(self, period):
        self.environment = ENVIRONMENT | {"JACK_DEFAULT_SERVER": f"takt-latency-{os.getpid()}",
                                          "JACK_NO_AUDIO_RESERVATION": "1"}
        self.programs = []
        self.start("jackd", "-R", "-n", self.environment["JACK_DEFAULT_SERVER"], "-d", "dummy",
                   "-r", "48000", "-p", str(period))
        equal(self.tool("jack_wait", "-w", "-t", "20").returncode, 0, "jackd is there")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in reversed(self.programs):
            program.terminate()
            program.communicate()

    def start(self, *command):
        self.programs.append(subprocess.Popen(command, env=self.environment, text=True,
                                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                              stderr=subprocess.PIPE))
        return self.programs[-1]

    def tool(self, *command):
        return subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=30)

    def connect(self, *ports):
        """As soon as the ports are there."""
        for _ in range(500):
            said = self.tool("jack_connect", *ports)
            if said.returncode == 0:
                return
            time.sleep(0.02)
        ended = [(p.args, p.communicate()) for p in self.programs if p.poll() is not None]
        raise AssertionError(f"cannot connect {ports}: {said.stderr}; ended: {ended}")

    def through(self, ports, delay):
        """A way from one port to the other, that many frames long; None: straight."""
        if delay is None:
            self.connect(*ports)
            return
        self.connect(ports[0], "delay:in_1")
        self.connect("delay:out_1", ports[1])

    def takt(self, block, delay):
        program = self.start(TAKT, "latency", "-i", "jack:none", "-o", "jack:none", "-b",
                             str(block), "--json")
        self.through(("takt:out_1", "takt:in_1"), delay)
        out, err = program.communicate(timeout=60)
        equal((program.returncode, err), (0, ""))
        return strict_json(out.splitlines()[-1])

    def iodelay(self, delay):
        program = self.start("stdbuf", "-oL", "jack_iodelay")
        self.through(("jack_delay:out", "jack_delay:in"), delay)
        seen = []
        for line in program.stdout:
            found = re.match(r"\s*([0-9.]+) frames .* total roundtrip latency", line)
            seen += [float(found[1])] if found else []
            if len(seen) >= 3 and len(set(seen[-3:])) == 1:
                program.kill()
                return seen[-1]
        raise AssertionError(f"jack_iodelay found nothing: {seen}")


@test
def it_agrees_with_jack_iodelay_to_the_frame():
    if not PROBE:
        raise Skip("built without jack")
    needs("jackd")
    needs("jack_iodelay")
    for period, blocks in [(64, [64, 100]), (256, [256, 64])]:
        with Jack(period) as jack:
            for delay in [None, 0, 1, 777, 20011]:
                if delay is not None:
                    probe = jack.start(PROBE, "delay", "delay", str(delay))
                    equal(probe.stdout.readline(), "ready\n")
                theirs = jack.iodelay(delay)
                for block in blocks:
                    ours = jack.takt(block, delay)
                    equal(ours["measured_frames"] - ours["reported_frames"]["adapter"], theirs,
                          f"a way of {delay} frames, a period of {period}, blocks of {block}")
                if delay is not None:
                    probe.kill()
                    probe.wait()


@test
def ctrl_c_ends_it_without_a_result():
    if not PROBE:
        raise Skip("built without jack")
    needs("jackd")
    with Jack(256) as jack:
        program = jack.start(TAKT, "latency", "-i", "jack:none", "-o", "jack:none", "-t", "60")
        jack.connect("takt:out_1", "takt:in_1")
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=30)
        equal((program.returncode, out, err),
              (1, "", "takt: latency: ended before there was a result\n"))


# ---- PipeWire -----------------------------------------------------------------------------------


@test
def pipewires_sink_and_its_monitor_are_as_far_apart_as_reported():
    for program in ("pipewire", "wireplumber", "dbus-daemon"):
        needs(program)
    if "pipewire" not in sys.argv:
        raise Skip("built without pipewire")
    for options, block in [([], 64), ([], 100), (["-p", "256"], 256), (["-p", "256"], 64)]:
        said = subprocess.run([os.path.join(ROOT, "tools", "with-pipewire"), *options, TAKT,
                               "latency", "-b", str(block), "--json"], env=ENVIRONMENT,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        equal((said.returncode, said.stderr), (0, ""))
        found = strict_json(said.stdout.splitlines()[-1])
        equal((found["agrees"], found["difference_frames"], found["block_frames"]),
              (True, 0, block), f"{found}")


tests_done()
