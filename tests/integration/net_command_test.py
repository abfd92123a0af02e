"""takt send, recv and key: what they take and refuse, what comes through, and what they say of it.

Usage: net_command_test.py TAKT SOURCE_ROOT
"""
import sys

sys.dont_write_bytecode = True

import math
import os
import random
import re
import signal
import socket
import stat
import struct
import subprocess
import time
import xml.etree.ElementTree as tree

import wav
from program import (ENVIRONMENT, TAKT, Said, check, equal, free_port, near, needs, one_line, run,
                     strict_json, test, tests_done, unless_stalled)
from screen import Screen

HTML = "{http://www.w3.org/1999/xhtml}"
NET = {"latency_ms", "target_ms", "late_ratio", "lost_ratio", "repaired_ratio", "concealed_ratio",
       "drift_ppm", "packets", "kbit_s", "round_trip_ms"}
ROOT = os.path.abspath(sys.argv[2])
chance = random.Random(7)


class Receiver:
    """takt recv, running until it has told that it listens and until it is stopped."""

    def __init__(self, port, *arguments, environment=None):
        self.arguments = ["recv", f"127.0.0.1:{port}", *arguments]
        self.process = subprocess.Popen([TAKT, *self.arguments], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=ENVIRONMENT | (environment or {}))
        needle = f"{port:04X}"
        for _ in range(500):  # until the kernel has its socket
            with open("/proc/net/udp", encoding="ascii") as file:
                if re.search(rf"^ *\d+: [0-9A-F]+:{needle} ", file.read(), re.M):
                    return
            if self.process.poll() is not None:
                return
            time.sleep(0.01)

    def end(self, status=0):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.returncode, out = None, self.process.communicate(timeout=60)
        return self._said(out, status)

    def wait(self, status=0):
        return self._said(self.process.communicate(timeout=60), status)

    def _said(self, out, status):
        done = subprocess.CompletedProcess(self.arguments, self.process.wait(), *out)
        said = Said(self.arguments, done)
        equal(said.status, status, f"exit status of takt {self.arguments}, which said {said.err!r}")
        return said


def over(port, send, recv, seconds="3"):
    """One sender and one receiver; what both said."""
    receiver = Receiver(port, "-t", seconds, *recv)
    sent = run("send", f"127.0.0.1:{port}", *send)
    return sent, receiver.wait()


def make_key(name="k"):
    run("key", "new", name, "-q")
    return name


def s24_noise(count, channels):
    return [tuple(chance.randrange(-2**22, 2**22) for _ in range(channels)) for _ in range(count)]


def common_run(sent, heard):
    """How many frames of sent are in heard, one after another without a fault, at the most."""
    width = 8
    places = {tuple(heard[i:i + width]): i for i in range(len(heard) - width)}
    best, at = 0, 0
    while at + width < len(sent):
        place = places.get(tuple(sent[at:at + width]))
        if place is None:
            at += width
            continue
        n = 0
        while at + n < len(sent) and place + n < len(heard) and sent[at + n] == heard[place + n]:
            n += 1
        best, at = max(best, n), at + n + 1
    return best


# ---- Options -------------------------------------------------------------------------------------


@test
def bad_values_are_one_clear_line():
    for verb, option, value in [
            ("send", "--codec", "mp3"), ("send", "--ptime", "0"), ("send", "--ptime", "x"),
            ("send", "--bitrate", "1k"), ("send", "--red", "4"), ("send", "--repair", "8"),
            ("send", "--repair", "8+13"), ("send", "--ttl", "256"), ("send", "--dscp", "64"),
            ("send", "--rotate", "0.5"), ("send", "--raw", "u8"), ("send", "--sdp", ""),
            ("recv", "--latency", "12"), ("recv", "--latency", "3s"), ("recv", "--late", "60%"),
            ("recv", "--max-latency", "0ms"), ("recv", "--mix", "17"), ("recv", "--format", "97")]:
        words = ["127.0.0.1:9"] if verb == "send" else []
        said = run(verb, *words, option, value, status=2)
        check(f"takt: {verb}: {option}" in one_line(said), said.err)


