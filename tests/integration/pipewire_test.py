"""PipeWire: a server of the test's own, with a null sink; what it carries, and what it may do to us."""
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time

from program import (ENVIRONMENT, TAKT, TIMEOUT_S, Skip, check, equal, near, needs, one_line, run,
                     strict_json, test, tests_done, unless_stalled)

WITH_PIPEWIRE = os.path.abspath(os.path.join(sys.argv[2], "tools", "with-pipewire"))
PROBE, RETURN_PROBE, CLICK_PROBE = (os.path.abspath(path) for path in sys.argv[3:6])
TONE_DBFS = -9.03  # a sine at half of full scale
SINK = "pipewire:takt-null"


class Session:
    """A PipeWire session, and runs in it."""

    def __init__(self, environment):
        self.environment = environment
        self.server = int(environment["PIPEWIRE_PID"])

    def run(self, *arguments, **more):
        return run(*arguments, environment=self.environment, **more)

    def tool(self, *arguments):
        return subprocess.run(arguments, env=self.environment, stdin=subprocess.DEVNULL, check=True,
                              capture_output=True, timeout=TIMEOUT_S).stdout.decode()

    @contextlib.contextmanager
    def running(self, *arguments):
        """takt in the background; its events come as lines on stderr."""
        took = subprocess.Popen([TAKT, *arguments, "-v", "--json"], env=self.environment,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        try:
            yield Running(took)
        finally:
            took.kill()
            took.communicate()

    @contextlib.contextmanager
    def server_again(self):
        """A new server under the same folder."""
        server = subprocess.Popen(["pipewire"], env=self.environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            server.kill()
            server.wait()


class Running:
    def __init__(self, process):
        self.process, self.said = process, []

    def until(self, what):
        """Reads its messages until one that matches."""
        for line in self.process.stderr:
            self.said.append(line)
            if re.search(what, line):
                return
        raise AssertionError(f"it never said {what!r}, but {self.said}")

    def end(self):
        """Its summary, once it has ended by itself."""
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        self.said += err.splitlines(keepends=True)
        equal(self.process.returncode, 0, f"exit status; it said {self.said}")
        return strict_json(out.splitlines()[-1])

    def time_of(self, what):
        """When it said so, by its own clock."""
        for line in self.said:
            if what in line:
                return float(re.match(r"takt: ([0-9.]+) s:", line)[1])
        raise AssertionError(f"it never said {what!r}, but {self.said}")


@contextlib.contextmanager
def session(*options):
    for program in ("pipewire", "pw-link", "pw-cli", "pw-metadata", "wireplumber", "dbus-daemon"):
        needs(program)
    holder = subprocess.Popen(
        [WITH_PIPEWIRE, *options, sys.executable, "-c",
         "import json, os, sys; print(json.dumps(dict(os.environ)), flush=True); sys.stdin.read()"],
        env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        line = holder.stdout.readline()
        check(line, "tools/with-pipewire gave no session")
        yield Session(json.loads(line))
    finally:
        holder.communicate(timeout=TIMEOUT_S)


def probe(s, *arguments):
    said = json.loads(s.tool(PROBE, *arguments))
    check(said["of"] >= 20 and said["agree"] > said["of"] / 2, f"too few impulses agree: {said}")
    return said


def tone_file(seconds, rate=48000):
    run("run", "sim:tone", "tone.wav", "-c", "2", "-t", str(seconds), "-r", str(rate), "--fast")
    return "tone.wav"


def is_real_time_allowed():
    return subprocess.run(["chrt", "-f", "1", "true"], capture_output=True).returncode == 0


@test
def devices_are_the_default_the_sink_and_its_monitor():
    for options in ([], ["-n"]):
        with session(*options) as s:
            said = s.run("devices", "--json")
            found = {d["id"]: d for d in said.lines() if d.get("backend") == "pipewire"}
            equal(sorted(found), ["pipewire:", SINK, SINK + ".monitor"])
            equal(said.err, "")
            equal((found[SINK]["in_channels_max"], found[SINK]["out_channels_max"]), (0, 2))
            monitor = found[SINK + ".monitor"]
            equal((monitor["in_channels_max"], monitor["out_channels_max"]), (2, 0))
            default = found["pipewire:"]
            check(default["default_in"] and default["default_out"], "it is no default")
            equal(default["rate_hz_default"], 48000)
            equal(default["block_frames_default"], 64)
            near(default["latency_low_s"], 64 / 48000, 1e-6, "latency")
            equal(found[SINK]["description"], "takt's null sink")


@test
def session_of_another_rate_and_quantum_is_told_as_it_is():
    with session("-p", "256", "-r", "44100") as s:
        d = s.run("devices", SINK, "--json").lines()[0]
        equal((d["rate_hz_default"], d["block_frames_default"]), (44100, 256))
        said = s.run("run", SINK, SINK, "-t", "0.5", "--json").summary()
        equal((said["rate_hz"], said["host_block_frames"]), (44100, 256))


@test
def no_server_is_no_device_and_nothing_to_say():
    os.mkdir("nowhere", 0o700)
    alone = {"PIPEWIRE_RUNTIME_DIR": os.path.abspath("nowhere")}
    said = run("devices", "--json", environment=alone)
    check(not [d for d in said.lines() if d.get("backend") == "pipewire"], "a device of no server")
    equal(said.err, "")
    check("no server answers" in one_line(run("run", "pipewire:", "null:", "-t", "1", status=1,
                                              environment=alone)), "what is wrong is not said")


@test
def unknown_name_is_one_clear_line():
    with session() as s:
        equal(one_line(s.run("run", "pipewire:nosuch", "null:", "-t", "1", status=1)),
              "takt: run: pipewire:nosuch: there is no such sink or source; see takt devices\n")


@test
def hung_server_is_told_of_in_time():
    with session() as s:
        os.kill(s.server, signal.SIGSTOP)
        try:
            said = s.run("devices", "--json", timeout=20)
            check(not [d for d in said.lines() if d.get("backend") == "pipewire"], "it answered")
            equal(said.err, "")
            check("does not answer" in one_line(s.run("run", SINK, "null:", "-t", "1", status=1,
                                                      timeout=20)), "what is wrong is not said")
        finally:
            os.kill(s.server, signal.SIGCONT)


@test
def block_of_the_quantum_adds_nothing_to_a_native_client():
    for options in ([], ["-n"]):
        with session(*options) as s:
            native, ours = probe(s, "native", "takt-null"), probe(s, "takt", "takt-null", "64")
            equal(native["block"], 64)
            equal((ours["host_block"], ours["adapter"]), (64, 0))
            equal(ours["took"], native["took"], "frames by the sink and back")
            equal(ours["in"] + ours["out"], ours["took"], "what is reported of it")


@test
def block_that_is_no_quantum_adds_what_is_reported():
    with session() as s:
        s.tool("pw-metadata", "-n", "settings", "0", "clock.force-quantum", "64")
        native = probe(s, "native", "takt-null")
        for block in (16, 96, 128, 441, 1024):
            ours = probe(s, "takt", "takt-null", str(block))
            equal((ours["block"], ours["host_block"]), (block, 64))
            check(ours["adapter"] > 0 or 64 % block == 0, f"a block of {block} for nothing?")
            equal(ours["took"], native["took"] + ours["adapter"], f"a block of {block}")


@test
def quantum_follows_the_block_and_the_latency_that_are_asked_for():
    with session() as s:
        for wish, quantum in ((["-b", "256"], 256), (["-b", "32"], 32), (["--latency", "high"], 2048),
                              (["--latency", "0.0107"], 512)):
            said = s.run("run", SINK, SINK, "-t", "0.3", "--json", *wish).summary()
            equal(said["host_block_frames"], quantum, f"{wish}")


@test
def quantum_that_changes_under_a_stream_keeps_its_block():
    with session() as s, s.running("run", SINK, SINK, "-b", "64", "-t", "3") as r:
        r.until("started")
        s.tool("pw-metadata", "-n", "settings", "0", "clock.force-quantum", "256")
        r.until("block is 256 frames from now on")
        said = r.end()
        equal((said["block_frames"], said["host_block_frames"], said["frames"]), (64, 256, 144000))


@test
def graph_at_another_rate_is_away_until_it_is_back():
    with session() as s, s.running("run", SINK, SINK, "-b", "256", "-t", "4") as r:
        r.until("started")
        s.tool("pw-metadata", "-n", "settings", "0", "clock.force-rate", "44100")
        r.until("the device is away")
        s.tool("pw-metadata", "-n", "settings", "0", "clock.force-rate", "48000")
        r.until("the device is back")
        equal(r.end()["frames"], 4 * 48000)


@test
def thread_is_real_time():
    if not is_real_time_allowed():
        raise Skip("no real-time here")
    with session() as s:
        for way in ([SINK, SINK], [SINK, "null:"], [tone_file(1), SINK]):
            said = s.run("run", *way, "-b", "64", "-t", "0.5", "--json").summary()
            equal(said["sched"]["policy"], "fifo", f"{way}")
            said = s.run("run", *way, "-t", "0.5", "--priority", "off", "--json").summary()
            equal(said["sched"]["policy"], "other", f"{way} with priority off")


def hears_the_tone(s, *listen):
    """At the monitor, or as listen says, in the middle of a playback."""
    for line in s.run("run", SINK, "null:", *listen, "-b", "256", "-t", "1", "--json").lines():
        if line["type"] == "level" and line["time_s"] >= 0.5:
            for channel in line["channels"]:
                near(channel["block_rms_dbfs"], TONE_DBFS, 1, "level")
            return
    raise AssertionError("no level")


@test
def playback_is_heard_at_the_monitor():
    for options in ([], ["-n"]):
        with session(*options) as s, \
                s.running("run", tone_file(20), SINK, "-b", "256", "-t", "20") as r:
            r.until("started")
            time.sleep(0.3)
            unless_stalled(lambda: hears_the_tone(s))


@test
def one_channel_is_heard_from_both_ports():
    run("run", "sim:tone", "mono.wav", "-c", "1", "-t", "20", "--fast")
    for options in ([], ["-n"]):
        with session(*options) as s, s.running("run", "mono.wav", SINK, "-b", "256") as r:
            r.until("started")
            time.sleep(0.3)
            unless_stalled(lambda: hears_the_tone(s))


@test
def sound_is_heard_when_it_is_said_to_be_played_at_any_rate():
    with session("-p", "256") as s:
        for out_hz, in_hz in ((48000, 48000), (48000, 8000), (48000, 96000), (44100, 48000)):
            def is_in_time():
                said = subprocess.run([CLICK_PROBE, SINK, str(out_hz), SINK + ".monitor", str(in_hz)],
                                      env=s.environment, capture_output=True, text=True, timeout=30)
                equal(said.returncode, 0, said.stderr)
                # A quantum is 5333 us. The slower rate has frames of 125 us, and its filter a slope.
                near(float(said.stdout.split()[1]), 0, 300, f"us from {out_hz} to {in_hz} Hz")

            unless_stalled(is_in_time)


@test
def other_rate_one_way_is_converted_and_two_way_is_refused():
    with session() as s:
        with s.running("run", tone_file(20, 44100), SINK, "-b", "256") as r:
            r.until("started")
            time.sleep(0.3)
            unless_stalled(lambda: hears_the_tone(s, "-r", "32000"))
        said = s.run("run", tone_file(1, 44100), SINK, "-b", "100", "--json").summary()
        played = said["frames"] - said["contract"]["lost_frames"]
        equal((said["rate_hz"], played, said["block_frames"]), (44100, 44100, 100))
        check("set the rate to 48000" in one_line(s.run("run", SINK, SINK, "-r", "44100", status=1)),
              "what to do is not said")


def loses_its_server(source, sink, *options):
    """A run under whose feet the server is killed, and comes back."""
    seconds = 5
    with session(*options) as s, \
            s.running("run", source, sink, "-b", "256", "-t", str(seconds)) as r:
        r.until("started")
        time.sleep(1)
        os.kill(s.server, signal.SIGKILL)
        r.until("the device is away")
        time.sleep(1)
        with s.server_again():
            r.until("the device is back")
            said = r.end()
        equal(said["frames"], seconds * 48000)
        equal((said["events"]["device_lost"], said["events"]["device_back"]), (1, 1))
        return said


@test
def killed_server_is_missed_and_found_again():
    for options in ([], ["-n"]):
        loses_its_server(SINK, SINK, *options)
        loses_its_server(tone_file(5), SINK, *options)
        loses_its_server(SINK, "null:", *options)


@test
def loss_and_return_show_within_a_second():
    # The gain keeps what it hears from going round for ever.
    with session("-n") as s, \
            s.running("run", SINK, "gain=-200dB", SINK, "-b", "256", "-t", "30") as r:
        r.until("started")
        time.sleep(0.5)
        killed = time.monotonic()
        os.kill(s.server, signal.SIGKILL)
        r.until("the device is away")
        near(time.monotonic() - killed, 0, 1, "seconds until the loss shows")
        with s.server_again():
            while subprocess.run(["pw-link", "-i"], env=s.environment,
                                 capture_output=True).stdout.count(b"takt-null") != 2:
                time.sleep(0.01)
            returned = time.monotonic()
            r.until("the device is back")
            near(time.monotonic() - returned, 0, 1, "seconds until the sound is back")
            with s.running("run", tone_file(20), SINK, "-b", "256") as player:
                player.until("started")
                time.sleep(0.3)
                unless_stalled(lambda: hears_the_tone(s))


@test
def loss_and_return_leave_the_heap_as_it_was():
    with session("-n") as s:
        # Without caches of freed blocks, which the heap counts as held.
        environment = s.environment | {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
        probe = subprocess.Popen([RETURN_PROBE, SINK], env=environment, text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def until(condition):
            for _ in range(2000):
                probe.stdin.write("\n")
                probe.stdin.flush()
                now = strict_json(probe.stdout.readline())
                if condition(now):
                    return now["heap"]
                time.sleep(0.01)
            raise AssertionError(f"it stays at {now}")

        until(lambda now: now["running"])
        held = []
        with contextlib.ExitStack() as servers:
            os.kill(s.server, signal.SIGKILL)
            for times in range(1, 6):
                until(lambda now: now["lost"] == times and not now["running"])
                servers.enter_context(s.server_again())
                until(lambda now: now["back"] == times and now["running"])
                time.sleep(0.3)
                held.append(until(lambda now: True))
                servers.pop_all().close()
        probe.stdin.close()
        equal(probe.wait(timeout=15), 0)
        near(held[-1], held[1], 2048, f"heap after the last return and after the second; {held}")


@test
def changes_of_the_list_are_told_as_they_happen():
    with session() as s:
        watch = subprocess.Popen([TAKT, "devices", "--watch", "--json"], env=s.environment,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

        def next_of(backend):
            for line in watch.stdout:
                change = strict_json(line)
                if change.get("backend") == backend:
                    return change["change"], change["id"]

        equal({next_of("pipewire") for _ in range(3)},
              {("added", "pipewire:"), ("added", SINK), ("added", SINK + ".monitor")})
        equal(next_of("null"), ("added", "null:"))
        with second_sink(s):
            second = ["pipewire:second", "pipewire:second.monitor"]
            equal({next_of("pipewire") for _ in second}, {("added", id) for id in second})
        equal({next_of("pipewire") for _ in second}, {("removed", id) for id in second})
        os.kill(s.server, signal.SIGSTOP)
        watch.send_signal(signal.SIGINT)
        equal(watch.wait(timeout=15), 0)
        equal(strict_json(watch.stdout.read().splitlines()[-1])["type"], "summary")
        os.kill(s.server, signal.SIGCONT)


@test
def hung_server_does_not_hold_the_stop():
    for way in ([SINK, SINK], [SINK, "null:"], [tone_file(30), SINK]):
        with session() as s, s.running("run", *way, "-b", "256", "-t", "30") as r:
            r.until("started")
            time.sleep(0.3)
            os.kill(s.server, signal.SIGSTOP)
            try:
                r.until("the device is away")
                r.process.send_signal(signal.SIGINT)
                equal(r.process.wait(timeout=15), 0)
                checked = r.end()
                equal(checked["ended_by"], "user")
            finally:
                os.kill(s.server, signal.SIGCONT)


@test
def hung_server_that_goes_on_is_used_again():
    with session() as s, s.running("run", SINK, SINK, "-b", "256", "-t", "4") as r:
        r.until("started")
        os.kill(s.server, signal.SIGSTOP)
        r.until("the device is away")
        os.kill(s.server, signal.SIGCONT)
        r.until("the device is back")
        equal(r.end()["frames"], 4 * 48000)


@contextlib.contextmanager
def second_sink(s):
    """A sink beside takt-null, for as long as it is wanted."""
    maker = subprocess.Popen(["pw-cli"], env=s.environment, stdin=subprocess.PIPE, text=True,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        maker.stdin.write(
            "create-node adapter { factory.name=support.null-audio-sink node.name=second "
            "media.class=Audio/Sink audio.rate=48000 audio.channels=2 audio.position=\"FL,FR\" "
            "adapter.auto-port-config={ mode=dsp monitor=true position=preserve } }\n")
        maker.stdin.flush()
        while "second:playback_FR" not in s.tool("pw-link", "-i"):
            time.sleep(0.02)
        yield
    finally:
        maker.kill()  # the end of its input is nothing to it
        maker.communicate()


@test
def named_sink_that_is_unplugged_is_waited_for():
    for way in (["pipewire:second", "pipewire:second"], [tone_file(30), "pipewire:second"]):
        with session() as s, contextlib.ExitStack() as cable:
            cable.enter_context(second_sink(s))
            with s.running("run", *way, "-b", "256", "-t", "30") as r:
                r.until("started")
                check("second:playback_FL" in s.tool("pw-link", "-l"), "no link at all")
                cable.close()
                r.until("the device is away")
                time.sleep(0.5)
                check("takt-null:playback_FL" not in s.tool("pw-link", "-l"),
                      "it was switched to another device")
                with second_sink(s):
                    r.until("the device is back")
                    r.process.send_signal(signal.SIGINT)
                    equal(r.end()["ended_by"], "user")


@test
def default_is_followed():
    for way in (["pipewire:", "pipewire:"], [tone_file(30), "pipewire:"]):
        with session() as s, s.running("run", *way, "-b", "256", "-t", "30") as r:
            r.until("started")
            check("takt-null:playback_FL" in s.tool("pw-link", "-l"), "no link at all")
            with second_sink(s):
                s.tool("pw-metadata", "0", "default.configured.audio.sink", '{"name":"second"}',
                       "Spa:String:JSON")
                until = time.monotonic() + 20
                while True:
                    links = s.tool("pw-link", "-l", "-i")
                    ours = re.findall(r"(\S+):playback_\w+\n +\|<- takt:", links)
                    if set(ours) == {"second"}:
                        break
                    check(time.monotonic() < until, f"it stays where it was: {links}")
                    time.sleep(0.05)
                r.process.send_signal(signal.SIGINT)
                equal(r.end()["ended_by"], "user")


@test
def nothing_of_the_library_reaches_stderr():
    with session() as s:
        noisy = s.environment | {"PIPEWIRE_DEBUG": "3"}
        for way in ([SINK, SINK], [SINK, "null:"]):
            said = run("run", *way, "-t", "0.3", "--json", environment=noisy)
            equal(said.err, "")


tests_done()
