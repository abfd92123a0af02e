#!/usr/bin/env python3
"""
rtkit_test.py - a user without rights of their own gets real-time from a real rtkit-daemon, on a bus
of this test's own where a stand-in for polkit allows it.

    rtkit_test.py TAKT POLKIT_STAND_IN
"""
import glob
import os
import shutil
import signal
import subprocess
import sys
import time

from program import ENVIRONMENT, Skip, TAKT, check, equal, needs, strict_json, test, tests_done

STAND_IN = os.path.abspath(sys.argv[2])
RTKIT = "/usr/libexec/rtkit-daemon"
NOBODY = 65534
BUS = """<busconfig>
  <type>system</type>
  <listen>unix:path={}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_destination="*"/> <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


class Bus:
    """A system bus in the folder we are in, and whom we start on it; all gone at the end."""

    def __enter__(self):
        needs("dbus-daemon")
        if os.geteuid() != 0 or not os.path.exists(RTKIT):
            raise Skip("no rtkit, or not root")
        os.chmod(".", 0o755)
        self.address = "unix:path=" + os.path.abspath("bus")
        self.started = []
        with open("bus.conf", "w", encoding="utf-8") as f:
            f.write(BUS.format(os.path.abspath("bus")))
        self.start("dbus-daemon", "--config-file=bus.conf", "--nofork", "--nopidfile")
        deadline = time.monotonic() + 20
        while not os.path.exists("bus") and time.monotonic() < deadline:
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        for program in reversed(self.started):
            program.kill()
            program.communicate()

    def start(self, *command, **more):
        # rtkit allows itself no file of any size, so what these say goes into a pipe.
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True,
                                   env=ENVIRONMENT | {"DBUS_SYSTEM_BUS_ADDRESS": self.address},
                                   **more)
        self.started.append(program)
        return program

    def start_rtkit(self):
        polkit = self.start(STAND_IN, self.address)
        equal(polkit.stdout.readline(), "ready\n")
        rtkit = self.start(RTKIT, "--stderr")
        for line in rtkit.stdout:
            if "Running." in line:
                return rtkit
        raise AssertionError("rtkit does not run")

    def summary_of_nobody(self, *arguments):
        """What takt says last to a user without rights."""
        # The build may lie where that user cannot go.
        for name in glob.glob(os.path.join(os.path.dirname(TAKT), "libtakt.so.?")) + [TAKT]:
            shutil.copy(name, ".")
        out, _ = self.start("./takt", *arguments, "--json", user=NOBODY, group=NOBODY,
                            extra_groups=[]).communicate(timeout=60)
        return strict_json(out.splitlines()[-1])

    def sched_of_nobody(self):
        """What a stream of a user without rights got, and how long the run took."""
        began = time.monotonic()
        summary = self.summary_of_nobody("run", "sim:tone", "null:", "-t", "0.2")
        equal(summary["ended_by"], "length")
        return summary["sched"], time.monotonic() - began


@test
def rtkit_lends_real_time():
    with Bus() as bus:
        bus.start_rtkit()
        sched, _ = bus.sched_of_nobody()
        equal((sched["policy"], sched["priority"]), ("rtkit", 20))  # the most that rtkit gives
        check("SCHED_FIFO 70" in sched["why"] and "rtkit" not in sched["why"], sched)


@test
def doctor_is_content_with_what_rtkit_lends():
    with Bus() as bus:
        bus.start_rtkit()
        summary = bus.summary_of_nobody("doctor", "-t", "0.3")
        findings = {f["id"]: f for f in summary["findings"]}
        equal((findings["rtkit"]["is"], findings["policy"]["is"]), ("lends up to 20", "rtkit 20"))
        check("realtime" not in {a["id"] for a in summary["advice"]}, summary["advice"])


@test
def an_rtkit_that_hangs_holds_nobody_up_for_long():
    with Bus() as bus:
        bus.start_rtkit().send_signal(signal.SIGSTOP)
        sched, took_s = bus.sched_of_nobody()
        equal(sched["policy"], "other")
        check("rtkit: refused" in sched["why"], sched)
        check(took_s < 20, f"it took {took_s} s")  # D-Bus alone would wait for 25


@test
def a_bus_without_rtkit_is_told_of():
    with Bus() as bus:
        sched, _ = bus.sched_of_nobody()
        equal(sched["policy"], "other")
        check("rtkit: refused (org.freedesktop.DBus.Error.ServiceUnknown)" in sched["why"], sched)


tests_done()