@test
def what_cannot_be_together_is_told():
    make_key()
    for arguments, wanted in [
            (["send"], "something is missing"),
            (["send", "127.0.0.1:9", "--sdes"], "add --sdp"),
            (["send", "127.0.0.1:9", "--plain", "--key-file", "k"], "only one of them"),
            (["send", "127.0.0.1:9", "-i", "sim:voice", "--raw", "s16"], "add -i -"),
            (["recv", "--key-file", "k", "--passphrase"], "only one of them"),
            (["recv", "--latency", "9ms", "--late", "1%"], "only one of them"),
            (["recv", "--raw", "s16"], "add -o -"),
            (["recv", "1", "2"], "one word too many"),
            (["key"], "something is missing"),
            (["key", "mew", "x"], "did you mean new?"),
            (["key", "new"], "something is missing")]:
        check(wanted in one_line(run(*arguments, status=2)), arguments)


@test
def what_is_no_file_is_told_and_left_as_it_is():
    os.mkdir("folder")
    os.mkfifo("pipe", 0o600)
    os.symlink("/dev/null", "device")
    send = ["send", "127.0.0.1:9", "-i", "sim:voice", "-t", "0.1"]
    recv = ["recv", f"127.0.0.1:{free_port()}", "-o", "null:", "-t", "0.1"]
    for name, reads, writes in [
            ("folder", "Is a directory", "Is a directory"),
            ("device", "it is not a plain file", "it is not a plain file"),
            ("pipe", "nothing came from this pipe", "it is not a plain file"),
            ("nosuch/file", "No such file", "No such file")]:
        for arguments in ([*send, "--key-file", name], [*send, "--passphrase-file", name],
                          [*recv, "--key-file", name], [*recv, "--sdp", name],
                          ["key", "check", name], ["sim", "net", "--trace", name]):
            if name != "pipe" or arguments[0] in ("key", "sim"):  # for seconds, each
                check(f"{name}: {reads}" in one_line(run(*arguments, status=1)), arguments)
        check(f"{name}: {writes}" in one_line(run(*send, "--sdp", name, status=1)), name)
        one_line(run(*recv, "--html", name, status=1))
        one_line(run("key", "new", name, status=1))
    equal(os.readlink("device"), "/dev/null")
    check(stat.S_ISCHR(os.stat("device").st_mode) and stat.S_ISFIFO(os.stat("pipe").st_mode),
          "they are others now")


@test
def a_key_may_come_through_a_pipe():
    make_key()
    os.mkfifo("pipe", 0o600)
    with subprocess.Popen(["sh", "-c", "sleep 0.5; cat k > pipe"]) as writer:
        run("key", "check", "pipe")
        equal(writer.wait(), 0)


@test
def what_makes_no_sense_is_told():
    send = ["-i", "sim:voice", "-t", "0.1"]
    for to, arguments, wanted in [
            ("127.0.0.1:9", [*send, "--rotate", "60"], "add --key-file"),
            ("127.0.0.1:9", [*send, "--name", "a\nb"], "--name: there is a line break"),
            ("127.0.0.1:9", [*send, "--bitrate", "96k"], "choices of Opus"),
            ("127.0.0.1:9", [*send, "--html", "x.html"], "no such option"),
            ("255.255.255.255", [*send, "--plain"], "give a host"),
            ("0.0.0.0", [*send, "--plain"], "give a host"),
            ("127.0.0.1:0", send, "write 1 to 65535"), ("127.0.0.1:65534", send, "65533 or less"),
            ("127.0.0.1:x", send, "write 1 to 65535"), ("", send, "write HOST:PORT"),
            ("[::1", send, "write [::1]:5004"), ("::1:5004", send, "[::1]:5004")]:
        check(wanted in one_line(run("send", to, *arguments, status=2)), (to, arguments))
    for arguments in (["recv", "nosuch.invalid:5004", "-t", "0.1", "-o", "null:"],
                      ["recv", "239.1.2.3%nosuch", "--plain", "-t", "0.1", "-o", "null:"],
                      ["recv", "203.0.113.9:5004", "--plain", "-t", "0.1", "-o", "null:"],
                      ["send", "nosuch.invalid", "--plain", *send],
                      ["send", "127.0.0.1:9", "--from", "203.0.113.9", *send]):
        one_line(run(*arguments, status=1))
    shell = subprocess.run(["sh", "-c", '"$0" send 127.0.0.1:9 -i - <&-', TAKT], timeout=30,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)
    equal(shell.returncode, 1)
    check("stdin is closed" in one_line(Said(["send", "<&-"], shell)), shell.stderr)


