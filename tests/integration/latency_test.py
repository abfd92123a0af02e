"""
takt latency: what it measures, beside what is known, reported, or measured by jack_iodelay.

Usage: latency_test.py TAKT ROOT [JACK_PROBE]
"""
import os
import re
import signal
import subprocess
import sys
import time

from program import (ENVIRONMENT, TAKT, Skip, check, equal, near, needs, one_line, run, strict_json,
                     test, tests_done)

WITH_JACK, WITH_PIPEWIRE = (os.path.abspath(os.path.join(sys.argv[2], "tools", name))
                            for name in ("with-jack", "with-pipewire"))
PROBE = os.path.abspath(sys.argv[3]) if len(sys.argv) > 3 else None
LOOP = ["-i", "sim:loop", "-o", "sim:loop", "--fast"]


def measured(said):
    """The summary of a run that measured something; what must hold for all of them is checked."""
    equal(said["verdict"], "measured", said)
    parts = said["reported_frames"]
    equal(parts["host_in"] + parts["host_out"] + parts["adapter"], parts["total"])
    equal(said["difference_frames"], said["measured_frames"] - parts["total"])
    equal(said["agrees"], said["difference_frames"] == 0)
    near(said["measured_ms"], said["measured_frames"] * 1e3 / said["rate_hz"], 1e-5, "ms")
    check(said["snr_db"] > (20 if said["lost_frames"] else 40), said)
    return said


def agreed(said, what):
    check(measured(said)["agrees"], f"{what}: {said}")
    return said


# ---- Simulated -----------------------------------------------------------------------------------


@test
def simulated_loop_takes_what_it_reports_at_any_block():
    for block in (1, 7, 37, 64, 100, 441, 1000, 4096):
        said = agreed(run("latency", *LOOP, "-b", str(block), "--json").summary(), block)
        equal((said["block_frames"], said["measured_fraction"]), (block, 0))
        near(said["level_dbfs"], -20, 0.01, "level")


@test
def delay_of_a_path_is_what_it_takes_beyond_what_is_reported():
    for path, delay in (("delay=480", 480), ("delay=1", 1), ("delay=0", 0), ("delay=30000", 30000),
                        ("delay=4567,db=-40,noise=-60", 4567), ("delay=100,db=-6,noise=-20", 100)):
        for block in ("64", "77", "1000"):
            said = measured(run("latency", "-i", "sim:loop," + path, "-o", "sim:", "-b", block,
                                "--fast", "--json").summary())
            equal((said["difference_frames"], said["agrees"]), (delay, delay == 0), (path, block))
    # Signal 40 dB below the noise: not to be told from it, and never a wrong number.
    one_line(run("latency", "-i", "sim:loop,delay=480,db=-20,noise=0", "-o", "sim:", "--fast",
                 status=1))
    one_line(run("latency", "-i", "sim:loop,delay=40000", "-o", "sim:", "--fast", status=1))


@test
def adapter_is_measured_as_it_is_reported():
    added = set()
    for host in (1, 48, 64, 128, 480):
        for block in (1, 32, 64, 100, 441):
            device = f"sim:loop,host={host}"
            said = agreed(run("latency", "-i", device, "-o", device, "-b", str(block), "--fast",
                              "--json").summary(), (host, block))
            adapter = said["reported_frames"]["adapter"]
            equal(adapter == 0, host % block == 0, f"adapter {adapter} for {block} in {host}")
            added.add(adapter)
    check(len(added) > 5, added)


@test
def host_block_that_varies_is_measured_as_it_is_reported():
    for block in (64, 100, 256):
        device = "sim:loop,vary"
        agreed(run("latency", "-i", device, "-o", device, "-b", str(block), "--fast",
                   "--json").summary(), block)


@test
def any_rate_and_latency_is_measured():
    for wish in (["-r", "8000"], ["-r", "44100"], ["-r", "192000"], ["--latency", "high"],
                 ["--latency", "0.2"], ["-t", "0.1"], ["-t", "10"]):
        said = agreed(run("latency", *LOOP, *wish, "--json").summary(), wish)
        equal(said["clock"], "virtual")


@test
def text_says_it_in_a_few_lines():
    text = run("latency", *LOOP, "-b", "64").out
    equal(text, "sim:loop -> sim:loop, blocks of 64 at 48000 Hz\n"
                "  measured 128 frames (2.67 ms)\n"
                "  reported host in 64 + host out 64 + adapter 0 = 128 frames (2.67 ms)\n"
                "  they agree\n"
                "  signal   -20.0 dBFS, 200 dB above the rest\n")
    equal(run("latency", *LOOP, "-q").out, "")


@test
def simulated_default_is_the_loop_and_that_is_said():
    said = run("latency", "--fast", "--priority", "off", environment={
        "JACK_DEFAULT_SERVER": f"takt-nowhere-{os.getpid()}"})
    if "sim:loop" not in said.out:
        raise Skip("there is a sound card")
    check("no sound card in use" in said.err and "they agree" in said.out, said.err)


