"""
program.py - what the tests of the takt command share: runs of it, checks, and TAP lines.

    from program import TAKT, equal, run, test, tests_done

    @test
    def missing_file_is_one_clear_line():
        said = run("meter", "nosuch.wav", status=1)
        equal(said.err, "takt: meter: nosuch.wav: cannot open it: No such file or directory\n")

    tests_done()

The first argument of a test program is the built takt. A test runs in an empty folder of its own.
It fails at the first check that does not hold; one that checked nothing fails too.
"""
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import traceback

TAKT = os.path.abspath(sys.argv[1])
TIMEOUT_S = 60
# Nothing of the caller's surroundings may decide what a test sees, but for the guard's trap, under
# which all tests run.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k == "TAKT_GUARD" or
               not k.startswith(("TAKT_", "LC_")) and k not in ("NO_COLOR", "TERM", "LANG")}
ENVIRONMENT |= {"LC_ALL": "C.UTF-8", "TERM": "xterm", "PIPEWIRE_RUNTIME_DIR": "/nonexistent"}

# Each test program has a row of its own, so that those that run side by side seldom meet.
_ports = random.Random(os.path.basename(sys.argv[0]))
_ports_lock = threading.Lock()
_tests = []
_checks = 0


class Skip(Exception):
    """Only for what is not installed here."""


def test(function):
    _tests.append(function)
    return function


def check(holds, what):
    global _checks
    _checks += 1
    if not holds:
        raise AssertionError(what)


def equal(is_, wanted, what=""):
    check(is_ == wanted, f"{what}{': ' if what else ''}{is_!r} is not {wanted!r}")


def near(is_, wanted, tolerance, what=""):
    check(abs(is_ - wanted) <= tolerance, f"{what}: {is_!r} is not within {tolerance} of {wanted!r}")


def unless_stalled(function, tries=5):
    """A stall of the machine may spoil what is heard through a server; a fault of ours spoils it
    every time."""
    for left in reversed(range(tries)):
        try:
            return function()
        except AssertionError:
            if not left:
                raise


class Said:
    """What a run printed."""

    def __init__(self, arguments, done):
        self.arguments, self.status = arguments, done.returncode
        self.raw = done.stdout or b""
        self.out = self.raw.decode("utf-8", "replace")
        self.err = (done.stderr or b"").decode("utf-8", "replace")

    def lines(self):
        """Its JSON lines. Strict: no NaN, no bytes that are not UTF-8, no name twice."""
        return [strict_json(line) for line in self.raw.decode("utf-8").splitlines()]

    def summary(self):
        last = self.lines()[-1]
        equal(last["type"], "summary")
        return last


def strict_json(text):
    def no_constant(name):
        raise AssertionError(f"{name} in JSON")

    def no_name_twice(pairs):
        names = [name for name, _ in pairs]
        if len(names) != len(set(names)):
            raise AssertionError(f"a name twice among {names}")
        return dict(pairs)

    return json.loads(text, parse_constant=no_constant, object_pairs_hook=no_name_twice)


def run(*arguments, status=0, environment=None, **more):
    """Runs takt; its exit status has to be that."""
    done = subprocess.run([TAKT, *arguments],
                          **{"stdin": None if "input" in more else subprocess.DEVNULL,
                             "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                             "timeout": TIMEOUT_S, "env": ENVIRONMENT | (environment or {}), **more})
    said = Said(arguments, done)
    equal(said.status, status, f"exit status of takt {arguments}, which said {said.err!r}")
    return said


def one_line(said):
    """Nothing on stdout, one line on stderr that begins with takt's name and may be printed."""
    equal(said.out, "", f"stdout of {said.arguments}")
    check(said.err.startswith("takt: ") and said.err.endswith("\n") and said.err.count("\n") == 1
          and said.err[:-1].isprintable(), f"{said.arguments}: not one clear line: {said.err!r}")
    return said.err


def free_port(count=4):
    """The first of so many UDP ports that nobody has, even, below those that the kernel gives
    away."""
    with _ports_lock:
        for _ in range(100):
            port = 2 * _ports.randrange(10000, 16000)
            sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
            try:
                for i, s in enumerate(sockets):
                    s.bind(("127.0.0.1", port + i))
                return port
            except OSError:
                continue
            finally:
                for s in sockets:
                    s.close()
    raise AssertionError("no free port")


def needs(program):
    from shutil import which
    if not which(program):
        raise Skip(f"no {program}")


def tests_done():
    """Runs the tests and prints their TAP lines. Ends the program."""
    global _checks
    failed = 0
    for number, function in enumerate(_tests, 1):
        _checks = 0
        note, error = "", None
        with tempfile.TemporaryDirectory(prefix="takt-test.") as folder:
            os.chdir(folder)
            try:
                function()
                if not _checks:
                    error = "it checked nothing"
            except Skip as why:
                note = f" # SKIP {why}"
            except Exception:  # whatever it is, the test did not hold
                error = traceback.format_exc()
            os.chdir("/")
        failed += error is not None
        for line in (error or "").splitlines():
            print(f"# {line}")
        print(f"{'not ok' if error else 'ok'} {number} - {function.__name__}{note}", flush=True)
    print(f"1..{len(_tests)}")
    sys.exit(failed > 0)
