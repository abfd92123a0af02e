#!/usr/bin/env python3
"""
doctor_test.py - takt doctor: one object or a page of tables, the same whatever the machine is.

    doctor_test.py TAKT ROOT

What it makes of machines is tested in tests/unit/doctor_test.c; here it is what the command does.
Nothing depends on how quiet this machine is: where advice matters, another one's files are planted.
"""
import glob
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time

from program import (ENVIRONMENT, TAKT, Skip, check, equal, near, needs, one_line, run, strict_json,
                     test, tests_done, unless_stalled)

ROOT = os.path.abspath(sys.argv[2])
SEVERITY = {"minor": 1, "notable": 3, "serious": 9}
SEEN = {"not seen": 1, "possible": 2, "seen": 3}
VERDICTS = {"note", "good", "unknown", *SEVERITY}
NOBODY = 65534


def plant(files):
    """A machine of which only this can be read."""
    for path, text in files.items():
        os.makedirs("machine" + os.path.dirname(path), exist_ok=True)
        with open("machine" + path, "w", encoding="utf-8") as file:
            file.write(text)
    os.makedirs("machine", exist_ok=True)
    return {"TAKT_DOCTOR_ROOT": os.path.abspath("machine")}


def examined(said):
    equal(said.raw.count(b"\n"), 1, "lines")
    return said.summary()


def check_size(size, seconds):
    """What it says fits together, whatever the machine did."""
    near(size["block_us"], size["block_frames"] / 48e-3, 1e-3, "block's time")
    late = size["lateness_us"]
    check(0 < late["p50"] <= late["p99"] <= late["p999"] <= late["max"], late)
    misses = dict(size["misses"])
    equal(misses.pop("total"), sum(misses.values()))
    near(size["seconds"], seconds, 1e-3, "seconds")
    # Every block counts but for those that were lost, which are misses.
    most = seconds * 48000 / size["block_frames"] + size["turns"]
    check(0 < size["blocks"] <= most and (size["blocks"] >= most - 2 * size["turns"]
                                          or size["misses"]["total"]), size)
    if not size["misses"]["total"]:
        check(size["slack_us_min"] >= 0, size)
        # What a block had left, it did not come late by.
        check(late["max"] <= size["block_us"] - size["slack_us_min"] + 1, size)


def check_advice(summary):
    advice = summary["advice"]
    equal(len({a["id"] for a in advice}), len(advice), "advice twice")
    for a in advice:
        equal(a["effect"], SEVERITY[a["severity"]] * SEEN[a["seen"]], a["id"])
        equal(a["text"], f"{a['what']} ({a['why']})")
        check(a["what"] and re.search(r"\d", a["why"]), f"no figure in {a['why']!r}")
    order = [(-a["effect"], -SEVERITY[a["severity"]]) for a in advice]
    equal(order, sorted(order), "order")


def check_summary(s, blocks, seconds):
    equal((s["verb"], s["ended_by"], s["rate_hz"]), ("doctor", "done", 48000))
    equal([size["block_frames"] for size in s["jitter"]], blocks)
    for size in s["jitter"]:
        check_size(size, seconds / len(blocks))
    near(s["seconds"], seconds, 1e-2, "seconds")
    ids = [f["id"] for f in s["findings"]]
    equal(len(set(ids)), len(ids), "a finding twice")
    equal({f["verdict"] for f in s["findings"]} - VERDICTS, set())
    check_advice(s)
    equal(set(s["sched"]), {"policy", "priority", "nice", "memory_locked", "why"})
    safe = {size["block_frames"] for size in s["jitter"] if size["verdict"] == "safe"}
    check(s["smallest_block_frames"] is None or s["smallest_block_frames"] in safe, s["verdict"])


# ---- What it says --------------------------------------------------------------------------------


@test
def json_is_one_object_that_adds_up():
    s = examined(run("doctor", "-t", "0.9", "--json"))
    check_summary(s, [64, 256, 1024], 0.9)
    ids = {f["id"] for f in s["findings"]}
    for wanted in ("policy rtprio rtkit memlock rttime rt_runtime quota governor idle cpus virtual "
                   "preemption clocksource timer_slack huge_pages swap load pressure cards irq "
                   "pipewire jack servers steal switches faults").split():
        check(wanted in ids, f"nothing about {wanted}")
    equal(set(s["meanwhile"]), {"steal", "waiting", "throttled", "interrupts",
                                "switches_involuntary", "faults_major", "faults_minor"})
    equal(os.listdir(), [], "files")


