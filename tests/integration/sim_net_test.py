"""takt sim net: every fault shows in the statistics, the same seed gives the same bytes, recorded
arrivals replay, and rows of scenarios hold.

Usage: sim_net_test.py TAKT SOURCE_ROOT
"""
import sys

sys.dont_write_bytecode = True

import random

from program import check, equal, near, one_line, run, test, tests_done

MINUTE = "0.02"  # of an hour; a bit more than one


def flat(summary):
    """With the counts beside the rest."""
    summary["net"].update(summary["net"]["counts"])
    return summary


def sim(*options, hours=MINUTE, seed="7", status=0):
    """The last line of a run at 8000 Hz, which is cheap."""
    rate = [] if "--rate" in options else ["--rate", "8000"]
    return flat(run("sim", "net", "--seed", seed, "--hours", hours, *rate, *options, "--json",
                    status=status).summary())


# ---- The same every time -------------------------------------------------------------------------


@test
def the_same_seed_and_options_give_the_same_bytes_and_another_seed_does_not():
    words = ("--hours", "0.05", "--loss", "0.05", "--jitter", "gamma:5,5", "--drift", "200,10",
             "--restart", "20", "--encrypted", "yes", "--json")
    first, again, other = (run("sim", "net", "--seed", s, *words).out for s in ("3", "3", "4"))
    check(first == again, "the same bytes")
    check(first != other, "other bytes")


@test
def a_scenario_of_a_row_is_the_same_alone():
    runs = [run("sim", "net", "--seed", "1", "--scenario", "4", "--json").out for _ in range(2)]
    equal(runs[0], runs[1])


@test
def fixed_rows_break_no_invariant():
    for seed in ("1", "2"):
        done = run("sim", "net", "--seed", seed, "--hours", "0.8", "-q")
        equal((done.status, done.out, done.err), (0, "", ""))


# ---- What is told --------------------------------------------------------------------------------


@test
def summary_has_the_names_that_all_have():
    said = run("sim", "net", "--hours", "0.05", "--loss", "0.01", "--json")
    lines = said.lines()
    check(len(lines) > 2 and all(line["type"] == "progress" for line in lines[:-1]), said.out)
    summary = lines[-1]
    equal((summary["type"], summary["verb"], summary["broken"]), ("summary", "sim net", None))
    for name in ("latency_ms", "target_ms", "late_ratio", "lost_ratio", "repaired_ratio",
                 "concealed_ratio", "drift_ppm", "packets", "kbit_s", "cost_ms", "delay_ms_mean"):
        check(name in summary["net"], name)
    text = run("sim", "net", "--hours", "0.05", "--loss", "0.01").out
    check("no invariant broken" in text and "latency" in text, text)
    equal(run("sim", "net", "--hours", MINUTE, "--loss", "0.01", "-q").out, "")


@test
def help_is_one_screen_and_names_every_option():
    lines = run("sim", "net", "--help").out.splitlines()
    check(len(lines) <= 23 and max(map(len, lines)) <= 79, (len(lines), max(map(len, lines))))
    for name in ("loss", "burst", "jitter", "spike", "wifi", "step", "still", "reorder",
                 "duplicate", "corrupt", "truncate", "partition", "bottleneck", "drift", "restart",
                 "stall", "jump", "trace", "seed", "hours", "json"):
        check(any(f"--{name}" in line for line in lines), name)


@test
def wrong_options_are_one_clear_line():
    for words in (["--loss", "2"], ["--loss", "x"], ["--loss"], ["--loss", "0.9", "--burst", "2"],
                  ["--jitter", "gauss:1,2"], ["--jitter", "gamma:1"], ["--drift", "900"],
                  ["--drift", "0x10"], ["--stall", "0"], ["--restart", "1,2"], ["--jump", "3"],
                  ["--codec", "mp3"], ["--ptime", "99"], ["--rate", "1"], ["--encrypted", "maybe"],
                  ["--los", "0.1"], ["--seed", "0"], ["more"], ["--copies", "2", "--ptime", "20"],
                  ["--scenario", "1", "--loss", "0.1"], ["--trace", "x", "--loss", "0.1"],
                  ["--codec", "L24", "--rate", "192000", "--channels", "2", "--ptime", "20"]):
        said = one_line(run("sim", "net", *words, status=2))
        check(said.startswith("takt: sim net: "), said)


# ---- Faults --------------------------------------------------------------------------------------


