"""
headers.py - what headers say about real-time safety: "RT: yes" or "RT: no".

A word counts for the function or pointer whose comment it is in, and for those that follow it
without an empty line or a comment in between. A section's heading (/* ---- ... */) speaks for what
stands below it, a struct's comment for its pointers, and a file's opening comment for all of its
functions; the nearest word holds.
"""

import os
import re

WORD = re.compile(r"\bRT:[\s*]+(yes|no)\b")
ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)|\bTAKT_API\b", re.S)
POINTER = re.compile(r"\(\s*\*\s*(\w+)\s*(?:\[[^\]]*\])?\s*\)\s*\(")
SKIPPED = re.compile(r'extern\s+"C"\s*\{|\}')
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
DIRECTIVE = re.compile(r"#(?:[^\n\\]|\\.)*", re.S)


class Said:
    """One function, or one pointer in a struct, and what its header says of it."""

    def __init__(self, name, struct, word, file, line, is_inline):
        self.name = name
        self.struct = struct  # of a pointer, else None
        self.word = word  # "yes", "no", "yes no" or None
        self.file = file
        self.line = line
        self.is_inline = is_inline

    def __str__(self):
        return f"{self.struct}.{self.name}" if self.struct else self.name


def word_of(comment):
    return " ".join(sorted(set(WORD.findall(comment)), reverse=True)) or None


def without_comments(text):
    """The same text with spaces for comments, so that places stay."""
    return COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def end_of_chunk(code, at):
    """Where a declaration or definition ends; code is without comments."""
    depth = 0
    is_function = False
    for i in range(at, len(code)):
        c = code[i]
        if c in "({[":
            is_function |= c == "{" and depth == 0 and code[at:i].rstrip().endswith(")")
            depth += 1
        elif c in ")}]":
            depth -= 1
            if depth == 0 and c == "}" and is_function:
                return i + 1
        elif c == ";" and depth == 0:
            return i + 1
    return len(code)


def items(text):
    """Yields kind (comment, blank, code), text and first and last line of each thing. What the
    preprocessor reads stands between as an empty line does."""
    code = without_comments(text)
    at, line = 0, 1
    while at < len(text):
        space = re.match(r"\s*", text[at:])[0]
        line += space.count("\n")
        at += len(space)
        if space.count("\n") > 1:
            yield "blank", "", line, line
        if at >= len(text):
            return
        comment = COMMENT.match(text, at)
        skipped = DIRECTIVE.match(text, at) or SKIPPED.match(text, at)
        end = (comment or skipped).end() if comment or skipped else end_of_chunk(code, at)
        last = line + text.count("\n", at, end)
        kind = "comment" if comment else "blank" if skipped else "code"
        yield kind, text[at:end], line, last
        line, at = last, end


def documented(text, first_line=1):
    """Yields each piece of code with the word of its comment and of its section."""
    comment, doc, section, held = None, None, None, None
    for kind, what, line, last in list(items(text)) + [("end", "", 0, 0)]:
        if kind == "comment" and held and held[2] == line:
            held = (held[0], held[1], held[2], word_of(what) or held[3], held[4])
            continue
        if held:
            yield held[0], held[1] + first_line - 1, held[3], held[4]
            held = None
        if kind == "comment":
            if what.startswith("/* --"):
                section = word_of(what)
            comment = what
        elif kind == "blank":
            comment, doc = None, None
        elif kind == "code":
            if comment:
                doc = word_of(comment)
            comment = None
            held = (what, line, last, doc, section)


def function_in(code):
    """The name of the function that a piece of code declares or defines, or None."""
    head = ATTRIBUTE.sub(" ", without_comments(code)).split("{")[0]
    if re.match(r"\s*(typedef|_Static_assert)\b", head) or "=" in head:
        return None
    match = re.search(r"(\w+)\s*\(", head)
    return match[1] if match and not head[match.end():].lstrip().startswith("*") else None


def pointers_in(struct, code, line, word, file):
    """Yields each function pointer of a struct's definition."""
    start = code.index("{") + 1
    inner = code[start:code.rindex("}")]
    first = line + code.count("\n", 0, start)
    for member, at, own, _ in documented(inner, first):
        match = POINTER.search(without_comments(member))
        if match:
            yield Said(match[1], struct, own or word, file, at, False)


def read_header(root, file):
    """All that one header says, in its order."""
    with open(os.path.join(root, file), encoding="utf-8", errors="replace") as source:
        text = source.read()
    opening = COMMENT.search(text)
    default = word_of(opening[0]) if opening and not text[:opening.start()].strip() else None
    said = []
    for code, line, own, section in documented(text):
        word = own or section
        struct = re.match(r"\s*struct\s+(\w+)\s*\{", without_comments(code))
        name = None if struct else function_in(code)
        if struct:
            said += pointers_in(struct[1], code, line, word, file)
        elif name:
            is_inline = bool(re.match(r"\s*static\b", code))
            said.append(Said(name, None, word or default, file, line, is_inline))
    return said


def read_headers(root):
    """What all headers say: of the public ones and of those of src/."""
    said = []
    for top in ("include/takt", "src"):
        for folder, folders, files in os.walk(os.path.join(root, top)):
            folders.sort()
            for file in sorted(files):
                if file.endswith(".h"):
                    said += read_header(root, os.path.relpath(os.path.join(folder, file), root))
    return said


def silent(said):
    """Yields what has no word, although it is public or others beside it have one."""
    def told(key):
        return {key(s) for s in said if s.word}
    files = told(lambda s: s.file)
    structs = told(lambda s: s.struct and (s.file, s.struct))
    elsewhere = told(lambda s: (s.file, s.struct, s.name))  # in the other half of an #if
    for s in said:
        if s.word or (s.file, s.struct, s.name) in elsewhere:
            continue
        if s.struct:
            if (s.file, s.struct) in structs:
                yield s
        elif s.file.startswith("include/") or s.file in files:
            yield s
