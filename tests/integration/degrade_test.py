"""How the command bears what goes wrong: fades around gaps, and effects that are bypassed.

Usage: degrade_test.py TAKT
"""
import sys

sys.dont_write_bytecode = True

import math

import wav
from program import check, equal, one_line, run, test, tests_done

RATE = 48000
TONE_STEP = 2 * 0.5 * math.sin(math.pi * 100 / RATE)  # of 100 Hz at -6 dBFS


def recorded(*arguments, source="sim:tone=100", name="out.wav"):
    done = run("run", source, name, "--fast", "-c", "1", "-b", "128", "-f", "f32", *arguments)
    equal(done.status, 0, done.err)
    return [frame[0] for frame in wav.Read(name).frames], done


def largest_step(sound):
    return max(abs(b - a) for a, b in zip(sound, sound[1:]))


def fades_by(ms):
    """The most that two frames differ by when the input's fade and the output's coincide."""
    return TONE_STEP + 3 * 0.51 * math.pi / 2 / (int(ms * RATE / 1000) + 1)


@test
def gaps_fade_and_without_a_fade_they_click():
    troubles = "sim:tone=100,xrun=0.1013s,xrun=0.5011s,vanish=0.3021s+0.1s,host=128"
    for ms in (0.5, 2, 20):
        sound, done = recorded("-t", "0.8", "--fade", str(ms), "--json", source=troubles)
        health = done.summary()["health"]
        equal((health["fades"], health["bypasses"]), (4, 0))
        check(largest_step(sound) <= fades_by(ms), f"{largest_step(sound)} with {ms} ms")
    sound, done = recorded("-t", "0.8", "--fade", "off", "--json", source=troubles)
    equal(done.summary()["health"]["fades"], 0, "softened")
    equal(done.summary()["events"]["device_lost"], 1)
    check(largest_step(sound) > 0.1, largest_step(sound))


@test
def sound_without_a_glitch_is_the_same_with_and_without():
    run("record", "in.wav", "-i", "sim:voice", "-t", "0.5", "--fast", "-q", "-f", "f32")
    with_fade, done = recorded("--fade", "50ms", "--bypass", "dry", "--json", source="in.wav")
    without, _ = recorded("--fade", "off", source="in.wav")
    equal(with_fade, without)
    equal(with_fade, [frame[0] for frame in wav.Read("in.wav").frames])
    equal(done.summary()["health"]["fades"], 0, done.summary()["events"])


@test
def effects_that_overrun_are_bypassed_and_that_is_told_alike_on_every_run():
    for with_what in ("silence", "dry"):
        arguments = ["gain=-6dB", "out.wav", "--fast", "-c", "1", "-t", "3", "-f", "f32",
                     "--bypass", with_what]
        first = run("run", "sim:tone=100,work=4ms,host=128", *arguments)
        summary = run("run", "sim:tone=100,work=4ms,host=128", *arguments, "--json").summary()
        health = summary["health"]
        equal((health["bypassed"], health["bypasses"]), (1, 1))
        check(2 <= health["retries"] <= 4, health)  # after 0.25, 0.5, 1 and 2 s
        # A bypassed callback costs nothing: what is left is what it took to find out.
        check(summary["contract"]["misses"]["total"] <= 3 + 2 * health["retries"], summary)
        check("bypassed; tried again in 0.25 s" in first.err, first.err)
        check("effects bypassed 1 time" in first.out, first.out)
        sound = [frame[0] for frame in wav.Read("out.wav").frames]
        equal(len(sound), 3 * RATE)
        check(largest_step(sound) <= fades_by(2), largest_step(sound))
        peak = max(map(abs, sound[RATE:]))
        check(peak == 0 if with_what == "silence" else peak > 0.49, peak)
        again = run("run", "sim:tone=100,work=4ms,host=128", *arguments)
        equal((again.out, again.err), (first.out, first.err))
        equal([frame[0] for frame in wav.Read("out.wav").frames], sound)


@test
def values_out_of_range_are_one_clear_line_and_2():
    for option, values in {"--fade": ["0", "-1", "51", "2s", "ms", "x", "nan", "", "1e99"],
                           "--bypass": ["wet", "", "Dry"]}.items():
        for value in values:
            one_line(run("run", "sim:tone", "null:", "-t", "1", "--fast", f"{option}={value}",
                         status=2))
    done = run("run", "sim:tone", "null:", "-c", "1", "--fast", "-t", "0.1", "--fade", "off")
    equal(done.status, 0, done.err)


tests_done()