@test
def nothing_is_wrong_on_a_good_path():
    s = sim("--delay", "20")
    net, path = s["net"], s["path"]
    equal([net[n] for n in ("late", "lost", "duplicated", "repaired")], [0] * 4)
    check(net["skipped"] <= 5, net)  # before the first sound
    equal((path["lost"], path["sent"]), (0, path["delivered"]))
    near(net["played"], 72 * 200, 3, "played")
    check(net["concealed_ratio"] < 0.0005, net)
    near(net["round_trip_ms"], 40, 10, "round trip")
    near(net["latency_ms"]["p50"], 20 + 5 + 5 + 5 + net["delay_ms"], 5, "latency")


@test
def loss_is_lost_and_repair_mends_it():
    net = sim("--loss", "0.05", hours="0.1")["net"]
    near(net["lost_ratio"], 0.05, 0.005, "lost")
    check(net["concealed_ratio"] > 0.04, net)
    mended = sim("--loss", "0.05", "--repair", "2", hours="0.1")["net"]
    near(mended["lost_ratio"] + mended["repaired_ratio"] + mended["late_ratio"], 0.05, 0.01,
         "lost, late or mended")
    check(mended["lost_ratio"] < 0.2 * net["lost_ratio"], mended)
    copied = sim("--loss", "0.05", "--copies", "2", hours="0.1")["net"]
    check(copied["lost_ratio"] < 0.2 * net["lost_ratio"], copied)


@test
def bursts_are_longer_gaps():
    one, many = (sim("--loss", "0.05", "--burst", n, "--copies", "1", hours="0.1")["net"]
                 for n in ("1", "8"))
    check(many["lost_ratio"] > 2 * one["lost_ratio"], (one, many))


@test
def jitter_is_answered_by_delay():
    delays = [sim("--jitter", form)["net"] for form in ("uniform:1", "uniform:30", "gamma:10,10",
                                                        "pareto:2,2")]
    calm, uniform, gamma, pareto = (net["delay_ms_mean"] for net in delays)
    check(calm < 5 and 20 < uniform < 35 and gamma > 15 and pareto > calm, delays)
    check(all(net["late_ratio"] < 0.05 for net in delays), delays)
    near(delays[1]["lateness_ms"]["p50"], 15, 2, "half of a uniform jitter")


@test
def what_stands_still_is_heard_and_comes_back():
    good = sim()["net"]
    for words in (["--still", "10,200"], ["--spike", "1,60"], ["--wifi", "20"], ["--step", "20,50"],
                  ["--partition", "30,2"], ["--stall", "20"], ["--restart", "15"],
                  ["--bottleneck", "150,50", "--jitter", "uniform:1"]):
        net = sim(*words)["net"]
        worse = [n for n in ("late", "lost", "skipped", "resets", "delay_ms_mean")
                 if net[n] > 1.2 * good[n] + (n == "delay_ms_mean")]
        check(worse, f"{words} changes nothing: {net}")
        check(net["played"] > 0.5 * good["played"], f"{words}: {net}")


@test
def partition_costs_what_it_lasts():
    s = sim("--partition", "30,2")
    near(s["net"]["lost"], 400, 5, "packets of two seconds")
    near(s["net"]["concealed_ratio"], 2 / 72, 0.003, "of the sound")


@test
def faults_of_single_packets_are_counted():
    net = sim("--duplicate", "0.1")["net"]
    near(net["duplicated"] / net["packets"], 0.1 / 1.1, 0.02, "duplicated")
    s = sim("--reorder", "0.05")
    check(s["path"]["reordered"] > 500 and s["net"]["lost"] == 0, s)
    s = sim("--corrupt", "0.02", "--truncate", "0.02", "--encrypted", "yes")
    check(s["path"]["corrupted"] > 100 and s["path"]["truncated"] > 100, s)
    near(s["net"]["lost_ratio"], 0.04, 0.01, "what is damaged is refused")


@test
def drift_is_found_to_a_part_of_a_million():
    for ppm in (-500, 200):
        net = sim("--drift", str(ppm), hours="0.1")["net"]
        near(net["drift_ppm"], ppm, 1, "drift")
        check(net["late_ratio"] < 0.001 and net["concealed_ratio"] < 0.001, net)


@test
def restarts_stalls_and_jumps_are_told():
    s = sim("--restart", "20", "--stall", "30,1", "--jump", "20,5000", "--encrypted", "yes",
            hours="0.1")
    check(s["restarts"] > 5 and s["stalls"] > 3 and s["jumps"] > 5, s)


