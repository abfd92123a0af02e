"""Misses as they happen, and the page that --html keeps of a run.

Usage: report_test.py TAKT
"""
import sys

sys.dont_write_bytecode = True

import os
import re
import resource
import signal
import subprocess
import time
import xml.etree.ElementTree as tree

import wav
from program import (ENVIRONMENT, TAKT, check, equal, near, one_line, run, strict_json, test,
                     tests_done)

HTML = "{http://www.w3.org/1999/xhtml}"
# Misses of several causes on a virtual clock, far more than are kept.
FAULTY = "sim:tone,jitter=150us,work=600us~760us,xrun=0.5s,xrun=1.1s,vanish=1.5s+0.1s"
MISS = {"type", "number", "cause", "position", "time_s", "lateness_us", "duration_us", "slack_us",
        "lost_frames"}
KEPT = 64


def lines_of(said, kind):
    return [line for line in said.lines() if line["type"] == kind]


def causes_of(misses):
    return {cause: sum(m["cause"] == cause for m in misses) for cause in {m["cause"] for m in misses}}


def page_of(path):
    """Well-formed XML, all of it in the one file."""
    with open(path, encoding="utf-8") as file:
        source = file.read()
    for foreign in ("<script", "url(", "src=", "href=", "@import"):
        check(foreign not in source, f"{foreign} in the page")
    return tree.fromstring(source)


def text_of(element):
    return "".join(element.itertext())


def plot(page, name):
    return next(svg for svg in page.iter(HTML + "svg") if svg.get("id") == name)


def marks(page):
    """What is told at each miss in the picture."""
    return [text_of(g.find(f".//{HTML}title")) for g in plot(page, "timeline").iter(HTML + "g")
            if g.get("class") == "miss"]


def columns_misses(page):
    """All that the strip above the picture tells of."""
    told = [text_of(rect) for rect in plot(page, "timeline").iter(HTML + "rect")
            if rect.get("class") == "small"]
    return sum(int(re.match(r"(\d+) miss", t)[1]) for t in told)


# ---- As they happen ------------------------------------------------------------------------------


@test
def every_miss_is_a_line_and_together_they_are_the_contract():
    said = run("meter", FAULTY, "-b", "64", "-t", "3", "--fast", "--json")
    misses, summary = lines_of(said, "miss"), said.summary()
    counts = summary["contract"]["misses"]
    check(counts["total"] > 2 * KEPT, f"only {counts['total']} misses")
    equal(len(misses), counts["total"])
    equal([m["number"] for m in misses], list(range(counts["total"])))
    for cause, count in causes_of(misses).items():
        equal(counts[cause], count, cause)
    check(len(causes_of(misses)) >= 3, causes_of(misses))
    for m in misses:
        equal(set(m), MISS)
        near(m["time_s"], m["position"] / 48000, 1e-6, "time")
    equal(summary["misses_skipped"], 0)
    kept = [{k: v for k, v in m.items() if k != "type"} for m in misses[-KEPT:]]
    equal(summary["last_misses"], kept)


@test
def no_flood_of_misses_stops_a_run():
    for more in (["-b", "64", "-q"], ["-b", "64", "-q", "--json"], ["-b", "2", "--json"], ["-b", "2"]):
        said = run("run", "sim:voice,work=5ms", "null:", "-t", "0.5", "--fast", *more)
        if "--json" in more:
            counts = said.summary()["contract"]["misses"]
            check(counts["overran"] > 90 and counts["total"] == counts["overran"], counts)
            equal(said.summary()["ended_by"], "length")


@test
def lines_come_in_the_order_of_the_streams_time_and_alike_on_every_run():
    said = [run("meter", FAULTY, "-b", "64", "-t", "1", "--fast", "--json") for _ in range(3)]
    equal(len({s.out for s in said}), 1, "different runs")
    times = [line["time_s"] for line in said[0].lines() if line["type"] in ("miss", "level")]
    check(all(a <= b + 64 / 48000 for a, b in zip(times, times[1:])), "a line out of its time")


@test
def on_a_real_clock_every_miss_is_told_or_counted_as_skipped():
    said = run("meter", "sim:tone,xrun=0.1s,xrun=0.3s,xrun=0.5s", "-b", "256", "-t", "0.8", "--json")
    misses, summary = lines_of(said, "miss"), said.summary()
    check(len(misses) >= 3, misses)
    skipped = sum(m.get("skipped", 0) for m in misses)
    equal(skipped, summary["misses_skipped"])
    equal(len(misses) + skipped, summary["contract"]["misses"]["total"])
    numbers = [m["number"] for m in misses]
    equal(numbers, sorted(set(numbers)))


@test
def verbose_tells_each_miss_in_words_and_quiet_tells_none():
    arguments = ["meter", "sim:tone,xrun=0.5s", "-b", "64", "-t", "1", "--fast"]
    said = run(*arguments, "-v")
    check(re.search(r"^takt: 0\.50 s: the device lost frames before frame \d+: ", said.err, re.M),
          said.err)
    equal([line["type"] for line in run(*arguments, "-q", "--json").lines()], ["summary"])
    check("frame" not in run(*arguments).err, "told without -v")


# ---- The page ------------------------------------------------------------------------------------


