"""takt spectrum: what it prints, draws and keeps, of sounds that are made here.

Usage: spectrum_test.py TAKT SOURCE_ROOT
"""
import sys

sys.dont_write_bytecode = True

import array
import base64
import itertools
import math
import os
import signal
import struct
import subprocess
import time
import xml.dom.minidom
import zlib

from program import ENVIRONMENT, TAKT, check, equal, near, one_line, run, test, tests_done
from screen import Screen

# Where the picture's parts are, in its pixels.
LEFT, RIGHT, TOP, BOTTOM = 100, 1480, 64, 564


def write_f32(path, samples, channels=1, rate_hz=48000):
    """samples: floats, channel by channel within each frame."""
    data = array.array("f", samples).tobytes()
    head = struct.pack("<HHIIHH", 3, channels, rate_hz, rate_hz * channels * 4, channels * 4, 32)
    body = (b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", len(data)) +
            data)
    with open(path, "wb") as file:
        file.write(b"RIFF" + struct.pack("<I", len(body)) + body)


def sine(hz, seconds, amplitude=1.0, rate_hz=48000):
    step = 2 * math.pi * hz / rate_hz
    return [amplitude * math.sin(step * i) for i in range(int(seconds * rate_hz))]


class Png:
    """Decoded by hand: every chunk's checksum, every filter."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        equal(data[:8], b"\x89PNG\r\n\x1a\n", "signature")
        at, packed, names = 8, b"", []
        while at < len(data):
            size, name = struct.unpack_from(">I4s", data, at)
            body = data[at + 8:at + 8 + size]
            equal(struct.unpack_from(">I", data, at + 8 + size)[0], zlib.crc32(name + body), name)
            names.append(name)
            if name == b"IHDR":
                self.width, self.height, *kind = struct.unpack(">IIBBBBB", body)
                equal(kind, [8, 2, 0, 0, 0], "8 bits of three colours")
            if name == b"IDAT":
                packed += body
            at += 12 + size
        equal((names[0], names[-1], at), (b"IHDR", b"IEND", len(data)))
        rows, stride = zlib.decompress(packed), self.width * 3
        equal(len(rows), (stride + 1) * self.height)
        self.rows, above = [], None
        for y in range(self.height):
            kind = rows[y * (stride + 1)]
            row = bytearray(rows[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
            check(kind < 3, f"filter {kind}")
            for colour in range(3) if kind == 1 else ():
                row[colour::3] = bytes(n & 255 for n in itertools.accumulate(row[colour::3]))
            if kind == 2 and above is not None:
                row = bytes([(a + b) & 255 for a, b in zip(row, above)])
            self.rows.append(row)
            above = row

    def light(self, x, y):
        return sum(self.rows[y][3 * x:3 * x + 3])

    def brightest_row(self, x):
        return max(range(TOP, BOTTOM), key=lambda y: (self.light(x, y), y))


def row_of(hz, low=20, high=20000):
    return BOTTOM - math.log(hz / low) / math.log(high / low) * (BOTTOM - TOP)


# ---- Pictures ------------------------------------------------------------------------------------


@test
def png_has_each_tone_at_its_time_and_frequency():
    write_f32("tones.wav", sine(500, 1) + sine(4000, 1, 0.1))
    run("spectrum", "--fast", "-q", "--png", "spec.png", "tones.wav", "--size", "4096")
    picture = Png("spec.png")
    equal((picture.width, picture.height), (1600, 1000))
    for share, hz in [(0.1, 500), (0.45, 500), (0.55, 4000), (0.9, 4000)]:
        x = LEFT + int(share * (RIGHT - LEFT))
        near(picture.brightest_row(x), row_of(hz), 4, f"{hz} Hz at {share}")
        check(picture.light(x, int(row_of(100))) < 60, f"it is dark elsewhere at {share}")


@test
def png_on_a_linear_scale_is_linear():
    write_f32("tone.wav", sine(12000, 0.5))
    run("spectrum", "--fast", "-q", "--png", "spec.png", "tone.wav", "--scale", "linear")
    near(Png("spec.png").brightest_row(800), (TOP + BOTTOM) / 2, 3)


@test
def png_of_any_length_loses_no_click():
    """Far more windows than there are columns, and one of them has a click."""
    silence = [0.0] * 1000
    samples = silence * 480
    samples[333 * 1000 + 500] = 1.0
    write_f32("click.wav", samples)
    said = run("spectrum", "--fast", "--json", "--size", "64", "--hop", "64", "--png", "c.png",
               "click.wav", "-q")
    check(said.summary()["spectrum"]["windows"] > 2 * 2048, said.summary()["spectrum"])
    picture = Png("c.png")
    at = LEFT + 333.5 / 480 * (RIGHT - LEFT)
    lit = [x for x in range(LEFT, RIGHT) if picture.light(x, 300) > 300]
    check(lit and all(abs(x - at) <= 3 for x in lit), f"{at}: {lit}")


@test
def sound_shorter_than_a_window_has_a_picture_too():
    for frames in [1, 700, 2047, 2048, 2049]:
        write_f32("short.wav", sine(1000, 1)[:frames])
        said = run("spectrum", "--fast", "--json", "short.wav")
        equal(said.summary()["spectrum"]["windows"], 1, frames)
    write_f32("short.wav", sine(1000, 1)[:700])
    run("spectrum", "--fast", "-q", "--png", "s.png", "--html", "s.html", "short.wav")
    near(Png("s.png").brightest_row(800), row_of(1000), 4)
    xml.dom.minidom.parse("s.html")


@test
def html_is_one_well_formed_page():
    write_f32("a & <b>.wav", sine(440, 1, 0.5))
    run("spectrum", "--fast", "-q", "--bands", "third", "--html", "s.html", "a & <b>.wav")
    with open("s.html", encoding="utf-8") as file:
        text = file.read()
    page = xml.dom.minidom.parseString(text)
    check(not page.getElementsByTagName("script"), "no scripts")
    image, = page.getElementsByTagName("image")
    check(image.getAttribute("href").startswith("data:image/png;base64,"), "the image is within")
    for word in ("http://", "https://"):
        equal(text.replace("http://www.w3.org/1999/xhtml", "").count(word), 0, word)
    check("440.0" in text and "a &amp; &lt;b&gt;.wav" in text and "-6.02" in text, "peak and name")
    with open("within.png", "wb") as file:
        file.write(base64.b64decode(image.getAttribute("href").split(",")[1], validate=True))
    near(Png("within.png").width, 1000, 0)


@test
def fast_gives_the_same_bytes_on_every_run():
    def once():
        said = run("spectrum", "sim:guitar", "-t", "1", "--fast", "--json", "--bands", "octave",
                   "--bins", "30", "--png", "p.png", "--html", "p.html")
        with open("p.png", "rb") as png, open("p.html", "rb") as html:
            return said.raw, png.read(), html.read()
    equal(once(), once())


# ---- Lines ---------------------------------------------------------------------------------------


@test
def lines_have_the_peaks_at_the_windows_middle():
    write_f32("two.wav", [a + b for a, b in zip(sine(1234.5, 1, 0.5), sine(5000, 1, 0.01))])
    *lines, summary = run("spectrum", "two.wav", "--fast", "--json").lines()
    lines = [l for l in lines if l["type"] == "spectrum"]
    equal(len(lines), (48000 - 2048) // 512 + 1)
    for i, line in enumerate(lines):
        near(line["time_s"], (i * 512 + 1024) / 48000, 1e-6)
        equal(len(line["peaks"]), 2)
        for peak, (hz, dbfs) in zip(line["peaks"], [(1234.5, -6.02), (5000, -40)]):
            near(peak["hz"], hz, 0.1)
            near(peak["dbfs"], dbfs, 0.02)
        check("bands" not in line and "bins" not in line, line)
    of = summary["spectrum"]
    equal((of["size"], of["hop"], of["window"], of["windows"]), (2048, 512, "hann", len(lines)))
    near(of["peaks"][0]["hz"], 1234.5, 0.05)
    equal(summary["analyses"]["spectrum"]["lost_windows"], 0)


@test
def every_window_shape_reads_the_same():
    write_f32("tone.wav", sine(997, 0.5, 0.25))
    for shape in "hann hamming blackman blackman-harris flat-top kaiser gauss rect".split():
        for size in ["1024", "16384"] if shape == "hann" else ["4096"]:
            peak = run("spectrum", "tone.wav", "--fast", "--json", "--window", shape, "--size", size,
                       "-q", "--range", "20").summary()["spectrum"]["peaks"][0]
            near(peak["hz"], 997, 1.5 if shape == "rect" else 0.1, shape)
            near(peak["dbfs"], -12.041, 0.2 if shape == "rect" else 0.03, shape)


@test
def the_loudest_channel_counts():
    left, right = sine(1000, 0.5, 0.5), sine(3000, 0.5, 0.125)
    write_f32("lr.wav", [x for pair in zip(left, right) for x in pair], channels=2)
    peaks = run("spectrum", "lr.wav", "--fast", "--json", "-q").summary()["spectrum"]["peaks"]
    for peak, (hz, dbfs) in zip(peaks, [(1000, -6.02), (3000, -18.06)]):
        near(peak["hz"], hz, 0.1)
        near(peak["dbfs"], dbfs, 0.02)


@test
def bands_and_bins_are_there_when_asked_for():
    write_f32("tone.wav", sine(1000, 1))
    *lines, summary = run("spectrum", "tone.wav", "--fast", "--json", "--bands", "third", "--bins",
                          "50", "--scale", "linear").lines()
    last = [l for l in lines if l["type"] == "spectrum"][-1]
    equal([b["band"] for b in last["bands"]][::10], ["20", "200", "2k", "20k"])
    for bands in (last["bands"], summary["spectrum"]["bands"]):
        loudest = max(bands, key=lambda b: b["dbfs"])
        equal(loudest["band"], "1k")
        near(loudest["dbfs"], 0, 0.1)
        check(max(b["dbfs"] for b in bands if b["band"] not in ("800", "1k", "1.25k")) < -17, bands)
    equal((last["bins"]["low_hz"], last["bins"]["high_hz"], last["bins"]["scale"]),
          (0, 24000, "linear"))
    equal(len(last["bins"]["dbfs"]), 50)
    equal(max(range(50), key=lambda i: last["bins"]["dbfs"][i]), 2)
    octaves = run("spectrum", "tone.wav", "--fast", "--json", "--bands", "octave",
                  "-q").summary()["spectrum"]["bands"]
    equal([b["band"] for b in octaves], "16 31.5 63 125 250 500 1k 2k 4k 8k 16k".split())


@test
def averages_are_of_what_was_asked():
    """A tone that ends after half a second."""
    write_f32("ends.wav", sine(1031.25, 0.5) + [0.0] * 24000)

    def last_bins(*average):
        line = [l for l in run("spectrum", "ends.wav", "--fast", "--json", "--bins", "100",
                               *average).lines() if l["type"] == "spectrum"][-1]
        return max(line["bins"]["dbfs"])

    equal(last_bins(), -200)
    near(last_bins("--average", "max"), 0, 0.1)
    near(last_bins("--average", "mean"), -3, 0.5)
    near(last_bins("--average", "0.1"), -10 * math.log10(math.e) * 4.8, 1.5)


@test
def hop_may_be_frames_or_an_overlap():
    write_f32("tone.wav", sine(1000, 1))
    for hop, frames in [("512", 512), ("0%", 2048), ("50%", 1024), ("75%", 512), ("3000", 3000)]:
        of = run("spectrum", "tone.wav", "--fast", "--json", "-q", "--hop", hop).summary()
        equal((of["spectrum"]["hop"], of["spectrum"]["windows"]),
              (frames, (48000 - 2048) // frames + 1))


@test
def text_names_the_peaks():
    write_f32("tone.wav", sine(440, 2.5, 0.5))
    out = run("spectrum", "tone.wav", "--fast", "--bands", "octave").out
    check(out.count("440.0 Hz -6.0") == 4, out)
    check("peaks of the mean" in out and "500   -" in out, out)


# ---- The terminal --------------------------------------------------------------------------------


def look(columns, rows, wait_for, environment, *more):
    with Screen(columns, rows, "spectrum", "sim:tone", *more, environment=environment) as screen:
        check(screen.wait_for(wait_for), screen.text())
        screen.watch(0.4)
        text = screen.text()
        screen.press("\x03")
        equal(screen.end(), 0)
        equal(screen.faults, [])
        check(screen.is_given_back(), "the terminal is as it was")
        return text, screen.shown


@test
def terminal_shows_peak_axis_and_spectrogram():
    for columns, rows in [(80, 24), (200, 60)]:
        text, shown = look(columns, rows, r"1000\.0 Hz -6\.0", {"COLORTERM": "truecolor"})
        check("▀" in text and "20k" in text and "dBFS" in text and "contract" in text, text)
        check("\x1b[38;2;" in shown and "\x1b[48;2;" in shown, "24 bits of colour")


@test
def terminal_with_256_colours_gets_those():
    _, shown = look(80, 24, "▀", {"TERM": "xterm-256color"}, "--bands", "third")
    check("\x1b[38;5;" in shown and ";2;" not in shown, "256 colours")


@test
def terminal_without_colours_gets_letters():
    for environment in ({"NO_COLOR": "1", "COLORTERM": "truecolor"}, {"TERM": "xterm"},
                        {"TERM": "vt100", "LC_ALL": "C"}):
        text, shown = look(80, 24, "@", environment)
        check("▀" not in text and "[38;" not in shown and "[48;" not in shown, shown[-500:])


@test
def terminal_that_is_small_or_resized_is_not_torn():
    with Screen(80, 24, "spectrum", "sim:voice", environment={"COLORTERM": "24bit"}) as screen:
        for columns, rows in [(80, 24), (20, 5), (40, 8), (31, 3), (120, 40)]:
            screen.resize(columns, rows)
            screen.watch(0.25)
        screen.press("\x03")
        equal(screen.end(), 0)
        check(screen.is_given_back(), "the terminal is as it was")


# ---- What goes wrong -----------------------------------------------------------------------------


@test
def bad_options_are_one_clear_line():
    write_f32("tone.wav", sine(440, 0.1))
    bad = {"--size": ["63", "1000", "131072", "-1", "x", ""], "--hop": ["0", "x", "100%", "5%%", ""],
           "--window": ["hanning", ""], "--scale": ["lin", ""], "--range": ["5", "201", "x", "+80"],
           "--bands": ["thirds", ""], "--bins": ["0", "4097", "x"], "--average": ["0", "-1", "avg"],
           "--png": [""]}
    for option, values in bad.items():
        for value in values:
            said = run("spectrum", "tone.wav", "--fast", f"{option}={value}", status=2)
            check(one_line(said).startswith(f"takt: spectrum: {option} {value}: "), said.err)
    for arguments in (["a", "b"], ["tone.wav", "-i", "tone.wav"], ["sim:tone", "--fast"],
                      ["tone.wav", "--png", "tone.wav"], ["tone.wav", "--html", "tone.wav"],
                      ["tone.wav", "--png", "x", "--html", "x"], ["tone.wav", "--size"]):
        one_line(run("spectrum", *arguments, status=2))
    one_line(run("meter", "tone.wav", "--png", "x.png", status=2))


@test
def pictures_are_whole_or_as_they_were():
    write_f32("tone.wav", sine(440, 0.1))
    for name in ("old.png", "old.html"):
        with open(name, "w", encoding="utf-8") as file:
            file.write("as it was")
    one_line(run("spectrum", "nosuch.wav", "--png", "old.png", "--html", "old.html", status=1))
    one_line(run("spectrum", "tone.wav", "--fast", "--png", "nosuch/x.png", status=1))
    one_line(run("spectrum", "tone.wav", "--fast", "--html", ".", status=1))
    running = subprocess.Popen([TAKT, "spectrum", "sim:tone", "--png", "old.png", "--html",
                                "old.html"], stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    time.sleep(0.4)
    running.send_signal(signal.SIGKILL)
    running.wait(timeout=30)
    for name in ("old.png", "old.html"):
        with open(name, encoding="utf-8") as file:
            equal(file.read(), "as it was")
    equal(sorted(os.listdir(".")), ["old.html", "old.png", "tone.wav"])


@test
def ctrl_c_keeps_the_picture_of_what_was_heard():
    running = subprocess.Popen([TAKT, "spectrum", "sim:tone", "--png", "live.png", "--json"],
                               stdout=subprocess.PIPE, env=ENVIRONMENT)
    heard = 0
    while heard < 20:
        heard += running.stdout.readline().startswith(b'{"type":"spectrum"')
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=30)
    equal(running.returncode, 0)
    check(b'"ended_by":"user"' in out.splitlines()[-1], out[-200:])
    picture, row = Png("live.png"), int(row_of(1000))
    lit = [x for x in range(LEFT, RIGHT, 40) if picture.light(x, row) > 500]
    check(len(lit) > 5, f"the tone is at {lit}")  # windows may be lost on a busy machine


tests_done()