@test
def every_codec_and_size_plays():
    for words in (["--codec", "L24", "--rate", "44100", "--channels", "2", "--ptime", "1"],
                  ["--codec", "x-f32", "--ptime", "0.33", "--rate", "48000"],
                  ["--codec", "L16", "--ptime", "20", "--block", "1000"],
                  ["--sound", "pauses", "--late", "0.3%", "--jitter", "uniform:10"],
                  ["--latency", "30", "--jitter", "uniform:10"], ["--max-latency", "10ms"]):
        s = sim(*words)
        check(s["net"]["played"] > 1000 and s["net"]["lost"] == 0, s)
    near(sim("--latency", "30", "--jitter", "uniform:10")["net"]["delay_ms_mean"], 30, 1, "delay")


# ---- Recorded arrivals ---------------------------------------------------------------------------


def arrivals(count, jitter_ms, seed=1, ticks=240, first=4294960000):
    chance = random.Random(seed)
    lines = [(round(i * ticks / 48 * 1e6 + chance.uniform(0, jitter_ms) * 1e6),
              (first + ticks * i) % 2**32) for i in range(count)]
    return sorted(lines)


def keep(name, lines, head="# arrivals\n"):
    with open(name, "w", encoding="ascii") as file:
        file.write(head + "".join(f"{a} {t}\n" for a, t in lines))


@test
def a_trace_is_replayed_as_it_was():
    lines = arrivals(20000, 8)
    keep("in_order", lines)
    one = flat(run("sim", "net", "--trace", "in_order", "--json").summary())
    net = one["net"]
    near(net["packets"], 20000, 10, "packets")
    near(one["seconds"], 100, 1, "seconds")
    near(net["lateness_ms"]["p50"], 4, 0.5, "lateness")
    near(net["cost_ms"], net["delay_ms_mean"] + 2000 * net["late"] / net["packets"], 0.01, "cost")
    check(5 < net["delay_ms_mean"] < 12 and net["cost_ms"] < 16, net)
    random.Random(5).shuffle(lines)
    keep("shuffled", lines)
    equal(flat(run("sim", "net", "--trace", "shuffled", "--json").summary())["net"], net)


@test
def what_a_late_packet_costs_decides_on_the_delay():
    chance = random.Random(2)
    keep("tail", sorted((a + round(chance.expovariate(1 / 3) * 1e6), t)
                        for a, t in arrivals(20000, 0)))
    dear, cheap = (flat(run("sim", "net", "--trace", "tail", "--lambda", ms,
                            "--json").summary())["net"]
                   for ms in ("2000", "30"))
    check(cheap["delay_ms_mean"] < 0.7 * dear["delay_ms_mean"] and cheap["late"] > dear["late"],
          (dear, cheap))
    near(cheap["cost_ms"], cheap["delay_ms_mean"] + 30 * cheap["late"] / cheap["packets"], 0.01,
         "cost")


@test
def a_trace_of_another_clock_is_told_its_rate():
    keep("fast", [(a, t * 2 % 2**32) for a, t in arrivals(4000, 3, first=0)])
    net = flat(run("sim", "net", "--trace", "fast", "--rate", "96000", "--json").summary())["net"]
    near(net["drift_ppm"], 0, 20, "drift")
    check(net["late_ratio"] < 0.02, net)


@test
def what_is_missing_in_a_trace_is_lost():
    lines = [line for i, line in enumerate(arrivals(5000, 2)) if i % 10]
    keep("holes", lines)
    net = flat(run("sim", "net", "--trace", "holes", "--json").summary())["net"]
    near(net["lost_ratio"], 0.1, 0.005, "lost")


@test
def a_wrong_line_is_told_with_its_number():
    good = "".join(f"{a} {t}\n" for a, t in arrivals(100, 1))
    for bad in ("12", "12 13 14", "x 1", "1 x", "1 4294967296", "1 -1", "1e9 5", "1\t", "9" * 400,
                "99999999999999999999 1"):
        with open("bad", "w", encoding="ascii") as file:
            file.write("# a trace\n\n" + good + bad + "\n" + good)
        said = one_line(run("sim", "net", "--trace", "bad", status=1))
        check("bad:103:" in said, f"{bad[:20]!r}: {said}")
    for text in ("", "# nothing\n", "1 1\n"):
        with open("short", "w", encoding="ascii") as file:
            file.write(text)
        one_line(run("sim", "net", "--trace", "short", status=1))
    one_line(run("sim", "net", "--trace", "none", status=1))


@test
def a_burst_needs_a_share_that_is_lost():
    said = one_line(run("sim", "net", "--hours", "0.01", "--burst", "3", status=2))
    check("--burst" in said and "add --loss" in said, said)
    for share in ("0.05", "0"):
        run("sim", "net", "--hours", "0.01", "--burst", "3", "--loss", share, "-q")


tests_done()
