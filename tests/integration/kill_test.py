"""Kills recordings at a random moment and asks others whether what is left is whole.

Usage: kill_test.py TAKT SOUND_PROBE
"""
import os
import random
import signal
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import wave
from concurrent.futures import ThreadPoolExecutor

TAKT, PROBE = sys.argv[1:3]
RATE_HZ = 48000
BLOCK_FRAMES = 256
UNKNOWN = 2**63 - 1  # what libsndfile says of a FLAC file before its first frame
RUNS = 100
AT_ONCE = 25
LOST_S_MAX = 1.0
ALIVE_S = (0.3, 3.0)
# file ending, sample format (None: the kind has none), channels
KINDS = [("wav", f, c) for f in ("s16", "s24", "f32") for c in (1, 2)]
KINDS += [("flac", f, c) for f in ("s16", "s24") for c in (1, 2)]
KINDS += [("opus", None, 1), ("opus", None, 2)]

chance = random.Random(int(os.environ.get("TAKT_TEST_SEED", time.time_ns() % 1000000)))


class Recording:
    """One `takt record`, from its start to the kill."""

    def __init__(self, folder, number, kind, alive_s, fast=False):
        self.ending, self.format, self.channels = kind
        self.kind = kind
        self.path = os.path.join(folder, f"{number}.{self.ending}")
        command = record(kind, self.path) + (["--fast", "-t", "100000"] if fast else [])
        self.started = time.monotonic()
        self.seen = None  # when there was first something in the file
        self.kill_at = self.started + alive_s
        self.killed = None
        self.program = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)

    def step(self):
        """Looks, and kills when it is time. True: still alive."""
        if self.killed:
            return False
        now = time.monotonic()
        if not self.seen and os.path.exists(self.path) and os.path.getsize(self.path):
            self.seen = now
        # The first write of all is longer than a page, and a kill may cut it in two.
        if now < self.kill_at or not self.seen or now < self.seen + 0.02:
            return now < self.started + 30
        self.program.send_signal(signal.SIGKILL)
        self.killed = now
        _, self.said = self.program.communicate()
        self.killed_end = time.monotonic()
        return False


def record(kind, path):
    ending, sample, channels = kind
    return [TAKT, "record", path, "-i", "sim:tone=1000", "--seed", "7", "-q", "--fade", "off", "-b",
            str(BLOCK_FRAMES), "-r", str(RATE_HZ), "-c", str(channels)] + (
                ["-f", sample] if sample else [])


def output(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60)
    return done.returncode, done.stdout.strip()


def wrong_length(r, frames):
    """More than was recorded, or more lost than promised?"""
    length_s = frames / RATE_HZ
    if length_s > r.killed_end - r.started:
        return f"{length_s:.3f} s long, but it ran for {r.killed_end - r.started:.3f} s"
    lost_s = r.killed - r.seen - length_s
    if lost_s > LOST_S_MAX:
        return f"{lost_s:.3f} s lost of {r.killed - r.seen:.3f} s"
    return None


def wrong_for_sndfile(r, references):
    reference = references.get(r.kind)
    status, said = output(PROBE, r.path, *([reference] if reference else []))
    if status:
        return said
    channels, rate, declared, read, *compared = map(int, said.split())
    if (channels, rate) != (r.channels, RATE_HZ):
        return f"{channels} channels at {rate} Hz"
    if declared != read and (declared != UNKNOWN or read):
        return f"declares {declared} frames, has {read}"
    r.frames = read
    r.silent = 0
    if reference:
        # A cycle that came too late for this machine's load is silence, whole blocks of it.
        equal, r.silent, other = compared
        if other:
            return f"{equal} frames are as undisturbed, {r.silent} silent, {other} others"
    return wrong_length(r, read)


def wrong_for_ffmpeg(r):
    if not shutil.which("ffmpeg") or not r.frames:
        return None
    status, said = output("ffprobe", "-v", "error", "-show_entries", "format=duration", "-of",
                          "csv=p=0", r.path)
    try:
        seconds = float(said.splitlines()[0])
    except (ValueError, IndexError):
        return f"ffprobe: {said}"
    if status or abs(seconds - r.frames / RATE_HZ) > 0.03:
        return f"ffprobe says {said} s, of {r.frames / RATE_HZ:.3f}"
    status, said = output("ffmpeg", "-v", "error", "-nostdin", "-i", r.path, "-f", "null", "-")
    return f"ffmpeg: {said}" if status or said else None