@test
def nothing_goes_beyond_this_machine_without_a_key():
    said = run("send", "192.0.2.1", "-i", "sim:voice", "-t", "0.1", "--sdp", "x.sdp", status=2)
    check("--plain" in said.err or "key" in said.err, said.err)
    one_line(said)
    check(not os.path.exists("x.sdp"), "a description of what was never sent")


@test
def a_send_that_fails_leaves_no_description():
    for arguments in (["127.0.0.1:9", "-i", "nosuch.wav"], ["127.0.0.1:9", "--codec", "opus", "-i",
                      "sim:voice", "--ptime", "3"]):
        said = run("send", *arguments, "--sdp", "x.sdp", "-t", "0.1",
                   status=1 if "nosuch.wav" in arguments else 2)
        one_line(said)
        check(not os.path.exists("x.sdp"), arguments)


# ---- Keys ----------------------------------------------------------------------------------------


@test
def a_key_is_its_owners_and_stays_as_it_is():
    run("key", "new", "k")
    equal(stat.S_IMODE(os.stat("k").st_mode), 0o600)
    with open("k", encoding="ascii") as file:
        first = file.read()
    check(re.fullmatch(r"takt-key-1 [0-9a-f]{64}\n", first), "no key")
    check("k" in one_line(run("key", "new", "k", status=1)), "not which file")
    with open("k", encoding="ascii") as file:
        equal(file.read(), first)
    for said in (run("key", "check", "k"), run("key", "new", "k2")):
        check(first.split()[1] not in said.out, "it tells the key")
    run("key", "new", "k3", "-q")
    with open("k3", encoding="ascii") as file:
        check(file.read() != first, "twice the same key")


@test
def a_key_that_cannot_be_used_is_told():
    make_key()
    os.chmod("k", 0o644)
    check("chmod 600" in one_line(run("key", "check", "k", status=1)), "what to do")
    check("chmod 600" in one_line(run("send", "127.0.0.1:9", "-i", "sim:voice", "--key-file", "k",
                                      status=1)), "what to do")
    with open("no", "w", encoding="ascii") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write("takt-key-1 00\n")
    one_line(run("key", "check", "no", status=1))
    one_line(run("key", "check", "nosuch", status=1))


@test
def a_short_or_missing_passphrase_is_told():
    one_line(run("recv", "--passphrase", status=2, environment={"TAKT_PASSPHRASE": "short"}))
    said = run("recv", "--passphrase", status=1)
    check("TAKT_PASSPHRASE" in one_line(said), said.err)


# ---- What comes through --------------------------------------------------------------------------


@test
def pcm_comes_through_sample_by_sample():
    frames = s24_noise(72000, 2)
    wav.write("in.wav", "s24", frames, channels=2)

    def listen():
        over(free_port(), ["-i", "in.wav", "--codec", "L24", "-q"],
             ["-o", "out.wav", "--latency", "60ms", "-q"])
        heard = wav.Read("out.wav")
        equal((heard.name, heard.channels, heard.rate_hz), ("s24", 2, 48000))
        check(common_run(frames, heard.frames) > 48000, "no second of it without a fault")
    unless_stalled(listen)


