"""
screen.py - a terminal to run takt in: a pty, and as much of a VT100 as the live view needs.

    with Screen(80, 24, "meter", "sim:voice") as screen:
        screen.watch(1.0)
        screen.press("\\x03")
        equal(screen.end(), 0)

It is strict where takt has to be: an unknown sequence, part of a character, a line that wraps or a
move beyond the top is noted in `faults`, for a picture must do none of these.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
import unicodedata

from program import ENVIRONMENT, TAKT, check

SEQUENCE = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])")


class Screen:
    def __init__(self, columns, rows, *arguments, environment=None, no_stdin=False):
        self.columns, self.rows = columns, rows
        self.lines = [""] * rows
        self.x = self.y = 0
        self.cursor, self.colours, self.faults = True, False, []
        self.scrolled, self.shown, self.pending, self.status = 0, "", b"", None
        self.master, slave = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(slave)
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for fd in range(3):
                os.dup2(slave, fd)
            if no_stdin:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.closerange(3, 256)
            signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # a job in the background ignores it
            os.execve(TAKT, [TAKT, *arguments], ENVIRONMENT | (environment or {}))
        self.slave = slave

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)
        os.close(self.slave)

    def resize(self, columns, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.columns, self.rows = columns, rows

    def resize_and_fit(self, columns, rows):
        """Does every line of the pictures after a change of size fit into it?"""
        self.resize(columns, rows)
        self.watch(0.3)
        self.shown = ""
        self.watch(0.2)
        drawn = re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", self.shown).splitlines()
        check(drawn, "nothing is drawn")
        for line in drawn:
            check(len(line) < columns, f"{len(line)} cells in {columns}: {line!r}")

    def press(self, keys):
        os.write(self.master, keys.encode())

    def watch(self, seconds):
        """Shows what comes for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                self.show(os.read(self.master, 65536))

    def wait_for(self, pattern, seconds=20):
        """Shows what comes until the screen has this. Is it there?"""
        until = time.monotonic() + seconds
        while not re.search(pattern, self.text(), re.M) and time.monotonic() < until:
            self.watch(0.05)
        return re.search(pattern, self.text(), re.M)

    def end(self, seconds=30):
        """Waits for the end of takt and returns its exit status, -N after signal N."""
        until = time.monotonic() + seconds
        while self.status is None and time.monotonic() < until:
            self.watch(0.02)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        self.watch(0.02)
        return self.status

    def is_given_back(self):
        """Is the terminal as it was?"""
        return self.cursor and termios.tcgetattr(self.slave) == self.before

    def text(self):
        return "\n".join(line.rstrip() for line in self.lines).rstrip("\n")

    def show(self, data):
        text = (self.pending + data).decode("utf-8", "surrogateescape")
        # The end may be half a character or half a sequence.
        cut = re.search(r"[\udc80-\udcff]{1,3}$|\x1b[^A-Za-z]*$", text)
        self.pending = text[cut.start():].encode("utf-8", "surrogateescape") if cut else b""
        text = text[:cut.start()] if cut else text
        self.shown += text
        at = 0
        while at < len(text):
            match = SEQUENCE.match(text, at)
            if match:
                self.obey(*match.groups())
                at = match.end()
            else:
                self.put(text[at])
                at += 1

    def obey(self, private, number, letter):
        n = int(number) if number.isdigit() else 0
        line = self.lines[self.y]
        if private and n == 25 and letter in "hl":
            self.cursor = letter == "h"
        elif letter == "m":
            self.colours |= number not in ("", "0")
        elif letter == "K" and not n:
            self.lines[self.y] = line[:self.x]
        elif letter == "J" and not n:
            self.lines[self.y:] = [line[:self.x]] + [""] * (len(self.lines) - self.y - 1)
        elif letter == "A":
            if n > self.y:
                self.faults.append(f"up {n} from row {self.y}")
            self.y = max(0, self.y - max(1, n))
        else:
            self.faults.append(f"unknown: {private}{number}{letter}")

    def put(self, character):
        if character == "\r":
            self.x = 0
        elif character == "\n":
            self.y += 1
            while self.y >= self.rows:
                self.lines = self.lines[1:] + [""]
                self.y -= 1
                self.scrolled += 1
            self.lines += [""] * (self.rows - len(self.lines))
        elif unicodedata.category(character) == "Cc":
            self.faults.append(f"control {character!r}")
        else:
            if "\udc80" <= character <= "\udcff":
                self.faults.append(f"part of a character: {character!r}")
            if self.x >= self.columns:
                if not self.cursor:
                    self.faults.append(f"a line wraps: {self.lines[self.y]}")
                self.x = 0
                self.put("\n")
            line = self.lines[self.y].ljust(self.x)
            self.lines[self.y] = line[:self.x] + character + line[self.x + 1:]
            self.x += 1