def wrong_for_python(r):
    """The wave module of old knows PCM alone."""
    if r.ending != "wav" or r.format == "f32":
        return None
    try:
        with wave.open(r.path) as w:
            read = len(w.readframes(r.frames + 1)) // (w.getnchannels() * w.getsampwidth())
            if w.getnframes() != r.frames or read != r.frames:
                return f"wave declares {w.getnframes()} frames, has {read}, of {r.frames}"
    except (wave.Error, EOFError) as e:
        return f"wave: {e}"
    return None


def wrong_riff(r):
    """RIFF's size must stay within the file."""
    if r.ending != "wav":
        return None
    with open(r.path, "rb") as f:
        tag, size = struct.unpack("<4sI", f.read(8))
    if tag != b"RIFF" or size + 8 > os.path.getsize(r.path):
        return f"{tag} claims {size + 8} bytes of {os.path.getsize(r.path)}"
    return None


def wrong(r, references):
    if not r.killed:
        r.program.kill()
        return "made no file in 30 s"
    if r.program.returncode != -signal.SIGKILL:
        return f"ended by itself with {r.program.returncode}: {r.said.strip()}"
    return (wrong_for_sndfile(r, references) or wrong_riff(r) or wrong_for_ffmpeg(r)
            or wrong_for_python(r))


def make_references(folder):
    references = {}
    for kind in KINDS:
        if kind[0] == "opus":
            continue
        path = os.path.join(folder, "whole-" + "-".join(map(str, kind)) + "." + kind[0])
        subprocess.run(record(kind, path) + ["--fast", "-t", "5"], check=True, timeout=60)
        references[kind] = path
    return references


def kill_all(recordings):
    while any([r.step() for r in recordings]):
        time.sleep(0.004)


def real_time(folder, references):
    """Yields each recording with what is wrong with it."""
    todo = [(n, KINDS[n % len(KINDS)]) for n in range(RUNS)]
    looked = []
    with ThreadPoolExecutor(2) as pool:
        while todo:
            now, todo = todo[:AT_ONCE], todo[AT_ONCE:]
            batch = [Recording(folder, n, kind, chance.uniform(*ALIVE_S)) for n, kind in now]
            kill_all(batch)
            looked += [(r, pool.submit(wrong, r, references)) for r in batch]
        for r, look in looked:
            yield r, look.result()


def faster_than_life(folder):
    """There a second of the wall is many of sound: the file must not be left empty."""
    for n, kind in enumerate([("wav", "s16", 1), ("flac", "s16", 1), ("opus", None, 1)]):
        r = Recording(folder, f"fast{n}", kind, 1.5, fast=True)
        kill_all([r])
        if not r.killed or r.program.returncode != -signal.SIGKILL:
            yield kind, f"did not live to be killed: {getattr(r, 'said', '')}"
            continue
        status, said = output(PROBE, r.path)
        numbers = said.split()
        whole = not status and numbers[2] == numbers[3] and int(numbers[3]) > RATE_HZ
        yield kind, None if whole else said
        os.unlink(r.path)


def name(kind):
    return " ".join(str(x) for x in kind if x)


def main():
    ran, bad = 0, 0

    def result(title, problems):
        nonlocal ran, bad
        ran += 1
        bad += bool(problems)
        for p in problems:
            print("#", p)
        print(f"{'not ok' if problems else 'ok'} {ran} - {title}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        references = make_references(folder)
        problems = {kind: [] for kind in KINDS}
        lost, silent = [], 0
        for r, problem in real_time(folder, references):
            if problem:
                problems[r.kind].append(f"{r.path}: {problem}")
            else:
                lost.append(r.killed - r.seen - r.frames / RATE_HZ)
                silent += r.silent
        for kind in KINDS:
            result(f"killed while recording {name(kind)}, what is left is whole", problems[kind])
        if not shutil.which("ffmpeg"):
            ran += 1
            print(f"ok {ran} - ffmpeg reads them as long as they are # SKIP no ffmpeg", flush=True)
        result("no recording was lost", [] if len(lost) == RUNS else [f"{len(lost)} of {RUNS}"])
        if lost:
            print(f"# at most {max(lost):.3f} s lost; {silent} frames silent for the load")
        result("killed on a virtual clock, what is left is whole",
               [f"{name(k)}: {p}" for k, p in faster_than_life(folder) if p])
    print(f"1..{ran}")
    return 1 if bad else 0


sys.exit(main())
