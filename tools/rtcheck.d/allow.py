"""
allow.py - the reviewed file beside the check: tools/rtcheck.allow tells its form.
"""

import re

# Never safe in itself: only a named caller may have an exception for one of these.
UNSAFE = re.compile(
    r"(m|c|re|aligned_|v|pv)alloc(array)?$|free$|posix_memalign$|strn?dup$|v?asprintf$"
    r"|pthread_(mutex|cond|rwlock|barrier|spin|once|create|join|cancel)|sem_|mtx_|cnd_|thrd_"
    r"|call_once$|v?[fsdw]?n?printf$|f?puts$|f?putc$|putchar$|perror$|v?syslog$|[fs]?scanf$"
    r"|get(line|delim)$|f?(open|close|read|write|flush|seek|sync)(at|v|64)?$|p(read|write)(v|64)?$"
    r"|f(d|re)open$|ioctl$|fcntl$|poll$|ppoll$|p?select$|epoll_|send|recv|socket|connect$|accept"
    r"|mmap|munmap|m(un)?lock|mprotect$|madvise$|brk$|sbrk$|(nano|u)?sleep$|clock_nanosleep$|sched_"
    r"|wait(pid|id)?$|fork$|exec|system$|popen$|syscall$|a bare system call$|dl(open|sym|close)$"
    r"|getrusage$|getenv$|setlocale$|exit$|longjmp$|raise$|kill$|alloca$")


class Entry:
    def __init__(self, file, line, kind):
        self.file = file
        self.line = line
        self.kind = kind
        self.unused = {}  # names of it that nothing has used yet


class Allow:
    """What the file holds. Mistakes in it go to wrong(file, line, text)."""

    def __init__(self, path, shown, wrong):
        self.shown = shown
        self.wrong = wrong
        self.entries = []
        self.safe = {}  # name: its entry
        self.end = {}
        self.excepted = {}  # (caller, name): its entry
        self.left = {}  # the same, where the way is not followed any further
        self.roots = []  # (name, its entry)
        self.pointers = []  # entries with name, callers, targets
        self.stack = None  # file, name of the constant, share, bytes of an outsider
        with open(path, encoding="utf-8") as lines:
            for line, text in self.joined(lines):
                self.parse(line, text)

    @staticmethod
    def joined(lines):
        """Yields line and text of each entry; what is indented goes on with the one above."""
        first, whole = 0, ""
        for number, line in enumerate(lines, 1):
            line = line.split("#")[0].rstrip()
            if not line:
                continue
            if line[0].isspace():
                whole += " " + line.strip()
                continue
            if whole:
                yield first, whole
            first, whole = number, line
        if whole:
            yield first, whole

    def entry(self, line, kind, names):
        entry = Entry(self.shown, line, kind)
        entry.unused = dict.fromkeys(names)
        self.entries.append(entry)
        return entry

    def parse(self, line, text):
        kind, _, rest = text.partition(" ")
        if kind == "pointer":
            self.parse_pointer(line, rest)
            return
        what, colon, reason = re.match(r"(.*?)(?:(:)\s+(.*))?$", rest).groups()
        known = kind in ("safe", "end", "except", "leave", "root", "stack")
        if not known:
            self.wrong(self.shown, line, f"{kind}: no such kind of entry; there are safe, end, "
                       "except, leave, pointer, root and stack")
        elif not colon or not reason:
            self.wrong(self.shown, line, f"{text}: write the reason behind it, after a colon")
        else:
            getattr(self, "parse_" + kind)(line, what.split())

    def parse_safe(self, line, names):
        entry = self.entry(line, "safe", names)
        for name in names:
            if UNSAFE.match(name):
                self.wrong(self.shown, line, f"{name}: cannot be safe for everybody; "
                           "name its caller in an `except`")
            self.safe[name] = entry

    def parse_end(self, line, names):
        entry = self.entry(line, "end", names)
        self.end.update(dict.fromkeys(names, entry))

    def parse_except(self, line, words):
        self.excepted.update(self.calls(line, "except", words))

    def parse_leave(self, line, words):
        self.left.update(self.calls(line, "leave", words))

    def calls(self, line, kind, words):
        """Its entry for each (caller, called) of CALLER -> CALLED..."""
        if len(words) < 3 or words[1] != "->":
            self.wrong(self.shown, line, f"this reads: {kind} CALLER -> CALLED...: reason")
            return {}
        entry = self.entry(line, kind, [(words[0], name) for name in words[2:]])
        return dict.fromkeys(entry.unused, entry)

    def parse_root(self, line, names):
        entry = self.entry(line, "root", [])
        self.roots += [(name, entry) for name in names]

    def parse_stack(self, line, words):
        form = re.fullmatch(r"(\S+) (\w+) share (\d+)/(\d+) outsider (\d+)", " ".join(words))
        if not form:
            self.wrong(self.shown, line, "the stack reads: stack FILE CONSTANT share 1/8 outsider "
                       "1024: reason")
            return
        self.stack = (form[1], form[2], int(form[3]), int(form[4]), int(form[5]), line)

    def parse_pointer(self, line, rest):
        form = re.fullmatch(r"(?:(\w+)\.)?(\w+)(?: from (.+?))? to (.+)", rest)
        if not form:
            self.wrong(self.shown, line, "a pointer reads: pointer [STRUCT.]NAME from CALLER... "
                       "to TARGET...")
            return
        callers = (form[3] or "").split()
        entry = self.entry(line, "pointer", callers)
        entry.struct, entry.member = form[1], form[2]
        entry.callers, entry.targets = callers, form[4].split()
        self.pointers.append(entry)

    def use(self, entry, name):
        entry.unused.pop(name, None)

    def report_unused(self):
        for entry in self.entries:
            for name in entry.unused:
                if entry.kind == "pointer":
                    text = f"{name} does not call {entry.member}, or nothing real-time calls {name}"
                elif isinstance(name, tuple):
                    text = f"{name[0]} -> {name[1]}: nothing needs this exception"
                else:
                    text = f"{name}: nothing real-time calls it"
                self.wrong(self.shown, entry.line, text + "; take it out")