@test
def json_is_one_object_with_all_it_should_have():
    said = run("latency", *LOOP, "--json")
    equal((len(said.lines()), said.err), (1, ""))
    summary = said.summary()
    wanted = {"type", "verb", "version", "in", "out", "rate_hz", "block_frames", "verdict",
              "measured_frames", "measured_ms", "measured_fraction", "reported_frames", "agrees",
              "difference_frames", "level_dbfs", "snr_db"}
    equal(wanted - set(summary), set())
    equal(set(summary["reported_frames"]), {"host_in", "host_out", "adapter", "total"})
    equal((summary["verb"], summary["in"], summary["out"]), ("latency", "sim:loop", "sim:loop"))
    equal(run("latency", *LOOP, "--json").raw, said.raw, "a second run")


# ---- What goes wrong -----------------------------------------------------------------------------


@test
def nothing_that_comes_back_is_one_clear_line():
    equal(one_line(run("latency", "-i", "sim:silence", "-o", "sim:", "--fast", status=1)),
          "takt: latency: nothing came back; is the output connected with the input?\n")
    said = one_line(run("latency", "-i", "sim:noise", "-o", "sim:", "--fast", status=1))
    equal(said, "takt: latency: nothing came back but noise of -20.0 dBFS; is the output connected "
                "with the input?\n")
    said = run("latency", "-i", "sim:silence", "-o", "sim:", "--fast", "--json", status=1)
    summary = said.summary()
    equal((summary["verdict"], summary["agrees"]), ("silence", False))
    equal([summary[name] for name in ("measured_frames", "measured_ms", "measured_fraction",
                                      "difference_frames")], [None] * 4)
    check("nothing came back" in said.err, said.err)


@test
def it_goes_on_trying_for_as_long_as_it_is_told():
    began = time.monotonic()
    one_line(run("latency", "-i", "sim:silence", "-o", "sim:", "-t", "6", status=1))
    near(time.monotonic() - began, 6, 1.5, "seconds")


@test
def sound_that_is_not_ours_is_never_a_measurement():
    for scene in ("voice", "guitar", "tone", "sweep", "pink", "clicks"):
        said = run("latency", "-i", f"sim:{scene}", "-o", "sim:", "--fast", "--json", status=1)
        check(said.summary()["verdict"] in ("noise", "silence"), scene)


@test
def bad_arguments_are_usage():
    for wrong in (["word"], ["-b", "0"], ["-r", "5"], ["-c", "2"], ["-t", "x"], ["-f", "s16"]):
        one_line(run("latency", *LOOP, *wrong, status=2))
    check("nosuch" in one_line(run("latency", "-i", "sim:nosuch", "-o", "sim:", status=2)), "name")


@test
def it_ends_well_on_ctrl_c():
    program = subprocess.Popen([TAKT, "latency", "-i", "sim:silence", "-o", "sim:", "-t", "60"],
                               env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    time.sleep(1)
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=10)
    equal((program.returncode, out, err), (1, "", "takt: latency: stopped before the end\n"))


@test
def a_device_that_loses_frames_all_the_time_is_no_measurement():
    broken = "sim:loop,jitter=2ms"
    said = one_line(run("latency", "-i", broken, "-o", broken, "-b", "16", "--fast", status=1))
    check("loses frames too often" in said, said)


# ---- JACK ----------------------------------------------------------------------------------------


