#!/usr/bin/env python3
"""takt record --on-voice and takt beat, on what espeak-ng says and sox makes."""
import array
import json
import math
import os
import random
import signal
import subprocess
import wave

from program import ENVIRONMENT, TAKT, check, equal, near, needs, one_line, run, test, tests_done

RATE = 48000


def write(path, frames, channels=1, rate=RATE):
    """16-bit samples, -1..1."""
    data = array.array("h", (max(-32768, min(32767, round(x * 32767))) for x in frames))
    with wave.open(path, "wb") as w:
        w.setnchannels(channels)
        w.setsampwidth(2)
        w.setframerate(rate)
        w.writeframes(data.tobytes())
    return path


def read(path):
    """Its samples as 16-bit numbers; a frame after the other."""
    with wave.open(path) as w:
        equal(w.getsampwidth(), 2, "bytes a sample")
        return array.array("h", w.readframes(w.getnframes()))


def speak(text, path, voice="en-us"):
    """What espeak-ng makes of it, as samples at 48 kHz with the silence around cut off."""
    needs("espeak-ng")
    needs("sox")
    subprocess.run(["espeak-ng", "-v", voice, "-s", "160", "-w", "said.wav", text], check=True)
    subprocess.run(["sox", "said.wav", "-r", str(RATE), "-c", "1", path, "gain", "-6"], check=True,
                   stderr=subprocess.DEVNULL)
    said = [x / 32767 for x in read(path)]
    loud = [i for i, x in enumerate(said) if abs(x) > 0.003]
    return said[loud[0]:loud[-1] + 1]


def hiss(frames, level, seed=1):
    chance = random.Random(seed)
    return [level * chance.uniform(-1, 1) for _ in range(frames)]


SENTENCES = ["Please keep every word of this sentence.", "She sells sea shells.", "Yes."]


def session(level=0.002, channels=1):
    """Three sentences, with three seconds of hiss around each. Where they are, in frames."""
    sound, places = hiss(3 * RATE, level), []
    for number, text in enumerate(SENTENCES):
        said = speak(text, "one.wav", ["en-us", "en-gb+f3", "en-us+m3"][number])
        places.append((len(sound), len(sound) + len(said)))
        sound += [a + b for a, b in zip(said, hiss(len(said), level, number))]
        sound += hiss(3 * RATE, level, number + 10)
    if channels == 2:
        sound = [x for y in sound for x in (y, y / 2)]
    write("in.wav", sound, channels)
    return places


def segments(said):
    return [line for line in said.lines() if line["type"] == "segment"]


