"""
callgraph.py - who calls whom, as gcc knows it.

Each source is compiled twice. Without optimisation every call of the source is there under the name
of the function that makes it. As built there is the stack that is really used, and what only the
optimiser calls; calls that gcc's graph leaves out (of libgcc, __tls_get_addr, a bare system call)
are read from the assembly.
"""

import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess

from pointers import FOLDERS

NODE = re.compile(r'^node: \{ title: "([^"]+)" label: "([^"]*)"')
EDGE = re.compile(r'^edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"(?: label: "([^"]*)")?')
STACK = re.compile(r"(\d+) bytes \(([^)]*)\)")
LABEL = re.compile(r"^([A-Za-z_][\w.$]*):")
BRANCH = re.compile(r"^\s+(?:call|jmp|bl|b)\s+([A-Za-z_][\w.$]*)(?:@PLT)?\s*$")
SYSTEM_CALL = re.compile(r"^\s+(?:syscall|sysenter|svc\b.*|int\s+\$(?:0x80|128))\s*$")
INDIRECT = "__indirect_call"
BARE_SYSTEM_CALL = "a bare system call"

# A module of its own, with its own malloc and write: what it stands before is the C library's.
ALONE = os.path.join("src", "guard") + os.sep

# As the source stands: no inlining, no clones.
PLAIN = ["-O0", "-g0"]


class Trouble(Exception):
    """What keeps the check from being made at all."""


class Function:
    def __init__(self, name, file, line):
        self.name = name  # as in the source, or a clone's: "put.part.0"
        self.file = file  # where it is defined
        self.line = line
        self.stack = 0
        self.is_bounded = True
        self.calls = {}  # {(what is called, "file:line:column"): None}, in their order

    def __str__(self):
        return self.name.split(".")[0]

    def calls_at(self, what, place):
        self.calls[what, place] = None


class Indirect:
    """In place of a called function: some pointer's target."""


class Graph:
    """Functions by (name, file); what is called is a Function, Indirect, or an outsider's name."""

    def __init__(self):
        self.functions = {}
        self.visible = {}  # by name, those that are not static

    def named(self, name, file=None):
        """All functions of a name, in a file whose path ends so."""
        return [f for f in self.functions.values()
                if str(f) == name and (file is None or ("/" + f.file).endswith("/" + file))]


# ---- Compiling -----------------------------------------------------------------------------------

class Unit:
    """One compilation: a source with its options."""

    def __init__(self, entry, number, to, extra):
        self.folder = entry["directory"]
        source = os.path.join(self.folder, entry["file"])
        self.base = os.path.join(to, f"{number:03}-{os.path.basename(source)}")
        words = shlex.split(entry["command"]) if "command" in entry else list(entry["arguments"])
        if os.path.basename(words[0]) in ("ccache", "sccache"):
            words = words[1:]  # they keep objects, not call graphs
        self.command = self.adapted(words) + extra + [
            "-w", "-fdiagnostics-color=never", "-fcallgraph-info=su,da", "-S", "-o", self.base + ".s",
            "-MD", "-MF", self.base + ".d"]

    def adapted(self, words):
        kept = []
        skip = False
        for word in words:
            if not skip and word.startswith("-fsanitize"):
                raise Trouble("this build has sanitizers; name one without")
            takes_value = word in ("-o", "-MF", "-MQ", "-MT")
            if not skip and not takes_value and word not in ("-c", "-MD", "-MMD", "-Werror") \
                    and not word.startswith("-flto"):
                kept.append(word)
            skip = takes_value
        return kept

    def key(self):
        return hashlib.sha256("\0".join(self.command).encode()).hexdigest()

    def is_fresh(self):
        """Nothing has changed since: neither the command nor a file it read."""
        try:
            begun = os.stat(self.base + ".key").st_mtime_ns
            with open(self.base + ".key", encoding="utf-8") as key:
                if key.read() != self.key():
                    return False
            with open(self.base + ".d", encoding="utf-8") as needs:
                files = needs.read().replace("\\\n", " ").split(":", 1)[1].split()
            return all(os.stat(os.path.join(self.folder, f)).st_mtime_ns < begun for f in files)
        except (OSError, IndexError):
            return False

    def compile(self):
        if self.is_fresh():
            return
        with open(self.base + ".begun", "w", encoding="utf-8") as key:
            key.write(self.key())
        made = subprocess.run(self.command, cwd=self.folder, capture_output=True, text=True,
                              check=False)
        if made.returncode or not os.path.exists(self.base + ".ci"):
            said = re.findall(r"^.*error: .*$", made.stderr, re.M)
            raise Trouble(said[0] if said else f"{self.command[0]}: made no call graph")
        os.replace(self.base + ".begun", self.base + ".key")


