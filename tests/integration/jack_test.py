#!/usr/bin/env python3
"""
jack_test.py - the jack backend against a real jackd with its dummy driver.

    jack_test.py TAKT ROOT JACK_PROBE RETURN_PROBE
"""
import os
import signal
import subprocess
import sys
import time

from program import (ENVIRONMENT, TAKT, check, equal, near, needs, one_line, run, strict_json, test,
                     tests_done, unless_stalled)

ROOT, PROBE, RETURN_PROBE = (os.path.abspath(path) for path in sys.argv[2:5])
PERIOD = 64


class Server:
    """A jackd of our own, told apart by its name; killed at the end, whatever state it is in."""

    def __init__(self, block=PERIOD, rate_hz=48000, name=None):
        needs("jackd")
        self.block, self.rate_hz = block, rate_hz
        self.name = name or f"takt-test-{os.getpid()}"
        self.environment = {"JACK_DEFAULT_SERVER": self.name, "JACK_NO_AUDIO_RESERVATION": "1"}
        self.started = []

    def __enter__(self):
        self.begin()
        return self

    def begin(self):
        self.process = subprocess.Popen(
            ["jackd", "-R", "-P", "70", "-n", self.name, "-d", "dummy", "-r", str(self.rate_hz),
             "-p", str(self.block)], env=ENVIRONMENT | self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        equal(subprocess.run(["jack_wait", "-s", self.name, "-w", "-t", "20"],
                             env=ENVIRONMENT | self.environment, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL).returncode, 0, "jackd is there")

    def end(self, sign=signal.SIGTERM):
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(sign)
        self.process.wait()

    def __exit__(self, *_):
        for program in self.started:
            program.kill()
            program.communicate()
        # One that was killed stays in JACK's table of eight, until its like has ended well.
        if self.process.poll() is not None:
            self.begin()
        self.end()

    def start(self, *command, **more):
        program = subprocess.Popen(command, **{"stdin": subprocess.DEVNULL, **more},
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=ENVIRONMENT | self.environment)
        self.started.append(program)
        return program

    def takt(self, *arguments):
        """Started, and its stream running. A server that stalls with its machine refuses clients."""
        for _ in range(5):
            program = self.start(TAKT, *arguments, "--json")
            line = program.stdout.readline()
            if line:
                program.first = strict_json(line)
                return program
            said = program.stderr.read()
            check("no server to be reached" in said, f"takt {arguments} said nothing but {said!r}")
            check(self.process.poll() is None, f"jackd has ended with {self.process.returncode}")
            time.sleep(2)
        raise AssertionError(f"takt {arguments} said five times {said!r}")

    def run(self, *arguments, **more):
        return run(*arguments, environment=self.environment, **more)

    def tool(self, *command):
        return subprocess.run(command, env=ENVIRONMENT | self.environment, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=30)


def summary_of(program, timeout=30):
    out, err = program.communicate(timeout=timeout)
    equal(program.returncode, 0, err)
    return strict_json(out.splitlines()[-1]), err


def round_trip(server, client):
    """The one delay that all of ten clicks had, through that client and back, in frames."""
    said = server.tool(PROBE, "measure", f"{client}:in_1", f"{client}:out_1")
    equal(said.returncode, 0, said.stderr)
    delays = set(said.stdout.split())
    equal(len(delays), 1, f"delays {delays}")
    return int(delays.pop())


@test
def a_matching_block_adds_no_frame_and_any_other_what_is_reported():
    with Server() as server:
        thru = server.start(PROBE, "thru", "thru")
        equal(thru.stdout.readline(), "ready\n")
        native = unless_stalled(lambda: round_trip(server, "thru"))
        thru.kill()
        for block in [PERIOD, PERIOD // 2, 4 * PERIOD, 100, 1, 1000]:
            takt = server.takt("run", "jack:none", "jack:none", "-c", "1", "-b", str(block))
            measured = unless_stalled(lambda: round_trip(server, "takt"))
            takt.send_signal(signal.SIGINT)
            summary, err = summary_of(takt)
            equal(err, "")
            equal((summary["block_frames"], summary["host_block_frames"]), (block, PERIOD))
            adapter = summary["latency_frames"]["adapter"]
            equal(measured - native, adapter, f"frames added by blocks of {block}")
            equal(adapter == 0, PERIOD % block == 0, f"adapter {adapter} for {block}")


@test
def the_servers_ports_are_devices():
    with Server() as server:
        devices = {d["id"]: d for d in server.run("devices", "--json").lines()[:-1]}
        device = devices["jack:"]
        equal([device[k] for k in ("backend", "in_channels_max", "out_channels_max",
                                   "rate_hz_default", "rate_hz_min", "rate_hz_max",
                                   "block_frames_default", "default_in", "default_out")],
              ["jack", 2, 2, 48000, 48000, 48000, PERIOD, True, True])
        check("jack:system" in devices, devices.keys())
        said = one_line(server.run("meter", "jack:nobody", status=1))
        check("nobody" in said and "no such client" in said, said)
        said = one_line(server.run("meter", "jack:", "-r", "44100", "-t", "1", status=1))
        check("48000" in said, said)
        said = one_line(server.run("meter", "jack:", "-c", "5", "-t", "1", status=1))
        check("2" in said, said)


@test
def without_a_server_it_is_one_clear_line_and_no_device():
    needs("jackd")
    nowhere = {"JACK_DEFAULT_SERVER": f"takt-nowhere-{os.getpid()}"}
    said = one_line(run("run", "jack:", "jack:", "-t", "1", environment=nowhere, status=1))
    check("no server" in said and "start jackd" in said, said)
    listed = run("devices", "--json", environment=nowhere)
    equal((listed.err, [d for d in listed.lines() if d.get("backend") == "jack"]), ("", []))


@test
def the_thread_is_real_time_and_the_sound_comes_through():
    with Server(block=256) as server:
        player = server.takt("run", "sim:tone=1000", "jack:none", "-c", "1", "-t", "20")
        tries = []

        def is_heard():
            summary, err = summary_of(server.takt("meter", "jack:takt", "-c", "1", "-t", "2"))
            tries.append((summary["sched"]["policy"], err))
            # A period that a stall costs is a hole; a wrong gain or channel is 3 dB or more.
            near(summary["channels"][0]["rms_dbfs"], -9.03, 0.5, "RMS of half of full scale")

        unless_stalled(is_heard)
        equal(set(tries), {("fifo", "")}, "policy and stderr of every try")
        check(player.poll() is None, "the player has ended")


@test
def an_input_of_another_clock_is_bridged():
    with Server(block=256) as server:
        for source, sink in [("sim:tone=1000,ppm=300", "jack:none"),
                             ("jack:takt", "sim:,ppm=-300")]:
            player = server.takt("run", "sim:tone=1000", "jack:none", "-c", "1", "-t", "120") \
                if source == "jack:takt" else None
            tries = []

            def is_bridged():
                bridged = server.takt("run", source, sink, "-c", "1", "-t", "8")
                summary, err = summary_of(bridged)
                tries.append((summary["ended_by"], err))
                bridge = summary["bridge"]
                # What the two clocks really are apart has stalls of this machine in it.
                near(bridge["drift_ppm"], 300, 250, "drift")
                check(bridge["frames"] > 0 and bridge["gaps"] <= 5, bridge)
                near(summary["channels"][0]["rms_dbfs"], -9.03, 0.8, "RMS, with the gaps")

            unless_stalled(is_bridged)
            equal(set(tries), {("length", "")}, "end and stderr of every try")
            if player:
                player.kill()


@test
def a_freewheeling_server_keeps_no_deadlines():
    with Server(block=256) as server:
        takt = server.takt("run", "jack:none", "jack:none", "-c", "1", "-t", "60")
        equal(server.tool("jack_freewheel", "y").returncode, 0)
        summary, _ = summary_of(takt, timeout=45) # a minute of frames takes far less
        server.tool("jack_freewheel", "n")
        equal((summary["ended_by"], summary["seconds"]), ("length", 60.0))
        check(summary["blocks"] < 60 * 48000 / 256, "deadlines were recorded")


@test
def a_killed_server_is_survived_and_found_again():
    with Server() as server:
        takt = server.takt("run", "jack:", "jack:", "-t", "6", "-b", "64", "-v")
        time.sleep(1)
        server.end(signal.SIGKILL)
        time.sleep(1.5)
        check(takt.poll() is None, "takt has ended")
        server.begin()
        summary, err = summary_of(takt)
        equal([summary["events"][k] for k in ("device_lost", "device_back")], [1, 1])
        equal((summary["ended_by"], summary["seconds"]), ("length", 6.0))
        check("the device is away" in err and "the device is back" in err, err)


@test
def a_server_that_comes_back_at_another_rate_stays_away_and_that_is_said_once():
    with Server() as server:
        takt = server.takt("run", "jack:", "jack:", "-t", "9", "-b", "64")
        time.sleep(1)
        for rate_hz in (44100, 48000):
            server.end(signal.SIGKILL)
            server.rate_hz = rate_hz
            server.begin()
            time.sleep(2.5)
        summary, err = summary_of(takt)
        equal([summary["events"][k] for k in ("device_lost", "device_back")], [1, 1], err)
        equal(err.count("the server is back at 44100 Hz"), 1, err)
        equal((summary["seconds"], summary["rate_hz"]), (9.0, 48000))


@test
def a_server_with_periods_of_a_quarter_of_a_second_is_not_away():
    with Server(block=4096, rate_hz=16000) as server:
        summary, err = summary_of(server.takt("run", "jack:", "jack:", "-t", "3"))
        equal((summary["events"]["device_lost"], summary["seconds"], err), (0, 3.0, ""))


@test
def loss_and_return_show_within_a_second_and_leave_the_heap_as_it_was():
    with Server(block=256) as server:
        # Without caches of freed blocks, which the heap counts as held.
        server.environment["GLIBC_TUNABLES"] = "glibc.malloc.tcache_count=0"
        probe = server.start(RETURN_PROBE, "jack:", stdin=subprocess.PIPE)

        def until(condition):
            began = time.monotonic()
            while True:
                probe.stdin.write("\n")
                probe.stdin.flush()
                now = strict_json(probe.stdout.readline())
                if condition(now):
                    return time.monotonic() - began, now["heap"]
                check(time.monotonic() - began < 20, f"it stays at {now}")
                time.sleep(0.01)

        until(lambda now: now["running"])
        held = []
        for times in range(1, 7):
            server.end(signal.SIGKILL)
            took, _ = until(lambda now: now["lost"] == times and not now["running"])
            near(took, 0, 1, "seconds until the loss shows")
            server.begin()
            took, _ = until(lambda now: now["back"] == times and now["running"])
            near(took, 0, 1, "seconds until the server is used again")
            time.sleep(0.3)
            held.append(until(lambda now: True)[1])
        near(held[-1], held[1], 2048, f"heap after the last return and after the second; {held}")


@test
def changes_of_the_list_are_told_as_they_happen():
    with Server() as server:
        watch = server.start(TAKT, "devices", "--watch", "--json")

        def next_of(backend):
            for line in watch.stdout:
                change = strict_json(line)
                if change.get("backend") == backend:
                    return change["change"], change["id"]

        equal([next_of("jack"), next_of("jack")], [("added", "jack:"), ("added", "jack:system")])
        equal(next_of("null"), ("added", "null:"))
        thru = server.start(PROBE, "thru", "thru")
        equal(next_of("jack"), ("added", "jack:thru"))
        thru.kill()
        equal(next_of("jack"), ("removed", "jack:thru"))
        server.end(signal.SIGKILL)
        equal({next_of("jack"), next_of("jack")}, {("removed", "jack:"), ("removed", "jack:system")})
        equal(next_of("sim"), ("default", "sim:voice"))
        server.begin()
        equal({next_of("jack"), next_of("jack")}, {("added", "jack:"), ("added", "jack:system")})
        server.process.send_signal(signal.SIGSTOP)
        watch.send_signal(signal.SIGINT)
        equal(watch.wait(timeout=15), 0)
        equal(strict_json(watch.stdout.read().splitlines()[-1])["type"], "summary")


@test
def a_server_that_hangs_holds_up_neither_the_clock_nor_the_end():
    with Server() as server:
        takt = server.takt("run", "jack:", "jack:", "-t", "3", "-b", "64")
        server.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        summary, err = summary_of(takt)
        check(time.monotonic() - began < 15, "it took too long")
        equal([summary["events"][k] for k in ("device_lost", "device_back")], [1, 0])
        equal(summary["seconds"], 3.0)
        began = time.monotonic()
        said = one_line(server.run("meter", "jack:", "-t", "1", status=1))
        check("does not answer" in said, said)
        equal([d for d in server.run("devices", "--json").lines() if d.get("backend") == "jack"],
              [])
        check(time.monotonic() - began < 20, "it took too long")


@test
def a_block_that_the_server_changes_leaves_ours_as_it_is():
    with Server() as server:
        takt = server.takt("run", "jack:none", "jack:none", "-c", "1", "-b", "128")
        for block in [256, 32, 128]:
            equal(server.tool("jack_bufsize", str(block)).returncode, 0)
            time.sleep(0.3)
            native = block  # a loop of one client takes one period
            equal(round_trip(server, "takt"), native + (128 - block if block < 128 else 0),
                  f"through a host block of {block}")
        takt.send_signal(signal.SIGINT)
        summary, _ = summary_of(takt)
        equal((summary["block_frames"], summary["host_block_frames"]), (128, 128))
        equal(summary["latency_frames"]["adapter"], 0)


tests_done()