@test
def page_shows_each_kept_miss_and_counts_all():
    said = run("run", FAULTY, "gain=-3dB", "null:", "-b", "64", "-t", "3", "--fast", "--json",
               "--html", "x.html")
    summary, page = said.summary(), page_of("x.html")
    equal(summary["html"], "x.html")
    equal(os.listdir(), ["x.html"])
    counts, last = summary["contract"]["misses"], summary["last_misses"]
    told = marks(page)
    equal(len(told), KEPT)
    for text, miss in zip(told, last):
        check(text.startswith(f"{miss['time_s']:.3f} s: ") and f"frame {miss['position']}:" in text,
              f"{text} is not {miss}")
    equal(columns_misses(page), counts["total"])
    table = page.find(f".//{HTML}table")
    rows = [[text_of(cell) for cell in line] for line in table.iter(HTML + "tr")][1:]
    equal([int(r[0]) - 1 for r in rows], [m["number"] for m in reversed(last)])
    equal([float(r[6]) for r in rows], [round(m["slack_us"] / 1e3, 3) for m in reversed(last)])
    terms = {text_of(a): text_of(b) for a, b in zip(page.iter(HTML + "dt"), page.iter(HTML + "dd"))}
    equal(int(terms["the device lost frames"]), counts["host_xrun"])
    equal(int(terms["frames lost"]), summary["contract"]["lost_frames"])
    check(f"{counts['total']} of {summary['blocks']} blocks missed" in text_of(page), "verdict")


@test
def marks_lie_within_their_pictures_and_bins_hold_all_blocks():
    summary = run("meter", FAULTY, "-b", "64", "-t", "2", "--fast", "--json", "--html",
                  "x.html").summary()
    page = page_of("x.html")
    for name in ("timeline", "lateness", "duration", "slack"):
        svg = plot(page, name)
        width, height = map(float, svg.get("viewBox").split()[2:])
        for element in svg.iter():
            for key, most in [("x", width), ("cx", width), ("x1", width), ("y", height),
                              ("cy", height), ("y1", height)]:
                if element.get(key):
                    check(0 <= float(element.get(key)) <= most, f"{name}: {key} outside")
        if name != "timeline":
            bins = [text_of(rect) for rect in svg.iter(HTML + "rect")]
            equal(sum(int(b.split()[0]) for b in bins), summary["blocks"], name)


@test
def a_good_run_a_short_one_and_an_empty_one_have_a_page():
    for seconds, blocks in [("1", 750), ("0.003", 3), ("0.00001", 1)]:
        run("meter", "sim:tone", "-b", "64", "-t", seconds, "--fast", "--html", "x.html")
        page = page_of("x.html")
        equal((marks(page), columns_misses(page)), ([], 0))
        check(f"Each of {blocks} blocks kept its deadline" in text_of(page), text_of(page)[-800:])
        equal(page.find(f".//{HTML}table"), None)
    wav.write("empty.wav", "s16", [])
    run("meter", "empty.wav", "--fast", "--html", "x.html")
    page_of("x.html")


@test
def what_a_file_is_called_is_only_text():
    name = "<b>&\"'\x01.wav"
    wav.write(name, "s16", [(0,)] * 4800)
    run("run", name, "null:", "--fast", "--html", "x.html")
    page = page_of("x.html")
    check("<b>&\"'?.wav" in text_of(page), "the name")
    equal(page.find(f".//{HTML}b"), None)


@test
def a_page_that_cannot_be_written_is_refused_before_anything_starts():
    os.mkdir("folder")
    for path, status in [("nosuch/x.html", 1), ("folder", 1), ("/dev/null", 1), ("", 2)]:
        began = time.monotonic()
        one_line(run("record", "out.wav", "-i", "sim:tone", "-t", "100", "--html", path,
                     status=status))
        check(time.monotonic() - began < 50, "it ran")
        equal(os.listdir(), ["folder"])


@test
def the_sound_itself_is_no_place_for_the_page():
    wav.write("in.wav", "s16", [(1,)] * 100)
    whole = open("in.wav", "rb").read()
    os.link("in.wav", "other-name.wav")
    for html in ("in.wav", "other-name.wav", "out.wav"):
        one_line(run("run", "in.wav", "out.wav", "--fast", "--html", html, status=2))
    equal(sorted(os.listdir()), ["in.wav", "other-name.wav"])
    equal(open("in.wav", "rb").read(), whole)


@test
def ctrl_c_leaves_a_whole_page():
    program = subprocess.Popen([TAKT, "meter", "sim:tone", "--json", "--html", "x.html"],
                               env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    program.stdout.readline()
    program.send_signal(signal.SIGINT)
    out, _ = program.communicate(timeout=60)
    summary = strict_json(out.splitlines()[-1])
    equal((program.returncode, summary["ended_by"], summary["html"]), (0, "user", "x.html"))
    check(f"{summary['blocks']} blocks" in text_of(page_of("x.html")), "blocks")


@test
def the_old_page_stays_when_the_new_one_does_not_fit():
    open("x.html", "w").write("old")
    said = run("meter", "sim:tone", "-t", "0.5", "--fast", "--json", "--html", "x.html", status=1,
               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
    equal(said.err, "takt: meter: x.html: cannot write it: File too large\n")
    check("html" not in said.summary(), "named all the same")
    equal((os.listdir(), open("x.html").read()), (["x.html"], "old"))


tests_done()
