"""takt meter: loudness, true peak and needles, beside ffmpeg and sox, and how they look.

Usage: meter_test.py TAKT SOURCE_ROOT
"""
import sys

sys.dont_write_bytecode = True

import glob
import math
import re
import subprocess

import wav
from program import Skip, check, equal, near, needs, one_line, run, test, tests_done
from screen import Screen

MODES = ["level", "loudness", "truepeak", "vu", "ppm-din", "ppm-nordic", "ppm-bbc", "ppm-ebu", "k20",
         "k14", "k12", "correlation", "all"]


def meter(path, *more):
    return run("meter", path, "--fast", "--json", "-q", *more).summary()


def needs_loudness():
    said = run("meter", "sim:tone", "--fast", "-t", "0.1", "--json").summary()
    if said["loudness"]["integrated_lufs"] is None:
        raise Skip("built without libebur128")


def sine(dbfs, seconds, hz=1000, rate_hz=48000):
    top = 10 ** (dbfs / 20)
    return [(top * math.sin(2 * math.pi * hz * i / rate_hz),) for i in range(int(seconds * rate_hz))]


# ---- Beside others -------------------------------------------------------------------------------


def ffmpeg_says(path):
    """I, LRA and the true peak in dB, to three digits but the last, which is printed to one."""
    said = subprocess.run(
        ["ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-i", path, "-af",
         "ebur128=peak=true:metadata=1,ametadata=mode=print:file=-", "-f", "null", "-"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    values = dict(re.findall(r"lavfi\.r128\.(\w+)=(\S+)", said.stdout.decode()))
    summary = said.stderr.decode().rpartition("Summary:")[2]
    peak = re.search(r"Peak: +(\S+) dBFS", summary)[1]
    return float(values["I"]), float(values["LRA"]), float(peak)


def sox(*arguments):
    subprocess.run(["sox", *arguments], check=True, timeout=60, stderr=subprocess.DEVNULL)


def recordings(all_kinds=True):
    """Real ones: alsa-utils' and speech; programmes put together of them; other rates."""
    alsa = sorted(glob.glob("/usr/share/sounds/alsa/*.wav"))
    needs("ffmpeg")
    needs("sox")
    needs("espeak-ng")
    if len(alsa) < 4:
        raise Skip("no /usr/share/sounds/alsa")
    subprocess.run(["espeak-ng", "-w", "speech.wav", "Measure what is there, and say so. Then wait, "
                    "and measure it again, since it may have changed; nobody knows before."],
                   check=True, timeout=60)
    if not all_kinds:
        return [*alsa[:3], "speech.wav"]
    sox("-M", alsa[0], alsa[1], "stereo.wav", "pad", "0", "0.2", "repeat", "4")
    sox(*alsa[2:6], "-c", "2", "programme.wav", "repeat", "1", "pad", "1", "0.037", "tremolo", "0.2", "80")
    sox("speech.wav", "-r", "44100", "-b", "24", "speech-44100.wav")
    sox("speech.wav", "-r", "96000", "-c", "2", "speech-96000.wav", "gain", "-n", "-0.1")
    sox("-D", "speech.wav", "clipped.wav", "gain", "12")
    return alsa[:4] + ["speech.wav", "stereo.wav", "programme.wav", "speech-44100.wav",
                       "speech-96000.wav", "clipped.wav"]


@test
def recordings_are_as_loud_as_ffmpeg_says():
    needs_loudness()
    for path in recordings():
        loudness = meter(path)["loudness"]
        integrated, loudness_range, true_peak = ffmpeg_says(path)
        near(loudness["integrated_lufs"], integrated, 0.1, f"{path}: integrated")
        near(loudness["loudness_range_lu"], loudness_range, 0.1, f"{path}: range")
        # Theirs is rounded to 0.1. At 96 kHz it oversamples twice as much.
        near(loudness["true_peak_dbtp"], true_peak, 0.151, f"{path}: true peak")


@test
def recordings_have_the_rms_and_peak_that_sox_says():
    for path in recordings(all_kinds=False):
        for number, channel in enumerate(meter(path)["channels"], 1):
            said = subprocess.run(["sox", path, "-n", "remix", str(number), "stats"],
                                  stderr=subprocess.PIPE, timeout=60).stderr.decode()
            for name, ours in (("RMS lev dB", "rms_dbfs"), ("Pk lev dB", "peak_dbfs")):
                near(channel[ours], float(re.search(name + r" +(\S+)", said)[1]), 0.006, f"{path} {ours}")


# ---- What it says --------------------------------------------------------------------------------


@test
def json_has_all_quantities_whatever_the_mode():
    said = {mode: run("meter", "sim:voice+guitar", "--fast", "--json", "-t", "1.05", "--mode",
                      mode).out for mode in MODES}
    equal(len(set(said.values())), 1, "all modes say the same")
    *lines, summary = run("meter", "sim:voice+guitar", "--fast", "--json", "-t", "1.05").lines()
    meters = [l for l in lines if l["type"] == "meter"]
    equal([round(l["time_s"], 6) for l in meters], [i / 10 for i in range(1, 11)] + [1.05])
    channel = {"window_rms_dbfs", "true_peak_dbtp", "vu", "ppm_din_db", "ppm_nordic_db", "ppm_bbc",
               "ppm_ebu_db", "k20_db", "k14_db", "k12_db"}
    for line in meters:
        equal(set(line), {"type", "time_s", "momentary_lufs", "short_term_lufs", "integrated_lufs",
                          "loudness_range_lu", "true_peak_dbtp", "correlation", "channels"})
        equal([set(c) for c in line["channels"]], [channel, channel])
    equal([set(c) for c in summary["meters"]], [channel - {"window_rms_dbfs"}] * 2)
    for c, most in enumerate(summary["meters"]):
        for name, value in most.items():
            seen = max(line["channels"][c][name] for line in meters)
            check(value >= seen - 1e-9, f"{name}: {value} is less than {seen}")


@test
def tone_reads_what_it_is_on_every_scale():
    """A sine at the alignment level, -18 dBFS, in one channel of two."""
    wav.write("x.wav", "f32", [(x[0], 0) for x in sine(-18, 4)], channels=2)
    *_, last, summary = run("meter", "x.wav", "--fast", "--json").lines()
    left, right = [l for l in (last,) if l["type"] == "meter"][0]["channels"]
    for name, wanted in dict(vu=0, ppm_din_db=-9, ppm_nordic_db=0, ppm_bbc=4, ppm_ebu_db=0, k20_db=2,
                             k14_db=-4, k12_db=-6, window_rms_dbfs=-21.01).items():
        near(left[name], wanted, 0.1, name)
        check(right[name] < -30, f"{name} of silence is {right[name]}")
    equal((last["correlation"], summary["correlation"]["total"]), (0, 0))
    needs_loudness()
    near(last["momentary_lufs"], -21.01, 0.05, "M")
    near(summary["loudness"]["integrated_lufs"], -21.01, 0.05, "I")
    near(summary["loudness"]["true_peak_dbtp"], -18, 0.05, "true peak")
    equal(right["true_peak_dbtp"], -200)


@test
def every_frame_is_counted_also_the_last():
    needs_loudness()
    for frames in (1, 2, 479, 4801, 12345):
        wav.write("x.wav", "f32", [(0.01,)] * (frames - 1) + [(0.9,)])
        for block in ("64", "1000"):
            said = meter("x.wav", "-b", block)
            near(said["loudness"]["true_peak_dbtp"], 20 * math.log10(0.9), 0.5, f"{frames} frames")
            equal(said["loudness"]["integrated_lufs"] == -200, frames < 19200)
    # The block that ends with the last frame is one of those that are counted.
    wav.write("x.wav", "f32", [(0,)] * 24000 + sine(-20, 0.4))
    near(meter("x.wav")["loudness"]["momentary_max_lufs"], -23.01, 0.05, "M")


@test
def odd_sounds_are_measured():
    needs_loudness()
    wav.write("silent.wav", "s16", [(0, 0)] * 96000, channels=2)
    said = meter("silent.wav")
    equal(said["loudness"]["integrated_lufs"], -200)
    equal(said["loudness"]["loudness_range_lu"], 0)
    equal(said["loudness"]["true_peak_dbtp"], -200)
    check("nothing passed the gate" in run("meter", "silent.wav", "--fast").out, "says so")
    odd = [(math.nan,), (math.inf,), (-math.inf,)] * 3200
    wav.write("odd.wav", "f32", sine(-20, 2) + odd + sine(-20, 2))
    near(meter("odd.wav")["loudness"]["integrated_lufs"], -23.01, 0.6, "around what is no number")
    wav.write("clip.wav", "f32", [(max(-1, min(1, x[0])),) for x in sine(12, 1)])
    said = meter("clip.wav")
    check(said["channels"][0]["clips"] > 10000, "clips")
    near(said["loudness"]["true_peak_dbtp"], 1, 1, "true peak of a clipped sine")
    for rate_hz, channels in ((8000, 64), (192000, 1), (11025, 3)):
        wav.write("x.wav", "f32", [x * channels for x in sine(-20, 0.1, 500, rate_hz)],
                  channels=channels, rate_hz=rate_hz)
        said = meter("x.wav")
        equal(len(said["meters"]), channels)
        for c in said["meters"]:
            near(c["true_peak_dbtp"], -20, 0.3, f"{rate_hz} Hz")


@test
def an_upside_down_channel_is_told_by_the_correlation():
    wav.write("x.wav", "f32", [(x[0], -x[0]) for x in sine(-12, 1, 440)], channels=2)
    said = run("meter", "x.wav", "--fast", "--mode", "correlation").out
    check("correlation -1.00" in said and "correlation: -1.00, at the least -1.00" in said, said)


@test
def what_is_no_mode_and_no_target_is_told():
    check("did you mean truepeak?" in one_line(run("meter", "x", "--mode", "truepeek", status=2)), "near")
    check("ppm-bbc" in one_line(run("meter", "x", "--mode", "nothing-like-it", status=2)), "all")
    for target in ("23", "-71", "-0.5", "nan", "-16dB", "-16LUF", ""):
        one_line(run("meter", "x", "--target", target, status=2))
    needs_loudness()
    equal(meter("sim:tone", "-t", "0.1", "--target", "-16LUFS")["loudness"]["target_lufs"], -16)
    one_line(run("play", "x", "--mode", "vu", status=2))


# ---- How it looks --------------------------------------------------------------------------------


@test
def every_mode_stands_in_place():
    wanted = {"loudness": r" I .*LUFS .*target -23 LUFS", "truepeak": r"dBTP +-48 .*max",
              "vu": r"VU +-20 .* 3 ", "ppm-bbc": r"mark +1 .* 7 ", "k14": r"K-14 .* 14 ",
              "correlation": r"r +-1 .* 1 .*in all", "all": r"correlation.*K-12"}
    for mode, pattern in wanted.items():
        with Screen(80, 24, "meter", "sim:voice+guitar", "--mode", mode) as screen:
            check(screen.wait_for(r"0:00\.[2-9]"), f"{mode}: no picture")
            screen.watch(0.1)
            check(re.search(pattern, screen.text(), re.S), f"{mode}:\n{screen.text()}")
            for columns, rows in ((20, 5), (45, 8), (200, 60)):
                screen.resize(columns, rows)
                screen.watch(0.1)
            check(not screen.cursor, "the cursor is shown")
            screen.press("\x03")
            equal(screen.end(), 0, screen.text())
            check(screen.is_given_back(), "the terminal is not as it was")


@test
def sizes_of_all_kinds_do_not_scroll():
    for mode in ("loudness", "all"):
        for columns, rows, channels in ((20, 5, 2), (31, 3, 1), (67, 9, 64), (120, 30, 64)):
            with Screen(columns, rows, "meter", "sim:voice", "-c", str(channels), "--mode", mode) as screen:
                check(screen.wait_for(r"0:00\.[1-9]"), f"{mode} {columns}x{rows}: no picture")
                screen.watch(0.1)
                equal((screen.scrolled, screen.faults), (0, []), screen.text())
                equal(len(re.findall(r"\d miss", screen.text())), 1, screen.text())
                screen.press("\x03")
                equal(screen.end(), 0)


tests_done()