@test
def every_sentence_is_kept_whole_and_the_silence_is_not():
    places = session()
    said = run("record", "--on-voice", "-i", "in.wav", "out.wav", "--fast", "--json")
    found, summary = segments(said), said.summary()
    equal(len(found), len(places), "segments")
    for (start, end), s in zip(places, found):
        check(s["start_frames"] <= start - RATE // 20, f"{s} begins in the sentence from {start} on")
        check(s["start_frames"] >= start - RATE * 6 // 10, f"{s} begins long before {start}")
        check(s["end_frames"] >= end + RATE // 20, f"{s} ends in the sentence up to {end}")
        check(s["end_frames"] <= end + RATE, f"{s} ends long after {end}")
    kept = sum(s["end_frames"] - s["start_frames"] for s in found)
    equal(summary["voice"]["kept_frames"], kept)
    equal(summary["voice"]["kept_frames"] + summary["voice"]["left_out_frames"], summary["frames"])
    equal(summary["voice"]["segments"], len(found))
    equal(summary["recording"]["recorded_frames"], kept)
    equal(summary["out"], "out.wav")
    with wave.open("out.wav") as w:
        equal(w.getnframes(), kept)


@test
def what_is_kept_is_the_source_to_the_bit():
    session(channels=2)
    said = run("record", "--on-voice", "-i", "in.wav", "-f", "s16", "out.wav", "--fast", "--json")
    source, kept, at, fade = read("in.wav"), read("out.wav"), 0, RATE // 200
    for s in segments(said):
        equal(s["at_frames"], at)
        start, end = s["start_frames"], s["end_frames"]
        inner = slice(2 * (start + fade), 2 * (end - fade))
        behind = slice(2 * (at + fade), 2 * (at + end - start - fade))
        check(source[inner] == kept[behind], f"{s}: other samples than the source's")
        at += end - start
    equal(2 * at, len(kept))


@test
def every_run_and_every_block_size_gives_the_same_file():
    session()
    files = []
    for number, block in enumerate(["64", "64", "1000", "4096"]):
        run("record", "--on-voice", "-i", "in.wav", f"{number}.wav", "--fast", "-b", block, "-q")
        with open(f"{number}.wav", "rb") as f:
            files.append(f.read())
    check(all(f == files[0] for f in files), "they differ")
    lines = [run("record", "--on-voice", "-i", "in.wav", "o.wav", "--fast", "--json").out
             for _ in range(2)]
    equal(lines[0], lines[1])


@test
def recording_without_a_voice_is_empty_and_says_so():
    write("noise.wav", hiss(4 * RATE, 0.1))
    said = run("record", "--on-voice", "-i", "noise.wav", "out.wav", "--fast")
    check("voice: none was heard, and the recording is empty" in said.out, said.out)
    with wave.open("out.wav") as w:
        equal(w.getnframes(), 0)
        equal(w.getframerate(), RATE)
    summary = run("record", "--on-voice", "-i", "noise.wav", "out.wav", "--fast", "--json").summary()
    equal(summary["voice"], {"segments": 0, "kept_frames": 0, "left_out_frames": 4 * RATE,
                             "kept_s": 0, "left_out_s": 4})


@test
def voice_at_the_very_end_is_kept_to_the_last_frame():
    said = speak(SENTENCES[0], "one.wav")
    write("in.wav", hiss(2 * RATE, 0.002) + said)
    one = run("record", "--on-voice", "-i", "in.wav", "-f", "s16", "out.wav", "--fast", "--json")
    equal(segments(one)[-1]["end_frames"], 2 * RATE + len(said))
    check(read("out.wav")[-RATE // 2:] == read("in.wav")[-RATE // 2:], "the end is another")


@test
def it_records_live_until_it_is_stopped():
    session()
    takt = subprocess.Popen([TAKT, "record", "--on-voice", "-i", "in.wav", "out.wav", "--json"],
                            stdout=subprocess.PIPE, env=ENVIRONMENT, stdin=subprocess.DEVNULL)
    lines = []
    while not lines or lines[-1]["type"] != "segment":
        lines.append(json.loads(takt.stdout.readline()))
        check(lines[-1]["type"] != "summary", "it ended without a segment")
    takt.send_signal(signal.SIGINT)
    lines += [json.loads(line) for line in takt.stdout.read().splitlines()]
    equal(takt.wait(), 0)
    kept = sum(s["end_frames"] - s["start_frames"] for s in lines if s["type"] == "segment")
    equal(lines[-1]["voice"]["kept_frames"], kept)
    with wave.open("out.wav") as w:
        equal(w.getnframes(), kept)


@test
def what_cannot_be_recorded_is_one_clear_line():
    write("in.wav", hiss(RATE, 0.1))
    one_line(run("record", "--on-voice", "-i", "in.wav", "none/out.wav", "--fast", status=1))
    one_line(run("record", "--on-voice", "-i", "in.wav", "out.mp3", "--fast", status=2))
    one_line(run("record", "--on-voice", "-i", "in.wav", "in.wav", "--fast", status=2))
    one_line(run("record", "--on-voice", "-i", "in.wav", "null:", "--fast", status=2))
    one_line(run("meter", "--on-voice", "in.wav", "--fast", status=2))
    check(not os.path.exists("out.mp3"), "a file was made")


def clicks(bpm, seconds, first=0.5):
    sound, times, at = [0.0] * int(seconds * RATE), [], first
    while at < seconds - 0.1:
        times.append(at)
        for i in range(RATE // 100):
            sound[int(at * RATE) + i] += (0.5 * math.sin(2 * math.pi * 1000 * i / RATE)
                                          * math.exp(-i / (0.002 * RATE)))
        at += 60 / bpm
    write("clicks.wav", sound)
    return times


@test
def beat_finds_each_click_and_the_tempo():
    times = clicks(104, 12)
    said = run("beat", "clicks.wav", "--fast", "--json")
    onsets = [x["time_s"] for x in said.lines() if x["type"] == "onset"]
    beats = [x for x in said.lines() if x["type"] == "beat"]
    equal(len(onsets), len(times), "onsets")
    for a, b in zip(onsets, times):
        near(a, b, 0.01, "an onset")
    for b in beats:
        near(min(abs(b["time_s"] - t) for t in times), 0, 0.02, "a beat")
        near(b["bpm"], 104, 0.5, "its tempo")
    check(len(beats) > len(times) * 0.6, f"{len(beats)} beats for {len(times)} clicks")
    summary = said.summary()
    equal(summary["onset"]["count"], len(onsets))
    equal(summary["beat"]["count"], len(beats))
    near(summary["beat"]["bpm"], 104, 0.2, "bpm")
    every = [x["time_s"] for x in said.lines() if "time_s" in x]
    equal(every, sorted(every), "the order of the lines")
    equal(said.out, run("beat", "clicks.wav", "--fast", "--json").out, "another run")
    text = run("beat", "clicks.wav", "--fast").out
    check("tempo: 104.0" in text and f"onsets: {len(onsets)}" in text, text)


@test
def beat_of_silence_is_none():
    write("silence.wav", [0.0] * (4 * RATE))
    said = run("beat", "silence.wav", "--fast", "--json")
    equal(len(said.lines()), 1)
    equal(said.summary()["beat"]["bpm"], 0)
    check("tempo: none" in run("beat", "silence.wav", "--fast").out, "it says so")


@test
def beat_refuses_two_sources():
    write("a.wav", [0.0] * 480)
    one_line(run("beat", "a.wav", "-i", "a.wav", "--fast", status=2))
    one_line(run("beat", "nosuch.wav", "--fast", status=1))


tests_done()
