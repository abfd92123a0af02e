"""takt send and recv with ffmpeg and GStreamer at the other end.

PCM has to come out sample by sample as it went in, from where a program began to listen to the end;
Opus has to sound alike. Both ways take real time, so the pairs of a test run side by side.

Usage: interop_test.py TAKT SOURCE_ROOT
"""
import sys

sys.dont_write_bytecode = True

import array
import base64
import itertools
import json
import math
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import wav
from program import (ENVIRONMENT, TAKT, check, equal, free_port, near, needs, run, test, tests_done,
                     unless_stalled)

ROOT = os.path.abspath(sys.argv[2])
SECONDS = 2     # of sound in a file
LEAST_S = 1       # of it have to be heard; what is missing is the start of the other program
PAIRS = 8         # side by side: each takes a few percent of a core, but to start
WHITELIST = ["-protocol_whitelist", "file,crypto,srtp,udp,rtp"]
KEY = bytes(range(0x30, 0x30 + 30))  # of AES_CM_128_HMAC_SHA1_80, with its salt
COARSE = 48       # samples in a step of an envelope
BITS = {"L16": 16, "L24": 24}
chance = random.Random(11)


# ---- Programs ------------------------------------------------------------------------------------


def until(holds, what, seconds=20):
    end = time.monotonic() + seconds
    while not holds():
        check(time.monotonic() < end, f"{what}: not within {seconds} s")
        time.sleep(0.01)


def listens(port):
    """Whether the kernel has a socket at that port."""
    with open("/proc/net/udp", encoding="ascii") as file:
        return re.search(rf"^ *\d+: [0-9A-F]+:{port:04X} ", file.read(), re.M) is not None


class Program:
    """One that runs in `folder` until it is waited for or stopped."""

    def __init__(self, folder, *words):
        self.words = [str(w) for w in words]
        self.process = subprocess.Popen(self.words, cwd=folder, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=ENVIRONMENT)

    def wait(self, *statuses):
        try:
            self.out, self.err = (part.decode() for part in self.process.communicate(timeout=30))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise AssertionError(f"{self.words} did not end") from None
        check(self.process.returncode in (statuses or (0,)),
              f"status {self.process.returncode} of {self.words}, which said {self.err!r}")
        return self

    def stop(self, *statuses):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.wait(*statuses)

    def summary(self):
        return json.loads(self.out.splitlines()[-1])


def takt(folder, *words):
    return Program(folder, TAKT, *words)


def ffmpeg(folder, *words):
    return Program(folder, "ffmpeg", "-v", "error", "-nostdin", "-y", *words)


def gst(folder, pipeline):
    return Program(folder, "gst-launch-1.0", "-q", *shlex.split(pipeline))


def side_by_side(function, cases):
    """function(folder, *case) for each, in a folder that is empty."""
    def one(case):
        def attempt():
            folder = tempfile.mkdtemp(dir=".", prefix=f"{case}.".replace("/", ""))
            try:
                function(os.path.abspath(folder), *case)
            except AssertionError as error:
                raise AssertionError(f"{function.__name__}{case}: {error}") from error
        unless_stalled(attempt, tries=3)
    with ThreadPoolExecutor(PAIRS) as pool:
        for done in [pool.submit(one, case) for case in cases]:
            done.result()


# ---- Sound ---------------------------------------------------------------------------------------