def is_ours(entry, root):
    source = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
    inside = os.path.relpath(source, os.path.realpath(root))
    return inside.startswith(tuple(top + os.sep for top in FOLDERS)) and not inside.startswith(ALONE)


def units_of(build, root, name, extra):
    """A build directory's compilations of the library's and the command's own sources."""
    path = os.path.join(build, "compile_commands.json")
    if not os.path.exists(path):
        raise Trouble(f"{path}: there is none; name a build directory with --build")
    with open(path, encoding="utf-8") as file:
        entries = json.load(file)
    to = os.path.join(os.path.realpath(build), "rtcheck", name)
    os.makedirs(to, exist_ok=True)
    return [Unit(entry, number, to, extra) for number, entry in enumerate(entries)
            if is_ours(entry, root)]


def compile_all(units):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(Unit.compile, units))


# ---- Reading -------------------------------------------------------------------------------------

class Reader:
    """Puts what gcc wrote for each unit into one graph."""

    def __init__(self, root):
        self.root = os.path.realpath(root)
        self.graph = Graph()
        self.later = []  # (function, title in its unit, the unit's functions, place)
        self.unplaced = []  # the same, for what only the assembly has

    def place(self, unit, text):
        """ "../src/x.c:1:2", seen from the build's folder, as "src/x.c:1:2"."""
        file, _, rest = text.partition(":")
        path = os.path.realpath(os.path.join(unit.folder, file))
        if path.startswith(self.root + os.sep):
            path = os.path.relpath(path, self.root)
        return f"{path}:{rest}"

    def function(self, unit, title, label):
        """The function of a node, or None for one that is only declared here."""
        parts = label.split("\\n")
        stack = STACK.search(label)
        if not stack:
            return None
        file, line, _ = self.place(unit, parts[1]).split(":")
        name = title.rpartition(":")[2]
        function = self.graph.functions.setdefault((name, file), Function(name, file, int(line)))
        function.stack = max(function.stack, int(stack[1]))
        function.is_bounded &= stack[2] in ("static", "dynamic,bounded")
        if ":" not in title:
            self.graph.visible[name] = function
        return function

    def read(self, unit):
        own = {}  # this unit's functions by their titles
        with open(unit.base + ".ci", encoding="utf-8") as lines:
            lines = list(lines)
        for line in lines:
            node = NODE.match(line)
            function = node and self.function(unit, node[1], node[2])
            if function:
                own[node[1]] = function
        for line in lines:
            edge = EDGE.match(line)
            if edge and edge[1] in own:
                place = self.place(unit, edge[3] or "?:0:0")
                self.later.append((own[edge[1]], edge[2], own, place))
        return own

    def read_assembly(self, unit, own):
        by_symbol = {title.rpartition(":")[2]: f for title, f in own.items()}
        titles = {title.rpartition(":")[2]: title for title in own}
        function = None
        with open(unit.base + ".s", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                label = LABEL.match(line)
                if label:
                    symbol = label[1].removesuffix(".cold")
                    function = by_symbol.get(symbol, function)
                    continue
                branch = function and BRANCH.match(line)
                place = function and f"{function.file}:{function.line}:0"
                if branch and branch[1].removesuffix(".cold") != function.name:
                    symbol = branch[1]
                    self.unplaced.append((function, titles.get(symbol, symbol), own, place))
                elif function and SYSTEM_CALL.match(line):
                    self.unplaced.append((function, BARE_SYSTEM_CALL, own, place))

    def finish(self):
        for function, title, own, place in self.later:
            function.calls_at(self.called(title, own), place)
        for function, title, own, place in self.unplaced:
            called = self.called(title, own)
            if called not in {what for what, _ in function.calls}:
                function.calls_at(called, place)
        return self.graph

    def called(self, title, own):
        if title == INDIRECT:
            return Indirect
        return own.get(title) or self.graph.visible.get(title) or title.removeprefix("*")


def read_graph(units, root, with_assembly):
    reader = Reader(root)
    for unit in units:
        own = reader.read(unit)
        if with_assembly:
            reader.read_assembly(unit, own)
    return reader.finish()


def graphs(build, root):
    """The graph as the source stands, and as built."""
    plain = units_of(build, root, "plain", PLAIN)
    built = units_of(build, root, "built", ["-g0"])
    if not plain:
        raise Trouble(f"{build}: compiles no source of {root}")
    compile_all(built + plain)
    return read_graph(plain, root, False), read_graph(built, root, True)
