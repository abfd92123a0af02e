"""
pointers.py - calls through pointers: what the source calls the pointer, and what it puts there.

An indirect call is known by its place, and there the source says `p->ops->read(...)`: the pointer's
name is the last one, read. What may be behind it is what some source puts into a member of that
name: `.read = f`, `->read = f`.
"""

import os
import re

from headers import without_comments

STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'')
WORD = re.compile(r"[A-Za-z_]\w*")
PUT = re.compile(r"(?P<before>->|[\w)\]]\s*\.|\.)\s*(?P<member>\w+)\s*(?:\[[^\]]*\]\s*)?=(?!=)\s*")
TYPED = re.compile(r"struct\s+(\w+)\b[^;{}=]*=\s*$|\(\s*(?:const\s+)?(?:struct\s+)?(\w+)\s*\)\s*$")
POSITIONAL = re.compile(r"\bstruct\s+(\w+)\b(?:[^;{}=()]*=|\s*\))\s*\{[\s{]*(?![\s{.\[}0])")
FOLDERS = ("cmd", "src")


class Put:
    """A function that some source puts into a member."""

    def __init__(self, struct, member, name, file, line):
        self.struct = struct  # None where it cannot be seen
        self.member = member
        self.name = name
        self.file = file
        self.line = line


def source_text(text):
    """Without comments and without what strings hold, all places as they were."""
    return STRING.sub(lambda m: m[0][0] + " " * (len(m[0]) - 2) + m[0][0], without_comments(text))


def closing(text, at):
    """Where the bracket that opens at `at` is closed."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in "({[") - (text[i] in ")}]")
        if depth == 0:
            return i
    return len(text)


def value_at(text, at):
    """The value that begins there: up to a comma, semicolon or bracket that is not its own."""
    i = at
    while i < len(text) and text[i] not in ",;)}]":
        i = closing(text, i) + 1 if text[i] in "({[" else i + 1
    return text[at:i]


def struct_around(text, at):
    """The struct that a designator at `at` belongs to, or None."""
    depth = 0
    for i in range(at - 1, -1, -1):
        depth += (text[i] in ")}]") - (text[i] in "({[")
        if depth < 0:
            match = TYPED.search(text[:i]) if text[i] == "{" else None
            return match and (match[1] or match[2])
    return None


class Sources:
    """The sources of the library and of the command, as text."""

    def __init__(self, root):
        self.root = root
        self.raw = {}
        self.puts = None
        self.positional = []  # struct, file, line of initialisers that name no members
        self.taken = None

    def text(self, file):
        if file not in self.raw:
            path = os.path.join(self.root, file)
            with open(path, encoding="utf-8", errors="replace") as source:
                self.raw[file] = source_text(source.read())
        return self.raw[file]

    def called_at(self, place):
        """The names that are called by the expression at "file:line:column": for
        `first(x)->ops->read(y)` these are first and read."""
        file, line, column = place.rsplit(":", 2)
        text = self.text(file)
        lines = text.split("\n")
        at = sum(len(s) + 1 for s in lines[:int(line) - 1]) + int(column) - 1
        name, called = None, []
        while at < len(text):
            at += len(re.match(r"\s*", text[at:at + 200])[0])
            word = WORD.match(text, at)
            if word:
                name, at = word[0], word.end()
            elif text.startswith("->", at):
                at += 2
            elif text[at] == "." or text[at] == "*":
                at += 1
            elif text[at] == "[":
                at = closing(text, at) + 1
            elif text[at] == "(" and name:
                called, name, at = called + [name], None, closing(text, at) + 1
            elif text[at] == "(":
                inner = WORD.findall(text[at:closing(text, at)])
                name, at = inner[-1] if inner else None, closing(text, at) + 1
            elif text[at] == ")" and name:
                at += 1
            else:
                break
        return called

    def files(self):
        for top in FOLDERS:
            for folder, _, files in sorted(os.walk(os.path.join(self.root, top))):
                for file in sorted(files):
                    if file.endswith((".c", ".h")):
                        yield os.path.relpath(os.path.join(folder, file), self.root)

    def put_into(self, member):
        """All words that some source puts into a member of that name."""
        if self.puts is None:
            self.puts = {}
            for file in self.files():
                self.find_puts(file)
        return self.puts.get(member, [])

    def find_puts(self, file):
        text = self.text(file)
        for table in POSITIONAL.finditer(text):
            self.positional.append((table[1], file, text.count("\n", 0, table.start()) + 1))
        for put in PUT.finditer(text):
            designates = put["before"] == "."
            struct = struct_around(text, put.start()) if designates else None
            line = text.count("\n", 0, put.start()) + 1
            value = value_at(text, put.end())
            for word in WORD.finditer(value):
                if not value[word.end():].lstrip().startswith("(") and \
                        not value[:word.start()].rstrip().endswith(("->", ".")):
                    found = Put(struct, put["member"], word[0], file, line)
                    self.puts.setdefault(put["member"], []).append(found)

    def takes_address_of(self, name):
        """Is the name anywhere used without being called?"""
        if self.taken is None:
            self.taken = set()
            for file in self.files():
                self.taken |= set(re.findall(r"\b([A-Za-z_]\w*)\b(?!\s*\()", self.text(file)))
        return name in self.taken
