"""Stops the thread that writes a recording, and nothing else, for seconds: what the buffer covers is
there to the last frame, and what it does not is said, counted, and silence at its place.

Usage: stall_test.py TAKT

One thread of another program can be stopped by ptrace alone, as a debugger does it; the device
thread goes on in real time meanwhile. A cycle that came too late for this machine's load is silence
in the file, too; the contract counts those frames.
"""
import ctypes
import json
import os
import subprocess
import time

from program import ENVIRONMENT, TAKT, Skip, check, equal, near, test, tests_done

RATE_HZ = 8000
SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
WAIT_ALL = 0x40000000  # __WALL
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) < 0:
        error = ctypes.get_errno()
        raise Skip(f"ptrace is not allowed: {os.strerror(error)}")


def writer_of(process):
    """The thread that writes, as soon as there is one."""
    for _ in range(1000):
        folder = f"/proc/{process.pid}/task"
        for thread in os.listdir(folder) if os.path.isdir(folder) else []:
            try:
                with open(f"{folder}/{thread}/comm") as name:
                    if name.read().strip() == "takt-write":
                        return int(thread)
            except OSError:
                pass
        time.sleep(0.01)
    raise AssertionError("no thread writes")


class Recording:
    def __init__(self, name, seconds, *more):
        self.name, self.seconds = name, seconds
        self.process = subprocess.Popen(
            [TAKT, "record", name, "-i", "sim:noise", "--fade", "off", "-r", str(RATE_HZ), "-c", "1", "-f", "f32",
             "-t", str(seconds), "--json", *more],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)

    def stop_writer(self):
        self.writer = writer_of(self.process)
        ptrace(SEIZE, self.writer)
        ptrace(INTERRUPT, self.writer)
        os.waitpid(self.writer, WAIT_ALL)
        self.stopped = time.monotonic()

    def let_it_write(self):
        ptrace(DETACH, self.writer)
        self.stalled_s = time.monotonic() - self.stopped

    def end(self):
        out, self.err = self.process.communicate(timeout=60)
        self.status = self.process.returncode
        self.summary = json.loads(out.splitlines()[-1])
        self.recording = self.summary["recording"]

    def silent(self, reference):
        """The frames that are silence; all others have to be the reference's."""
        frames, wanted = floats(self.name), floats(reference)
        equal(len(frames), round(self.seconds * RATE_HZ), "frames")
        check(all(f == w or f == 0 for f, w in zip(frames, wanted)), "a frame out of its place")
        return [i for i, f in enumerate(frames) if f == 0 and wanted[i] != 0]


def floats(path):
    with open(path, "rb") as f:
        data = f.read()
    start = data.index(b"data") + 8
    return memoryview(data[start:start + int.from_bytes(data[start - 4:start], "little")]).cast("f")


def reference(seconds):
    subprocess.run([TAKT, "record", "whole.wav", "-i", "sim:noise", "--fade", "off", "-r", str(RATE_HZ), "-c", "1",
                    "-f", "f32", "-t", str(seconds), "--fast", "-q"], check=True, timeout=60,
                   env=ENVIRONMENT)
    return "whole.wav"


@test
def stall_of_five_seconds_loses_nothing_and_a_longer_one_is_told():
    five = Recording("five.wav", 7)
    late = Recording("late.wav", 6.5)
    beyond = Recording("beyond.wav", 4, "--buffer", "1")
    strict = Recording("strict.wav", 4, "--buffer", "0.5", "--strict", "-q")
    all_of_them = [five, late, beyond, strict]
    try:
        time.sleep(1)
        for r in [five, beyond, strict]:
            r.stop_writer()
        time.sleep(2)
        beyond.let_it_write()
        strict.let_it_write()
        time.sleep(1)
        late.stop_writer()  # until behind its end: the last 2.5 s are still to be written then
        time.sleep(2)
        five.let_it_write()
        time.sleep(3)
        late.let_it_write()
        for r in all_of_them:
            r.end()
    finally:
        for r in all_of_them:
            r.process.kill()
            r.process.wait()
    whole = reference(7)

    for r in [five, late]:
        equal(r.recording["lost_frames"], 0, r.name)
        equal(len(r.silent(whole)), r.summary["contract"]["lost_frames"], f"{r.name}: silent frames")
        equal(r.status, 0, f"{r.name}, saying {r.err!r}")
        equal(r.summary["events"]["sink_lost"], 0)
    check(five.recording["fullest_s"] >= 4.5, f"the buffer held {five.recording['fullest_s']} s")

    for r, buffer_s in [(beyond, 1), (strict, 0.5)]:
        lost, gaps = r.recording["lost_frames"], r.recording["last_gaps"]
        near(lost / RATE_HZ, r.stalled_s - buffer_s, 0.3, f"{r.name}: seconds lost")
        equal(sum(g["frames"] for g in gaps), lost, "frames in the gaps")
        silent = r.silent(whole)
        equal(len(silent), lost + r.summary["contract"]["lost_frames"], f"{r.name}: silent frames")
        for g in gaps:
            check(set(range(g["position"], g["position"] + g["frames"])) <= set(silent),
                  f"the gap at {g['position']} is not in the file")
        told = [line for line in r.err.splitlines() if "recording lost" in line]
        check(told, f"{r.name} says only {r.err!r}")
        at = gaps[0]["position"]
        check(f"from 0:{at // RATE_HZ:02}.{at * 1000 // RATE_HZ % 1000:03} on: the disk did not keep "
              "up" in told[0], f"{told[0]!r} of {at}")
        check(r.summary["contract"]["misses"]["worker_full"] > 0, "no miss")
        check(r.summary["events"]["sink_lost"] >= 1, "no event")
    equal(beyond.status, 0)
    equal(strict.status, 3)
    check("--strict" in strict.err and "lost" in strict.err, strict.err)


@test
def buffer_out_of_range_is_refused():
    for value in ["0", "-1", "601", "x", ""]:
        done = subprocess.run([TAKT, "record", "x.wav", "-i", "sim:", "-t", "1", f"--buffer={value}"],
                              capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
        equal(done.returncode, 2, value)
        check("--buffer" in done.stderr and done.stderr.count("\n") == 1, done.stderr)


tests_done()