@test
def sizes_may_be_chosen_and_time_is_cut_into_turns():
    s = examined(run("doctor", "--blocks", "512", "-t", "2", "--json"))
    check_summary(s, [512], 2)
    equal([size["turns"] for size in s["jitter"]], [2])


@test
def tables_and_advice_have_79_columns():
    said = run("doctor", "-t", "0.3", environment=plant(
        {"/proc/sys/kernel/sched_rt_runtime_us": "0\n", "/proc/cpuinfo": "model name : " + "x" * 300,
         "/proc/self/cgroup": "0::/" + "slice/" * 60 + "\n",
         "/sys/fs/cgroup/cpu.max": "10000 100000\n"}))
    equal(said.err, "")
    check(all(len(line) <= 79 for line in said.out.splitlines()[1:]), said.out)
    check("\033" not in said.out and "\r" not in said.out, "a terminal's characters in a pipe")
    for wanted in (r"^real-time share +0 % of CPU time +90 % or more +serious$",
                   r"^CPU governor +not readable +unknown$", r"^ +64 +1333 +\d+ ",
                   r"^ \d\. serious: let real-time threads run: sysctl$", r"^\d+ things to do, \d ser"):
        check(re.search(wanted, said.out, re.M), f"{wanted} is not in {said.out}")


@test
def quiet_leaves_the_advice_alone():
    machine = plant({"/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n"})
    out = run("doctor", "-t", "0.1", "-q", environment=machine).out
    check("keep the CPU's clock up" in out and "powersave" in out, out)
    check(all(re.match(r" \d\. (minor|notable|serious): |    ", line) for line in out.splitlines()),
          out)


@test
def machine_that_says_nothing_is_no_failure():
    s = examined(run("doctor", "-t", "0.1", "--json", environment=plant({})))
    verdicts = {f["id"]: f["verdict"] for f in s["findings"]}
    for name in ("rtprio", "governor", "idle", "preemption", "clocksource", "swap", "load", "irq"):
        equal(verdicts[name], "unknown", name)
    equal(s["meanwhile"]["steal"], None)
    check_advice(s)


@test
def bytes_that_are_no_text_are_no_failure():
    machine = plant({"/proc/cpuinfo": "x", "/proc/loadavg": "x"})
    for path in glob.glob("machine/proc/*"):
        with open(path, "wb") as file:
            file.write(b"model name\t: \xff\xfe\0\x1b[31m\n" * 999)
    said = run("doctor", "-t", "0.1", "--json", environment=machine)
    check(examined(said)["cpu"].startswith("???"), said.out)
    check("\033" not in run("doctor", "-t", "0.1", environment=machine).out, "an escape sequence")


# ---- What it measures meanwhile ------------------------------------------------------------------


@test
def time_that_the_host_steals_is_seen():
    machine = plant({"/proc/stat": "cpu 0 0 0 0 0 0 0 0 0 0\n"})
    ended = threading.Event()

    def steal():
        for tick in range(1, 10**6):
            with open("machine/next", "w", encoding="utf-8") as file:
                file.write(f"cpu {tick * 4} 0 0 0 0 0 0 {tick} 0 0\n")
            os.rename("machine/next", "machine/proc/stat")
            if ended.wait(0.01):
                return

    thief = threading.Thread(target=steal)
    thief.start()
    try:
        s = examined(run("doctor", "-t", "0.6", "--json", environment=machine))
    finally:
        ended.set()
        thief.join()
    near(s["meanwhile"]["steal"], 0.2, 1e-6, "steal")
    mine = next(a for a in s["advice"] if a["id"] == "steal")
    equal((mine["severity"], mine["seen"]), ("serious", "seen"))
    check("took 20.00 % of the CPU time away" in mine["why"], mine["why"])