def noise(bits, channels, rate_hz):
    """Frames as bytes, none of them like another, 12 dB below full scale at the most."""
    count = int(SECONDS * rate_hz) * channels
    words = array.array("i", random.Random(bits + channels + rate_hz).randbytes(4 * count))
    return b"".join((w >> (34 - bits)).to_bytes(bits // 8, "little", signed=True) for w in words)


def write_noise(folder, codec, channels, rate_hz):
    """in.wav, and its frames as bytes."""
    data = noise(BITS[codec], channels, rate_hz)
    wav.write_bytes(f"{folder}/in.wav", f"s{BITS[codec]}", data, channels, rate_hz)
    return data


def read_raw(path):
    with open(path, "rb") as file:
        return file.read()


def is_sent(sent, heard, frame_bytes, rate_hz):
    """From the first frame on that is heard, it has to be what was sent, to the end of either."""
    step, width = rate_hz // 100 * frame_bytes, 32 * frame_bytes
    for at in range(0, len(sent) - width, step):
        place = heard.find(sent[at:at + width])
        if place >= 0:
            break
    else:
        raise AssertionError(f"nothing of it in {len(heard) // frame_bytes} frames")
    n = min(len(sent) - at, len(heard) - place)
    equal(place % frame_bytes, 0, "frames out of step")
    if sent[at:at + n] != heard[place:place + n]:
        bad = next(i for i in range(n) if sent[at + i] != heard[place + i])
        raise AssertionError(f"{bad / frame_bytes / rate_hz:.4f} s of {n / frame_bytes / rate_hz} "
                             "are right, then comes something else")
    check(n >= LEAST_S * rate_hz * frame_bytes, f"{n / frame_bytes / rate_hz} s are too few")


def recorded(path):
    """What takt has recorded, 24 bits."""
    read = wav.Read(path)
    equal(read.name, "s24")
    return read.data


def to_24_bits(data, bits):
    if bits == 24:
        return data
    return b"".join(b"\0" + data[i:i + 2] for i in range(0, len(data), 2))


def mono(path):
    read = wav.Read(path)
    equal(read.rate_hz, 48000)
    full = 2.0 ** (wav.FORMATS[read.name][1] - 1)
    return [sum(frame) / len(frame) / full for frame in read.frames]


def likeness(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(
        sum(x * x for x in a) * sum(y * y for y in b) + 1e-20)


def envelope(x):
    return [sum(map(abs, x[i:i + COARSE])) for i in range(0, len(x) - COARSE, COARSE)]


def below_4_khz(x):
    """Of what is higher, codecs keep the level and not the waveform."""
    for _ in range(2):
        sums = [0, *itertools.accumulate(x)]
        x = [(b - a) / 8 for a, b in zip(sums, sums[8:])]
    return x


def sounds_alike(sent, heard):
    """Half a second of the later part, which everybody has heard, is there at the same level. Its
    place is sought by the envelope first, then to the sample."""
    sent, heard = below_4_khz(sent), below_4_khz(heard)
    a, b, n = envelope(sent), envelope(heard), 24000 // COARSE
    latest = len(a) - n - 400
    first = max(range(latest - 500, latest, 50), key=lambda i: sum(a[i:i + n]))
    place = COARSE * max(range(len(b) - n), key=lambda i: likeness(a[first:first + n], b[i:i + n]))
    piece = sent[first * COARSE:first * COARSE + 24000]
    loud = max(range(0, 22000, 1000), key=lambda i: power(piece[i:i + 2000]))
    at = max(range(max(place - 96, 0), place + 96),
             key=lambda i: likeness(piece[loud:loud + 2000], heard[i + loud:i + loud + 2000]))
    same = heard[at:at + len(piece)]
    check(likeness(piece, same) > 0.95, f"correlation of {likeness(piece, same)}")
    near(10 * math.log10(power(same) / power(piece)), 0, 1, "level in dB")


def power(x):
    return sum(v * v for v in x) / len(x)


# ---- Descriptions --------------------------------------------------------------------------------


def described(path):
    """Once a sender has written it whole: its text."""
    def is_there():
        return os.path.exists(path) and "m=" in read_raw(path).decode()
    until(is_there, path)
    return read_raw(path).decode()


def write_sdp(path, port, *lines, profile="AVP", types="97"):
    with open(path, "w", encoding="ascii") as file:
        file.write("\r\n".join(["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=test", "t=0 0",
                                f"m=audio {port} RTP/{profile} {types}", "c=IN IP4 127.0.0.1",
                                *lines, ""]))


def gst_caps(port, codec, channels, rate_hz, payload=97, kind="x-rtp", more=""):
    return (f"udpsrc port={port} caps=\"application/{kind},media=(string)audio,"
            f"clock-rate=(int){rate_hz},encoding-name=(string){codec},"
            f"channels=(int){channels},payload=(int){payload}{more}\"")


def gst_pcm_out(codec):
    return (f"rtpjitterbuffer latency=100 ! rtp{codec}depay ! audioconvert ! "
            f"audio/x-raw,format=S{BITS[codec]}LE ! filesink location=out.raw")


def gst_pcm_in(codec, ptime_ms, payload=97):
    ns = round(ptime_ms * 1e6)
    return (f"filesrc location=in.wav ! wavparse ! audioconvert ! audio/x-raw,"
            f"format=S{BITS[codec]}BE ! rtp{codec}pay pt={payload} min-ptime={ns} max-ptime={ns}")


def payload_of(codec):
    return {"L16": 96, "L24": 97}[codec]


# ---- Both ends -----------------------------------------------------------------------------------

PCM = [("L16", 2, 48000, 1), ("L16", 1, 44100, 4), ("L24", 2, 48000, 0.33), ("L24", 2, 44100, 1),
       ("L24", 1, 48000, 4)]


def send(folder, port, codec, ptime_ms, *more):
    return takt(folder, "send", f"127.0.0.1:{port}", "-i", "in.wav", "--codec", codec, "--ptime",
                ptime_ms, "--json", *more)


def describe(folder, port, codec, ptime_ms, *more):
    """x.sdp before there is anything to hear, so that a program can listen when it begins."""
    send(folder, port, codec, ptime_ms, "--sdp", "x.sdp", "-t", "0.05", *more).wait()


def heard_by_ffmpeg(folder, port, codec, ptime_ms, *more, out=("out.wav",)):
    """What takt sends; it ends by the sender's BYE."""
    describe(folder, port, codec, ptime_ms, *more)
    listener = ffmpeg(folder, *WHITELIST, "-i", "x.sdp", *out)
    until(lambda: listens(port), "ffmpeg")
    sender = send(folder, port, codec, ptime_ms, *more).wait()
    listener.wait()
    return sender


def heard_by_gst(folder, port, pipeline, sender):
    """What `sender()` sends, until it is done and a moment longer."""
    listener = gst(folder, pipeline)
    until(lambda: listens(port), "gst-launch-1.0")
    sender = sender().wait()
    time.sleep(0.3)
    listener.stop(0, 1)
    return sender


def heard_by_takt(folder, port, channels, rate_hz, sender, *more):
    """out.wav of what `sender` sends, a program or one to start; its net figures."""
    at = [f"127.0.0.1:{port}"] if "--sdp" not in more else []
    listener = takt(folder, "recv", *at, "-o", "out.wav", "-c", channels, "-r", rate_hz,
                    "--latency", "100ms", "--json", *more)
    until(lambda: listens(port), "takt recv")
    (sender if isinstance(sender, Program) else sender()).wait()
    time.sleep(0.3)
    return listener.stop().summary()["net"]


def gst_from(port, codec, channels, rate_hz, payload, kind="x-rtp", more=""):
    return (f"udpsrc port={port} caps=\"application/{kind},media=(string)audio,"
            f"clock-rate=(int){rate_hz},encoding-name=(string){codec},encoding-params=(string)"
            f"{channels},channels=(int){channels},payload=(int){payload}{more}\"")


def gst_pcm_out(codec):
    return (f"rtpjitterbuffer latency=100 ! rtp{codec}depay ! audioconvert ! "
            f"audio/x-raw,format=S{BITS[codec]}LE ! filesink location=out.raw")


def gst_pcm_in(codec, ptime_ms):
    ns = round(ptime_ms * 1e6)
    return (f"filesrc location=in.wav ! wavparse ! audioconvert ! audio/x-raw,"
            f"format=S{BITS[codec]}BE ! rtp{codec}pay pt=97 min-ptime={ns} max-ptime={ns}")


def ffmpeg_pcm_in(codec, channels, rate_hz, ptime_ms):
    """-re would send a burst each 10 ms; the filter sends each packet at its time."""
    frames = round(rate_hz * ptime_ms / 1000)
    bits = BITS[codec]
    return (["-i", "in.wav", "-af", f"asetnsamples={frames},arealtime", "-c:a", f"pcm_s{bits}be",
             "-sdp_file", "x.sdp", "-f", "rtp"], f"pkt_size={12 + frames * channels * bits // 8}")


def type_of(codec):
    return {"L16": 96, "L24": 97}[codec]


def frame_bytes(codec, channels):
    return BITS[codec] // 8 * channels


# ---- PCM -----------------------------------------------------------------------------------------


@test
def pcm_is_exact_in_ffmpeg():
    needs("ffmpeg")

    def pair(folder, codec, channels, rate_hz, ptime_ms, *more):
        sent = write_noise(folder, codec, channels, rate_hz)
        raw = f"s{BITS[codec]}le"
        heard_by_ffmpeg(folder, free_port(), codec, ptime_ms, *more,
                        out=["-c:a", f"pcm_{raw}", "-f", raw, "out.raw"])
        is_sent(sent, read_raw(f"{folder}/out.raw"), frame_bytes(codec, channels), rate_hz)
    side_by_side(pair, PCM + [("L24", 2, 48000, 1, "--bare"), ("L24", 2, 48000, 2, "--mux")])


@test
def pcm_is_exact_in_gstreamer():
    needs("gst-launch-1.0")

    def pair(folder, codec, channels, rate_hz, ptime_ms, *more):
        sent = write_noise(folder, codec, channels, rate_hz)
        port = free_port()
        heard_by_gst(folder, port, gst_from(port, codec, channels, rate_hz, type_of(codec)) +
                     " ! " + gst_pcm_out(codec),
                     lambda: send(folder, port, codec, ptime_ms, *more))
        is_sent(sent, read_raw(f"{folder}/out.raw"), frame_bytes(codec, channels), rate_hz)
    side_by_side(pair, PCM + [("L24", 2, 48000, 1, "--bare")])


@test
def pcm_of_ffmpeg_is_exact():
    needs("ffmpeg")

    def pair(folder, codec, channels, rate_hz, ptime_ms):
        sent = write_noise(folder, codec, channels, rate_hz)
        port = free_port()
        words, size = ffmpeg_pcm_in(codec, channels, rate_hz, ptime_ms)
        sender = ffmpeg(folder, *words, f"rtp://127.0.0.1:{port}?{size}")
        described(f"{folder}/x.sdp")
        heard_by_takt(folder, port, channels, rate_hz, sender, "--sdp", "x.sdp")
        is_sent(to_24_bits(sent, BITS[codec]), recorded(f"{folder}/out.wav"), 3 * channels, rate_hz)
    side_by_side(pair, PCM)


@test
def pcm_of_gstreamer_is_exact():
    needs("gst-launch-1.0")

    def pair(folder, codec, channels, rate_hz, ptime_ms):
        sent = write_noise(folder, codec, channels, rate_hz)
        port = free_port()
        heard_by_takt(folder, port, channels, rate_hz,
                      lambda: gst(folder, gst_pcm_in(codec, ptime_ms) +
                                  f" ! udpsink host=127.0.0.1 port={port}"),
                      "--format", f"97={codec}/{rate_hz}/{channels}")
        is_sent(to_24_bits(sent, BITS[codec]), recorded(f"{folder}/out.wav"), 3 * channels, rate_hz)
    side_by_side(pair, PCM)


# ---- Opus ----------------------------------------------------------------------------------------


@test
def opus_sounds_alike_everywhere():
    """At a rate at which the codec itself keeps the waveform, even of 2.5 ms."""
    needs("ffmpeg"), needs("gst-launch-1.0")
    run("run", "sim:voice", "voice.wav", "--fast", "-t", "3", "-c", "2", "-f", "s16", "-q")
    sent, source = mono("voice.wav"), os.path.abspath("voice.wav")

    def to_ffmpeg(folder, port, ms):
        heard_by_ffmpeg(folder, port, "opus", ms, "--bitrate", "128k")

    def to_gst(folder, port, ms):
        heard_by_gst(folder, port, gst_from(port, "OPUS", 2, 48000, 111) +
                     " ! rtpjitterbuffer latency=100 ! rtpopusdepay ! opusdec ! audioconvert ! "
                     "audio/x-raw,format=S16LE,rate=48000,channels=2 ! wavenc ! "
                     "filesink location=out.wav",
                     lambda: send(folder, port, "opus", ms, "--bitrate", "128k"))

    def of_ffmpeg(folder, port, ms):
        sender = ffmpeg(folder, "-re", "-i", "in.wav", "-c:a", "libopus", "-b:a", "128k",
                        "-frame_duration", ms, "-application", "lowdelay" if ms < 10 else "audio",
                        "-sdp_file", "x.sdp", "-f", "rtp", f"rtp://127.0.0.1:{port}")
        described(f"{folder}/x.sdp")
        heard_by_takt(folder, port, 2, 48000, sender, "--sdp", "x.sdp")

    def of_gst(folder, port, ms):
        heard_by_takt(folder, port, 2, 48000,
                      lambda: gst(folder, f"filesrc location=in.wav ! wavparse ! audioconvert ! "
                                  f"opusenc frame-size={ms} bitrate=128000 ! rtpopuspay pt=98 ! "
                                  f"udpsink host=127.0.0.1 port={port}"),
                      "--format", "98=opus/48000/2")

    def pair(folder, way, ms):
        os.symlink(source, f"{folder}/in.wav")
        {"to_ffmpeg": to_ffmpeg, "to_gst": to_gst, "of_ffmpeg": of_ffmpeg, "of_gst": of_gst}[way](
            folder, free_port(), ms)
        sounds_alike(sent, mono(f"{folder}/out.wav"))
    side_by_side(pair, [(way, ms) for ms in (2.5, 5, 10, 20)
                        for way in ("to_ffmpeg", "to_gst", "of_ffmpeg", "of_gst")])


# ---- SRTP ----------------------------------------------------------------------------------------

SUITE = "AES_CM_128_HMAC_SHA1_80"


def key_line(key=KEY):
    return f"a=crypto:1 {SUITE} inline:{base64.b64encode(key).decode()}"


@test
def srtp_by_sdes_goes_both_ways():
    needs("ffmpeg"), needs("gst-launch-1.0")

    def to_ffmpeg(folder, port):
        sender = send(folder, port, "L24", 1, "--sdp", "x.sdp", "--sdes")
        described(f"{folder}/x.sdp")
        listener = ffmpeg(folder, *WHITELIST, "-i", "x.sdp", "-c:a", "pcm_s24le", "-f", "s24le",
                          "out.raw")
        sender.wait(), listener.wait()

    def to_gst(folder, port):
        """GStreamer 1.22 wants the SSRC beside the key."""
        sender = send(folder, port, "L24", 1, "--sdp", "x.sdp", "--sdes")
        key = base64.b64decode(re.search("inline:(\\S+)", described(f"{folder}/x.sdp"))[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
            first.bind(("127.0.0.1", port))
            first.settimeout(10)
            ssrc = int.from_bytes(first.recv(2000)[8:12], "big")
        parts = "".join(f",{part}-cipher=(string)aes-128-icm,{part}-auth=(string)hmac-sha1-80"
                        for part in ("srtp", "srtcp"))
        heard_by_gst(folder, port, gst_from(port, "L24", 2, 48000, 97, "x-srtp",
                                            f",ssrc=(uint){ssrc},srtp-key=(buffer){key.hex()}" +
                                            parts) + " ! srtpdec ! " + gst_pcm_out("L24"),
                     lambda: sender)

    def of_ffmpeg(folder, port):
        words, size = ffmpeg_pcm_in("L24", 2, 48000, 1)
        sender = ffmpeg(folder, *words, "-srtp_out_suite", SUITE, "-srtp_out_params",
                        base64.b64encode(KEY).decode(), f"srtp://127.0.0.1:{port}?{size}0")
        check("RTP/AVP" in described(f"{folder}/x.sdp"), "ffmpeg tells SRTP as it should")
        net = heard_by_takt(folder, port, 2, 48000, sender, "--sdp", "x.sdp")
        check(net["sources"][0]["encrypted"], net)

    def of_gst(folder, port):
        write_sdp(f"{folder}/x.sdp", port, "a=rtpmap:97 L24/48000/2", key_line(), profile="SAVP")
        net = heard_by_takt(folder, port, 2, 48000,
                            lambda: gst(folder, gst_pcm_in("L24", 1) + f" ! srtpenc key={KEY.hex()}"
                                        f" ! udpsink host=127.0.0.1 port={port}"),
                            "--sdp", "x.sdp")
        check(net["sources"][0]["encrypted"], net)

    def pair(folder, way):
        sent = write_noise(folder, "L24", 2, 48000)
        {"to_ffmpeg": to_ffmpeg, "to_gst": to_gst, "of_ffmpeg": of_ffmpeg, "of_gst": of_gst}[way](
            folder, free_port())
        heard = (read_raw(f"{folder}/out.raw") if way.startswith("to") else
                 recorded(f"{folder}/out.wav"))
        is_sent(sent, heard, 6, 48000)
    side_by_side(pair, [("to_ffmpeg",), ("to_gst",), ("of_ffmpeg",), ("of_gst",)])


# ---- RED -----------------------------------------------------------------------------------------


@test
def red_makes_good_what_is_lost():
    """Packets are lost by chance, so few that all copies of one hardly ever are."""
    needs("gst-launch-1.0")

    def to_gst(folder, port):
        heard_by_gst(folder, port, gst_from(port, "RED", 2, 48000, 121) +
                     " ! identity drop-probability=0.02 ! rtpreddec pt=121 payloads=\"<97>\" ! "
                     "capssetter caps=application/x-rtp,media=audio,clock-rate=48000,"
                     "encoding-name=L24,channels=2,payload=97 ! " + gst_pcm_out("L24"),
                     lambda: send(folder, port, "L24", 1, "--red", "2"))

    def of_gst(folder, port):
        write_sdp(f"{folder}/x.sdp", port, "a=rtpmap:97 L24/48000/2", "a=rtpmap:121 red/48000/2",
                  "a=fmtp:121 97/97", types="121 97")
        net = heard_by_takt(folder, port, 2, 48000,
                            lambda: gst(folder, gst_pcm_in("L24", 1) + " ! rtpredenc pt=121 "
                                        "distance=1 ! identity drop-probability=0.005 ! "
                                        f"udpsink host=127.0.0.1 port={port}"),
                            "--sdp", "x.sdp")
        check(net["counts"]["repaired"] > 0, net["counts"])

    def pair(folder, way):
        sent = write_noise(folder, "L24", 2, 48000)
        {"to_gst": to_gst, "of_gst": of_gst}[way](folder, free_port())
        heard = (read_raw(f"{folder}/out.raw") if way == "to_gst" else
                 recorded(f"{folder}/out.wav"))
        is_sent(sent, heard, 6, 48000)
    side_by_side(pair, [("to_gst",), ("of_gst",)])


# ---- Reports and descriptions --------------------------------------------------------------------


@test
def reports_of_gstreamer_are_heard():
    needs("gst-launch-1.0")
    port, own = free_port(), free_port()

    def listen():
        listener = gst(".", "rtpbin name=b latency=60 " + gst_from(port, "L24", 2, 48000, 97) +
                       " ! b.recv_rtp_sink_0 b. ! rtpL24depay ! fakesink "
                       f"udpsrc port={port + 1} ! b.recv_rtcp_sink_0 "
                       "b.send_rtcp_src_0 ! udpsink sync=false async=false host=127.0.0.1 "
                       f"port={own}")
        until(lambda: listens(port), "gst-launch-1.0")
        sender = takt(".", "send", f"127.0.0.1:{port}", "--from", f"127.0.0.1:{own}", "-i",
                      "sim:voice", "-t", "6", "--json").wait()
        listener.stop(0, 1)
        net = sender.summary()["net"]
        check(net["reports"]["heard"] > 0, net["reports"])
        equal(len(net["listeners"]), 1, net["listeners"])
        check(net["round_trip_ms"] is not None and net["round_trip_ms"] < 1000, net)
    unless_stalled(listen, tries=2)


@test
def nobody_tells_what_it_is_is_one_line():
    needs("ffmpeg")
    run("run", "sim:tone", "in.wav", "--fast", "-t", "2.5", "-c", "2", "-q")
    port = free_port()
    listener = takt(".", "recv", f"127.0.0.1:{port}", "-o", "out.wav", "-q")
    until(lambda: listens(port), "takt recv")
    ffmpeg(".", "-re", "-i", "in.wav", "-c:a", "pcm_s24be", "-f", "rtp",
           f"rtp://127.0.0.1:{port}").wait()
    listener.stop()
    check(re.fullmatch(r"takt: 127\.0\.0\.1:\d+ does not say what its packets are; "
                       r"give its SDP or a format\n", listener.err), listener.err)
    check(not any(wav.Read("out.wav").data), "something is played")


@test
def ffmpeg_takes_the_format_from_the_description():
    """Without a word about the output: rate, channels and level are the sender's."""
    needs("ffmpeg")

    def listen():
        port = free_port()
        sender = takt(".", "send", f"127.0.0.1:{port}", "-i", "sim:voice", "--codec", "L24",
                      "--ptime", "1", "--sdp", "x.sdp", "-t", "5", "--json")
        described("x.sdp")
        ffmpeg(".", "-protocol_whitelist", "file,udp,rtp", "-i", "x.sdp", "out.wav").wait()
        sent = sender.wait().summary()
        heard = wav.Read("out.wav")
        equal((heard.rate_hz, heard.channels), (sent["rate_hz"], len(sent["channels"])))
        check(len(heard.frames) > 3 * 48000, f"{len(heard.frames)} frames")
        rms = 10 * math.log10(power([f[0] / 2**15 for f in heard.frames]))
        near(rms, sent["channels"][0]["rms_dbfs"], 2, "level")
        os.remove("x.sdp")
    unless_stalled(listen, tries=3)


# ---- The manual ----------------------------------------------------------------------------------


def manual_pairs():
    """The commands of its section, in pairs of which one sends and the other listens."""
    with open(f"{ROOT}/man/takt.1", encoding="ascii") as file:
        text = file.read()
    section = re.search(r"^\.Ss With other programs$(.*?)^\.S[hs] ", text, re.M | re.S)[1]
    lines = [line.replace("\\-", "-").replace("\\&", "")
             for line in re.findall(r"^\.Dl (.*)$", section, re.M)]
    return list(zip(lines[0::2], lines[1::2]))


@test
def commands_of_the_manual_do_as_it_says():
    needs("ffmpeg"), needs("gst-launch-1.0")
    run("run", "sim:voice", "in.wav", "--fast", "-t", "3", "-c", "2", "-f", "s16", "-q")
    source = os.path.abspath("in.wav")
    pairs = manual_pairs()
    check(len(pairs) >= 4, f"{len(pairs)} pairs")

    def pair(folder, number):
        port = free_port()
        os.symlink(source, f"{folder}/in.wav")

        def start(command):
            words = shlex.split(command.replace("5004", str(port)))
            return Program(folder, *[TAKT if w == "takt" else w for w in words])
        sends, hears = pairs[number]
        is_described = "x.sdp" in sends
        if is_described:
            sender = start(sends)
            described(f"{folder}/x.sdp")
            listener = start(hears)
        else:
            listener = start(hears)
            until(lambda: listens(port), hears)
            sender = start(sends)
        sender.wait()
        time.sleep(0.4)
        if "gst" in hears or "takt" in hears:
            listener.stop(0, 1)
        else:
            listener.wait()
        level = 10 * math.log10(power(mono(f"{folder}/out.wav")) + 1e-20)
        check(level > -40, f"{hears}: {level} dBFS")
    side_by_side(pair, [(number,) for number in range(len(pairs))])


tests_done()