class Jack:
    """A JACK server with a client that delays between whatever is connected with it."""

    def __init__(self, block):
        for program in ("jackd", "jack_iodelay", "jack_connect"):
            needs(program)
        if not PROBE:
            raise Skip("built without JACK")
        self.holder = subprocess.Popen(
            [WITH_JACK, "-p", str(block), sys.executable, "-c", "import os, sys; "
             "print(os.environ['JACK_DEFAULT_SERVER'], flush=True); sys.stdin.read()"],
            env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        name = self.holder.stdout.readline().strip()
        check(name, "tools/with-jack gave no server")
        self.environment = {"JACK_DEFAULT_SERVER": name}
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in self.started:
            end(program)
        self.holder.communicate(timeout=20)

    def start(self, *command):
        program = subprocess.Popen(command, env=ENVIRONMENT | self.environment, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.started.append(program)
        return program

    def delay(self, *frames):
        program = self.start(PROBE, "delay", "delay", *map(str, frames))
        equal(program.stdout.readline(), "ready\n")
        return program

    def connect(self, from_port, to_port):
        """As soon as there are such ports."""
        for _ in range(100):
            done = subprocess.run(["jack_connect", from_port, to_port], capture_output=True,
                                  env=ENVIRONMENT | self.environment, timeout=20)
            if done.returncode == 0:
                return
            time.sleep(0.05)
        raise AssertionError(f"cannot connect {from_port} with {to_port}")

    def iodelay(self, of_a_link=False):
        """What jack_iodelay measures from its output through the client, or by a link alone, back
        to its input."""
        program = self.start("stdbuf", "-oL", "jack_iodelay")
        self.connect("jack_delay:out", "jack_delay:in" if of_a_link else "delay:in_1")
        if not of_a_link:
            self.connect("delay:out_1", "jack_delay:in")
        figures = []
        for line in program.stdout:
            if found := re.match(r" *([0-9.]+) frames .* total roundtrip latency(.*)", line):
                figures.append(float(found[1]) if "?" not in found[2] else None)
            if len(figures) >= 3 and figures[-1] and len(set(figures[-3:])) == 1:
                end(program)
                return figures[-1]
        raise AssertionError(f"jack_iodelay measures nothing but {figures}")

    def takt(self, *arguments):
        return run("latency", *arguments, "--json", environment=self.environment)


def end(program):
    program.kill()
    program.communicate()


@test
def it_agrees_with_jack_iodelay_to_the_frame():
    for block, delays in ((64, [0, 4567]), (1024, [1001])):
        with Jack(block) as server:
            for frames in delays:
                probe = server.delay(frames)
                theirs = server.iodelay()
                equal(theirs, block + frames, "what jack_iodelay measures")
                ours = measured(server.takt("-i", "jack:delay", "-o", "jack:delay").summary())
                equal((ours["host_block_frames"], ours["reported_frames"]["adapter"]), (block, 0))
                equal(ours["measured_frames"], theirs, f"blocks of {block}, a delay of {frames}")
                # The path reports nothing, so all that it takes is more than reported.
                equal((ours["agrees"], ours["difference_frames"]), (False, theirs))
                end(probe)


@test
def block_of_its_own_adds_to_jacks_path_what_the_adapter_reports():
    with Jack(64) as server:
        server.delay(100)
        theirs = server.iodelay()
        for block in (16, 100):
            ours = measured(server.takt("-i", "jack:delay", "-o", "jack:delay",
                                        "-b", str(block)).summary())
            equal(ours["measured_frames"], theirs + ours["reported_frames"]["adapter"], block)
            equal(ours["difference_frames"], theirs, block)


@test
def card_that_reports_its_latencies_agrees_and_one_that_is_wrong_is_told():
    with Jack(64) as server:
        probe = server.delay(200, 150, 114)
        said = agreed(server.takt("-i", "jack:delay", "-o", "jack:delay", "-b", "64",
                                  "--strict").summary(), "a card of 264 frames")
        equal([said["reported_frames"][k] for k in ("host_in", "host_out")], [114, 150])
        end(probe)
        for frames, words in ((217, "17 frames more"), (199, "1 frame less")):
            probe = server.delay(frames, 150, 114)
            arguments = ("latency", "-i", "jack:delay", "-o", "jack:delay")
            text = run(*arguments, environment=server.environment).out
            check(f"they disagree: {words} than reported" in text, text)
            said = run(*arguments, "--strict", status=3, environment=server.environment)
            equal(said.err, f"takt: latency: --strict: measured {frames + 64} frames, "
                            "reported 264\n")
            end(probe)


@test
def link_from_output_to_input_agrees_with_jack_iodelay_and_what_is_reported():
    for block in (64, 1024):
        with Jack(block) as server:
            takt = server.start(TAKT, "latency", "-i", "jack:none", "-o", "jack:none", "-t", "30",
                                "--json")
            server.connect("takt:out_1", "takt:in_1")
            out, err = takt.communicate(timeout=40)
            equal((takt.returncode, err), (0, ""))
            said = agreed(strict_json(out), f"a link in a graph of {block} frames")
            equal((said["measured_frames"], said["reported_frames"]["host_in"]), (block, block))
            equal(server.iodelay(of_a_link=True), block)


@test
def ports_that_are_connected_later_are_measured_with_what_they_report():
    with Jack(64) as server:
        server.delay(200, 150, 114)
        takt = server.start(TAKT, "latency", "-i", "jack:none", "-o", "jack:none", "-t", "30",
                            "--json")
        time.sleep(2)
        server.connect("takt:out_1", "delay:in_1")
        server.connect("delay:out_1", "takt:in_1")
        out, err = takt.communicate(timeout=40)
        equal((takt.returncode, err), (0, ""))
        said = agreed(strict_json(out), "what is connected later")
        equal(said["measured_frames"], 264)


# ---- PipeWire ------------------------------------------------------------------------------------


def in_pipewire(options, *arguments):
    for program in ("pipewire", "pw-link", "wireplumber", "dbus-daemon"):
        needs(program)
    done = subprocess.run([WITH_PIPEWIRE, *options, TAKT, "latency", *arguments, "--json"],
                          env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    equal(done.returncode, 0, done.stderr)
    return strict_json(done.stdout)


@test
def pipewire_takes_what_it_reports():
    for block in (64, 100, 256):
        said = agreed(in_pipewire([], "-b", str(block)), block)
        equal((said["in"], said["out"]), ("pipewire:", "pipewire:"))
        sink = ["-i", "pipewire:takt-null", "-o", "pipewire:takt-null"]
        agreed(in_pipewire(["-n"], *sink, "-b", str(block)), f"{block} without session manager")


tests_done()