@test
def user_without_rights_is_told_how_to_get_them():
    if os.geteuid():
        raise Skip("not root")
    os.chmod(".", 0o755)
    for name in glob.glob(os.path.join(os.path.dirname(TAKT), "libtakt.so.?")) + [TAKT]:
        shutil.copy(name, ".")  # the build may lie where that user cannot go
    done = subprocess.run(["./takt", "doctor", "-t", "0.3", "--json"], user=NOBODY, group=NOBODY,
                          extra_groups=[], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60,
                          env=ENVIRONMENT | {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"})
    equal((done.returncode, done.stderr), (0, ""))
    s = strict_json(done.stdout)
    findings = {f["id"]: f for f in s["findings"]}
    if s["sched"]["policy"] in ("fifo", "rr"):
        raise Skip("every user here may run in real time")
    mine = next(a for a in s["advice"] if a["id"] == "realtime")
    equal((mine["severity"], findings["policy"]["verdict"]), ("serious", "serious"))
    equal(findings["rtkit"]["is"], "no answer (no system bus)")
    check("rtprio" in mine["text"], mine["text"])


@test
def block_of_a_server_is_told():
    needs("jackd")
    with_jack = [os.path.join(ROOT, "tools", "with-jack")]
    done = subprocess.run([*with_jack, TAKT, "doctor", "-t", "0.3", "--json"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60, env=ENVIRONMENT)
    equal(done.returncode, 0, done.stderr)
    findings = {f["id"]: f["is"] for f in strict_json(done.stdout)["findings"]}
    if findings["jack"] == "not reachable":
        devices = subprocess.run([*with_jack, TAKT, "devices"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, text=True, timeout=60, env=ENVIRONMENT)
        if "jack:" not in devices.stdout:
            raise Skip("takt was built without jack")
    equal(findings["jack"], "blocks of 64 at 48000 Hz, 1.33 ms")
    check("jackd" in findings["servers"], findings["servers"])


# ---- How it ends ---------------------------------------------------------------------------------


@test
def strict_exits_with_3_for_serious_advice_alone():
    machine = plant({"/proc/sys/kernel/sched_rt_runtime_us": "0\n"})
    said = run("doctor", "-t", "0.1", "--strict", "--json", status=3, environment=machine)
    equal(said.err, "takt: doctor: --strict: there is serious advice\n")
    check("rt_runtime" in {a["id"] for a in examined(said)["advice"]}, said.out)
    equal(run("doctor", "-t", "0.1", "--json", environment=machine).err, "")
    # Half of the time is notable; only the measurement or a lack of rights can be serious then.
    done = subprocess.run([TAKT, "doctor", "-t", "0.1", "--strict", "--json"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                          env=ENVIRONMENT | plant(
                              {"/proc/sys/kernel/sched_rt_runtime_us": "500000\n"}))
    advice = strict_json(done.stdout)["advice"]
    check("rt_runtime" in {a["id"] for a in advice}, advice)
    serious = [a for a in advice if a["severity"] == "serious"]
    equal(done.returncode, 3 if serious else 0)


@test
def wrong_usage_is_one_clear_line_and_2():
    for arguments in ("--fast", "-b 64", "sim:", "-t 0", "--blocks 64,64", "-i sim:", "--html x"):
        one_line(run("doctor", *arguments.split(), status=2))


def interrupted(sign, after_s=2):
    with subprocess.Popen([TAKT, "doctor", "-t", "600", "--blocks", "256,64", "--json"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=ENVIRONMENT) as program:
        time.sleep(after_s)
        program.send_signal(sign)
        out, err = program.communicate(timeout=30)
    equal((program.returncode, err), (0, ""))
    s = strict_json(out)
    equal(s["ended_by"], "user")
    check(s["seconds"] < 30, s["seconds"])
    check(all(x["blocks"] for x in s["jitter"]) and s["findings"], s)
    check_advice(s)
    return [x["block_frames"] for x in s["jitter"]]


@test
def ctrl_c_tells_what_was_measured_so_far():
    """All sizes have had a turn long before the end."""
    def measured():
        equal(interrupted(signal.SIGINT), [64, 256])

    unless_stalled(measured)
    check(interrupted(signal.SIGTERM, 0.5) in ([], [64], [64, 256]), "sizes")


@test
def full_stdout_is_told_and_1():
    with open("/dev/full", "wb") as full:
        said = run("doctor", "-t", "0.1", "--json", status=1, stdout=full)
    check("cannot write to stdout" in said.err, said.err)


@test
def a_terminal_sees_how_far_it_is_and_ten_seconds_are_the_default():
    main, child = pty.openpty()
    with subprocess.Popen([TAKT, "doctor"], stdin=child, stdout=child, stderr=child,
                          env=ENVIRONMENT, start_new_session=True) as program:
        os.close(child)
        seen, is_told = b"", False
        while select.select([main], [], [], 30)[0]:
            try:
                got = os.read(main, 65536)
            except OSError:
                break
            if not got:
                break
            seen += got
            if not is_told and b"measuring: " in seen:
                program.send_signal(signal.SIGINT)
                is_told = True
        equal(program.wait(), 0, seen)
    os.close(main)
    text = seen.decode()
    check(re.search(r"measuring: \d s of 10 ", text), text)
    check(text.rindex("\033[?25h") > text.rindex("\033[?25l"), "the cursor stays hidden")
    check("So far: " in text and "takt's threads" in text, text)


tests_done()
