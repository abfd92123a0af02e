"""Records until the disk is full: one clear line, a file that is whole, and no hang.

Usage: full_disk_test.py TAKT SOUND_PROBE TEST_LIVE

The disk is a tmpfs of 1 MB in a mount namespace of its own, where that is allowed; and a limit on
the length of files (RLIMIT_FSIZE), which is allowed everywhere.
"""
import os
import resource
import signal
import subprocess
import sys
import tempfile

TAKT, PROBE, LIVE = sys.argv[1:4]
DISK_BYTES = 1 << 20
# file ending, then settings that fill the disk
KINDS = [("wav", "-f", "s16"), ("wav", "-f", "s24", "-c", "1"), ("wav", "-f", "u8", "-c", "1"),
         ("wav", "-f", "f32"), ("flac", "-f", "s16"), ("flac", "-f", "s24"), ("opus",), ("ogg",)]
# Opus fills 1 MB in minutes only: it runs on a virtual clock. Others run on both.
FAST = ["--fast", "-t", "600"]

ran, bad = 0, 0


def result(title, problem):
    global ran, bad
    ran += 1
    bad += bool(problem)
    if problem:
        print("#", problem.replace("\n", "\n# "))
    print(f"{'not ok' if problem else 'ok'} {ran} - {title}", flush=True)


def limit_files():
    """As a shell's ulimit does it: takt meets the signal as it comes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK_BYTES, DISK_BYTES))


def wrong(path, settings, prepare):
    command = [TAKT, "record", path, "-i", "sim:noise", "-r", "48000", "-q", "-b", "256"]
    try:
        done = subprocess.run(command + settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=60, preexec_fn=prepare)
    except subprocess.TimeoutExpired:
        return "it hangs"
    lines = done.stderr.strip().splitlines()
    if done.returncode != 1:
        return f"exits {done.returncode}: {done.stderr}"
    if len(lines) != 1 or os.path.basename(path) not in lines[0] or "whole" not in lines[0]:
        return "not one clear line:\n" + done.stderr
    if prepare is None and "No space left" not in lines[0] and "full" not in lines[0]:
        return "does not say why: " + lines[0]
    probe = subprocess.run([PROBE, path], stdout=subprocess.PIPE, text=True)
    if probe.returncode:
        return probe.stdout
    _, rate, declared, read = map(int, probe.stdout.split())
    size = os.path.getsize(path)
    if declared != read or read < rate // 2:
        return f"declares {declared} frames, has {read}"
    if size < DISK_BYTES * 0.8:
        return f"only {size} bytes of {DISK_BYTES}"
    return None


def each_kind(folder, where, prepare, live_channels):
    for ending, *settings in KINDS:
        path = os.path.join(folder, "take." + ending)
        name = " ".join([ending, *settings])
        result(f"{where}, {name}: takt says so and the file is whole, on a virtual clock",
               wrong(path, settings + FAST, prepare))
        if os.path.exists(path):
            os.unlink(path)
    path = os.path.join(folder, "live.wav")
    result(f"{where}: takt says so and the file is whole, in real time",
           wrong(path, ["-f", "f32", "-c", live_channels, "-t", "30"], prepare))
    if os.path.exists(path):
        os.unlink(path)


def live(where, *arguments):
    done = subprocess.run([LIVE, *arguments], stdout=subprocess.PIPE, text=True, timeout=60)
    result(f"{where}: the sound goes on",
           f"exits {done.returncode}: {done.stdout}" if done.returncode else None)


def demo(path):
    """What is wrong with a demo whose recording finds no room; None when nothing is."""
    done = subprocess.run([TAKT, "demo", "-o", path], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60)
    os.unlink(path)
    if done.returncode != 1 or done.stderr.count("demo.wav") != 1:
        return f"exits {done.returncode}, saying {done.stderr!r}"
    if any(part not in done.stdout for part in ["2. ", "3. ", "contract: ", "Try next"]):
        return f"it stopped early: {done.stdout}"
    return None


def on_the_disk(folder):
    each_kind(folder, "full disk", None, "8")
    result("full disk: the demo goes on without its recording",
           demo(os.path.join(folder, "demo.wav")))
    live("full disk", os.path.join(folder, "live.wav"))


def own_namespace():
    """Runs this again where mounts are its own. False: not allowed here."""
    again = ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv, "inside"]
    try:
        return subprocess.run(again[:4] + ["true"], stderr=subprocess.DEVNULL).returncode == 0 \
            and again
    except FileNotFoundError:
        return False


def main():
    global ran, bad
    with tempfile.TemporaryDirectory() as folder:
        if sys.argv[4:] == ["inside"]:
            mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder]
            if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
                print("ok 1 - full disk # SKIP no tmpfs can be mounted")
                return 0
            try:
                on_the_disk(folder)
            finally:
                subprocess.run(["umount", folder])
            return 1 if bad else 0
        again = own_namespace()
        if again:
            inner = subprocess.run(again, stdout=subprocess.PIPE, text=True)
            print(inner.stdout, end="", flush=True)
            ran = sum(line.startswith(("ok", "not ok")) for line in inner.stdout.splitlines())
            bad = inner.returncode
            if not ran:
                result("the test runs in its namespace", "it said nothing")
        else:
            ran = 1
            print("ok 1 - full disk # SKIP no mount namespace of its own")
        each_kind(folder, "file limit", limit_files, "1")  # takt's own rings must stay below it
        live("file limit")
    print(f"1..{ran}")
    return 1 if bad else 0


sys.exit(main())