@test
def the_last_samples_come_through():
    # 0.1 s and a part of a packet, in whole units of L16 and loud up to the end.
    quiet = [(0,)] * 19200
    loud = [(2**14 + chance.randrange(2**14),) for _ in range(4865)]
    wav.write("in.wav", "s16", quiet + loud)

    def listen(latency):
        sent, _ = over(free_port(), ["-i", "in.wav", "--codec", "L16", "--json"],
                       ["-o", "out.wav", "--latency", latency, "-q"], "2")
        net = sent.summary()["net"]
        equal((net["frames"], net["packets"]), (24065, -(-24065 // 128)))
        heard = [f[0] / 256 for f in wav.Read("out.wav").frames]
        last = [f[0] for f in loud[-1000:]]
        places = [i for i in range(len(heard)) if heard[i:i + 1000] == last]
        check(len(places) == 1, f"the last 1000 frames are there {len(places)} times")
        # What stands in behind the packet, which silence has filled up, is soon over.
        behind = heard[places[0] + 1000:]
        check(len(behind) > 4800 and not any(behind[128 + 240:]), "sound behind the end")
    for latency in ("60ms", "400ms"):
        unless_stalled(lambda: listen(latency))


@test
def opus_sounds_alike():
    tone = [(round(8000 * math.sin(2 * math.pi * 440 * i / 48000)),) for i in range(96000)]
    wav.write("in.wav", "s16", tone)

    def listen():
        sent, heard = over(free_port(), ["-i", "in.wav", "--codec", "opus", "--json"],
                           ["-o", "out.wav", "--latency", "100ms", "--json"])
        equal(sent.summary()["net"]["codec"], "opus")
        equal(heard.summary()["net"]["sources"][0]["codec"], "opus")
        samples = [f[0] / 2**23 for f in wav.Read("out.wav").frames]
        loud = [i for i, s in enumerate(samples) if abs(s) > 0.1]
        check(loud, "silence")
        middle = samples[loud[0] + 24000:loud[0] + 24000 + 48000]
        rms = math.sqrt(sum(s * s for s in middle) / len(middle))
        near(20 * math.log10(rms / (8000 / 2**15 / math.sqrt(2))), 0, 0.5, "level in dB")
        power = abs(sum(s * complex(math.cos(2 * math.pi * 440 * i / 48000),
                                    math.sin(2 * math.pi * 440 * i / 48000))
                        for i, s in enumerate(middle))) / len(middle) * math.sqrt(2)
        near(power / rms, 1, 0.02, "how much of it is the tone")
    unless_stalled(listen)


@test
def raw_frames_come_in_and_go_out():
    data = b"".join(struct.pack("<hh", chance.randrange(-2**15, 2**15), i % 2**15)
                    for i in range(48000))

    def listen():
        port = free_port()
        receiver = Receiver(port, "-o", "-", "--raw", "s16", "--latency", "60ms", "-t", "2",
                            "--json")
        sent = run("send", f"127.0.0.1:{port}", "-i", "-", "--raw", "s16", "--codec", "L16",
                   "--json", input=data)
        equal(sent.summary()["raw"], {"format": "s16", "frames": 48000, "starved_frames": 0})
        equal((sent.summary()["in"], sent.summary()["ended_by"]), ("-", "end of source"))
        heard = receiver.wait()
        lines = [strict_json(l) for l in heard.err.splitlines()]
        equal(lines[-1]["type"], "summary")
        equal(len(heard.raw), lines[-1]["raw"]["frames"] * 4)
        frames = [heard.raw[i:i + 4] for i in range(0, len(heard.raw), 4)]
        wanted = [data[i:i + 4] for i in range(0, len(data), 4)]
        check(common_run(wanted, frames) > 24000, "no half second of it without a fault")
    unless_stalled(listen)


@test
def stdin_that_ends_within_a_frame_is_told():
    said = run("send", "127.0.0.1:9", "-i", "-", "-q", status=1, input=bytes(9001))
    check("within a frame" in said.err, said.err)


@test
def empty_stdin_sends_nothing_and_is_told():
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("127.0.0.1", port))
        heard.settimeout(0.3)
        said = run("send", f"127.0.0.1:{port}", "-i", "-", status=1, input=b"")
        check("stdin was empty" in one_line(said), said.err)
        said = run("send", f"127.0.0.1:{port}", "-i", "-", "--json", status=1, input=b"")
        summary = said.summary()
        equal((summary["raw"]["frames"], summary["net"]["packets"]), (0, 0))
        try:
            raise AssertionError(f"sent: {heard.recv(2048)!r}")
        except TimeoutError:
            pass


@test
def a_reader_that_leaves_ends_it_quietly():
    port = free_port()
    process = subprocess.Popen([TAKT, "recv", f"127.0.0.1:{port}", "-o", "-", "-t", "20", "-q"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=ENVIRONMENT)
    process.stdout.read(4096)
    process.stdout.close()
    equal((process.stderr.read(), process.wait(timeout=15)), (b"", 0))
    process.stderr.close()


@test
def a_key_plays_and_another_is_silent_with_one_line():
    make_key("k"), make_key("other")
    send = ["-i", "sim:tone=1000", "--key-file", "k", "-t", "1.5", "-q"]

    def listen():
        _, heard = over(free_port(), send, ["-o", "x.wav", "--key-file", "k", "--json"], "2.5")
        net = heard.summary()["net"]
        check(net["sources"][0]["encrypted"] and net["counts"]["heard_frames"] > 48000, net)
        check(max(abs(f[0]) for f in wav.Read("x.wav").frames) > 2**18, "silence")
    unless_stalled(listen)
    for keys, word in [(["--key-file", "other"], "key"), ([], "encrypted")]:
        _, heard = over(free_port(), send, ["-o", "x.wav", *keys, "--json"], "2")
        told = heard.err.splitlines()
        equal(len([l for l in told if word in l]), 1, told)
        equal(len(told), 1, told)
        refused = [l for l in heard.lines() if l["type"] == "refused"]
        equal(len(refused), 1)
        equal(f"takt: {refused[0]['text']}", told[0])
        equal(max(abs(f[0]) for f in wav.Read("x.wav").frames), 0)
        net = heard.summary()["net"]
        equal((net["packets"], net["sources"], net["latency_ms"]["p50"]), (0, [], None))
        check(net["refused"]["forged"] + net["refused"]["encrypted"] > 0, net["refused"])


@test
def a_passphrase_plays():
    with open("phrase", "w", encoding="ascii") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write("correct horse battery staple\n")

    def listen():
        port = free_port()
        receiver = Receiver(port, "-o", "x.wav", "--passphrase", "--json", "-t", "3",
                            environment={"TAKT_PASSPHRASE": "correct horse battery staple"})
        run("send", f"127.0.0.1:{port}", "-i", "sim:tone", "-t", "1", "-q", "--passphrase-file",
            "phrase")
        check(receiver.wait().summary()["net"]["counts"]["heard_frames"] > 24000, "not heard")
    unless_stalled(listen)


@test
def a_description_tells_others():
    run("send", "127.0.0.1:9", "-i", "sim:voice", "-t", "0.2", "--sdp", "x.sdp", "--ptime", "1",
        "-q")
    with open("x.sdp", encoding="ascii") as file:
        check("L24/48000" in file.read(), "no format")
    run("send", "127.0.0.1:9", "-i", "sim:voice", "-t", "0.2", "--sdp", "s.sdp", "--sdes", "-q")
    equal(stat.S_IMODE(os.stat("s.sdp").st_mode), 0o600)


@test
def a_description_that_others_can_read_is_told_where_it_has_a_key():
    def listen(name, mode):
        os.chmod(name, mode)
        port = free_port()
        return run("recv", f"127.0.0.1:{port}", "--sdp", name, "-o", "null:", "-t", "0.5", "--json")

    run("send", "127.0.0.1:9", "-i", "sim:voice", "-t", "0.2", "--sdp", "s.sdp", "--sdes", "-q")
    run("send", "127.0.0.1:9", "-i", "sim:voice", "-t", "0.2", "--sdp", "x.sdp", "-q")
    for mode in (0o644, 0o640, 0o606):
        said = listen("s.sdp", mode)
        check(f"(mode {mode:o}); chmod 600 it" in said.err and said.err.count("\n") == 1, said.err)
        told = [l for l in said.lines() if l["type"] == "warning"]
        equal([f"takt: {l['text']}\n" for l in told], [said.err])
    equal(listen("s.sdp", 0o600).err, "")
    equal(listen("x.sdp", 0o644).err, "")


# ---- What is said --------------------------------------------------------------------------------


@test
def json_has_the_same_names_on_both_sides():
    def listen():
        sent, heard = over(free_port(), ["-i", "sim:voice", "-t", "2.5", "--json"],
                           ["-o", "null:", "--json"], "4.5")
        for said in (sent, heard):
            summary = said.summary()
            check(NET <= set(summary["net"]), NET - set(summary["net"]))
            equal(set(summary["net"]["latency_ms"]) >= {"p50", "p95"}, True)
            lines = [l for l in said.lines() if l["type"] == "net"]
            check(len(lines) >= 15, f"{len(lines)} lines")
            times = [l["time_s"] for l in lines]
            equal(times, sorted(times))
        net = heard.summary()["net"]
        check(net["counts"]["heard_frames"] > 96000 and 0 < net["target_ms"] < 100, net)
        check(0 < net["latency_ms"]["p50"] < 200, net["latency_ms"])
        events = [e for e in heard.lines() if e["type"] == "source"]
        equal([e["event"] for e in events], ["began", "ended"])
        equal(len({(e["ssrc"], e["text"].split()[0]) for e in events}), 1, events)
        equal(net["sources"][0]["counts"], net["counts"], "of one source, and of all")
        net = sent.summary()["net"]
        equal(net["frames"] > 96000 and len(net["listeners"]), 1)
        equal(sent.summary()["verb"], "send")
    unless_stalled(listen)


@test
def a_silent_sender_has_no_latency():
    timing = ["latency_ms", "target_ms", "delay_ms", "drift_ppm", "jitter_ms", "round_trip_ms"]

    def listen():
        port = free_port()
        receiver = Receiver(port, "-o", "null:", "--json", "-t", "5")
        sender = subprocess.Popen([TAKT, "send", f"127.0.0.1:{port}", "-i", "sim:voice", "-q"],
                                  stdin=subprocess.DEVNULL, env=ENVIRONMENT)
        time.sleep(1.5)
        sender.kill()  # so that it says no goodbye
        sender.wait()
        said = receiver.wait()
        lines = [l for l in said.lines() if l["type"] == "net"]
        heard = max(i for i, l in enumerate(lines) if l["latency_ms"] is not None)
        check(0.9 < lines[heard]["time_s"] < 3, f"{lines[heard]['time_s']} s")
        for line in lines[heard + 1:]:
            equal(line["sources"], 1, "the sender may come back")
            equal([line[name] for name in timing], [None] * len(timing), line)
            equal(set(line["parts_ms"].values()) | set(line["lateness_ms"].values()), {None}, line)
        source = said.summary()["net"]["sources"][0]
        equal((source["live"], source["silent"]), (True, True))
        check(source["counts"]["heard_frames"] > 36000 and source["latency_ms"]["p50"] > 0, source)
    unless_stalled(listen)


@test
def live_view_of_a_silent_sender_has_no_latency():
    port = free_port()
    with Screen(80, 24, "recv", f"127.0.0.1:{port}", "-o", "null:") as heard:
        sender = subprocess.Popen([TAKT, "send", f"127.0.0.1:{port}", "-i", "sim:voice", "-q"],
                                  stdin=subprocess.DEVNULL, env=ENVIRONMENT)
        check(heard.wait_for(r"latency +\d+\.\d ms = "), heard.text())
        sender.kill()
        sender.wait()
        check(heard.wait_for(r"latency +none, as the sender is silent$"), heard.text())
        check("jitter" not in heard.text() and re.search(r"from +127\.0\.0\.1:", heard.text()),
              heard.text())
        heard.press("\x03")
        equal((heard.end(), heard.faults), (0, []), heard.text())


@test
def manual_page_names_what_the_lines_have():
    with open(os.path.join(ROOT, "man", "takt.1"), encoding="utf-8") as file:
        text = file.read()
    heard = run("recv", f"127.0.0.1:{free_port()}", "-o", "null:", "-t", "0.3", "--json")
    sent = run("send", f"127.0.0.1:{free_port()}", "-i", "sim:voice", "-t", "0.3", "--json")
    for said in (heard, sent):
        line = next(l for l in said.lines() if l["type"] == "net")
        for name in line:
            check(name in text, f"{name} is not in the manual page")


@test
def nobody_is_null_and_no_number():
    net = run("recv", f"127.0.0.1:{free_port()}", "-o", "null:", "-t", "0.3",
              "--json").summary()["net"]
    for name in NET - {"packets", "kbit_s", "latency_ms"}:
        equal(net[name], None, name)
    equal((net["packets"], net["latency_ms"]["p95"], net["sources"]), (0, None, []))


@test
def a_taken_port_is_one_line():
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        one_line(run("recv", f"127.0.0.1:{port}", "-o", "x.wav", "-t", "1", status=1))


@test
def a_packet_is_a_block_or_an_equal_part_of_it():
    for options, wanted in [
            ([], "2.67"), (["-b", "64"], "1.33"), (["-b", "16"], "0.667"), (["-b", "480"], "5"),
            (["-b", "480", "-c", "2"], "3.33"), (["-b", "1024"], "2.67"), (["--ptime", "1"], "1"),
            (["-b", "128", "-c", "2", "--red", "3"], "0.667")]:
        said = run("send", "127.0.0.1:9", "-i", "sim:voice", "-t", "0.1", *options)
        check(f", {wanted} ms each, " in said.out, (options, said.out))
    said = run("send", "127.0.0.1:9", "-i", "-", "--raw", "s16", "-c", "1", input=bytes(9600))
    check(", 1 ms each, " in said.out, said.out)


@test
def text_tells_of_latency_and_listeners():
    sent, heard = over(free_port(), ["-i", "sim:voice", "-t", "2.2"], ["-o", "null:"], "2.6")
    check(re.search(r"^ +1\.0 s  \d+ packets, \d+ kbit/s, repair ", sent.out, re.M), sent.out)
    check(re.search(r"^ +1\.\d s  latency ", heard.out, re.M) or
          re.search(r"^ +2\.\d s  latency ", heard.out, re.M) or "output ms from here" in heard.out,
          heard.out)
    check("network: " in sent.out and "network: " in heard.out, "no summary")
    check(heard.err.startswith("takt: 127.0.0.1:"), heard.err)


def seen(columns, rows):
    """The lines of both live views in a terminal of that size, with what goes on below joined."""
    port = free_port()
    pictures = []
    with Screen(columns, rows, "recv", f"127.0.0.1:{port}", "-o", "null:") as heard, \
            Screen(columns, rows, "send", f"127.0.0.1:{port}", "-i",
                   "sim:voice") as sent:
        wanted = r"latency +\d" if rows < 20 else r"round trip"
        check(heard.wait_for(wanted), f"{columns}x{rows}:\n{heard.text()}")
        check(sent.wait_for(r"1 listener"), f"{columns}x{rows}:\n{sent.text()}")
        for screen in (heard, sent):
            screen.watch(0.2)
            pictures.append(re.sub(r"\n {9,}(?=\S)", " ", screen.text()))
            screen.press("\x03")
            equal((screen.end(), screen.faults), (0, []), screen.text())
    return pictures


@test
def live_views_are_whole_in_each_width():
    latency = r"^ *latency +\d+\.\d ms = \d+\.\d to here \+ \d+\.\d delay \+ \d+\.\d output, " \
              r"target \d+\.\d$"
    for columns, rows in [(200, 60), (80, 24), (40, 24), (30, 30)]:
        def look():
            heard, sent = seen(columns, rows)
            what = f"{columns}x{rows}:\n{heard}\n{sent}"
            for wanted in (latency, r"^ *packets .*repaired \d.*, concealed \d+\.\d{3} %$",
                           r"^ *network .*jitter \d+\.\d\d ms, round trip \d+\.\d ms$",
                           r"^ *from +127\.0\.0\.1:\d+, L24, not encrypted, 48000 Hz, 1 channel"
                           + (", [0-9a-f]{16}$" if columns == 200 else "(, [0-9a-f]{16})?$")):
                check(re.search(wanted, heard, re.M), f"no {wanted}: {what}")
            for wanted in (r"^ *sent +\d+ packets of L24, \d+ kbit/s, not encrypted$",
                           r"^ *heard by +1 listener, worst loss .*, round trip \d+\.\d ms$",
                           r"^ *repair +none$"):
                check(re.search(wanted, sent, re.M), f"no {wanted}: {what}")
        unless_stalled(look)


@test
def live_views_of_few_rows_have_what_matters_most():
    def look():
        heard, sent = seen(40, 9)
        check(re.search(r"^latency +\d", heard, re.M), heard)
        check(re.search(r"^heard by +1 listener", sent, re.M), sent)
        check(re.search(r"\d miss", heard) and re.search(r"\d miss", sent), "no misses")
    unless_stalled(look)


@test
def page_is_whole_and_well_formed():
    _, heard = over(free_port(), ["-i", "sim:voice", "-t", "1.5", "-q"],
                    ["-o", "null:", "--html", "r.html", "--json"], "2.3")
    equal(heard.summary()["html"], "r.html")
    with open("r.html", encoding="utf-8") as file:
        source = file.read()
    for foreign in ("<script", "url(", "src=", "href=", "@import"):
        check(foreign not in source, f"{foreign} in the page")
    page = tree.fromstring(source)
    equal({svg.get("id") for svg in page.iter(HTML + "svg") if svg.get("id")},
          {"delay", "losses", "arrivals"})
    check("nan" not in source and "inf " not in source, "no number in the picture")
    paths = [p.get("d") for p in page.iter(HTML + "path") if p.get("d")]
    check(any(d.count("L") > 5 for d in paths), "no curve")
    for id in ("delay", "losses"):
        ticks = [float(t.text) for t in page.find(f".//{HTML}svg[@id='{id}']").iter(HTML + "text")
                 if t.get("dy") == "1.15em"]
        check(2 in ticks and max(ticks) <= 2.3, f"a run of 2.3 s has ticks at {ticks}")
    equal([n for n in os.listdir() if n != "r.html"], [])


@test
def page_of_nobody_is_well_formed_too():
    run("recv", f"127.0.0.1:{free_port()}", "-o", "null:", "-t", "0.3", "-q", "--html", "r.html")
    with open("r.html", encoding="utf-8") as file:
        page = tree.fromstring(file.read())
    check("Nobody was heard" in "".join(page.itertext()), "no verdict")
    said = run("recv", f"127.0.0.1:{free_port()}", "-o", "null:", "-t", "0.3", "--html",
               "nosuch/r.html", status=1)
    one_line(said)


@test
def other_programs_hear_it():
    needs("ffmpeg")
    port = free_port()
    run("send", f"127.0.0.1:{port}", "-i", "sim:tone", "-t", "0.1", "--sdp", "x.sdp", "-q")
    player = subprocess.Popen(["ffmpeg", "-v", "error", "-y", "-protocol_whitelist", "file,udp,rtp",
                               "-i", "x.sdp", "-t", "1", "out.wav"], stdin=subprocess.DEVNULL)
    time.sleep(1)
    run("send", f"127.0.0.1:{port}", "-i", "sim:tone", "-t", "5", "-q")
    equal(player.wait(timeout=30), 0)
    check(os.path.getsize("out.wav") > 48000, "nothing was heard")


tests_done()
