"""
stack.py - how deep the stack gets below a function, in the library as built.
"""

import re

from callgraph import Function, Indirect
from walk import USER

RED_ZONE_BYTES = 128  # below its stack pointer, used by a function of x86-64 that calls no other


class Stack:
    """The deepest way down from a function, in the library as built."""

    def __init__(self, built, walk, outsider_bytes):
        self.built = built
        self.walk = walk
        self.outsider_bytes = outsider_bytes
        self.known = {}  # function: (bytes, the next one on the deepest way)
        self.open = set()
        self.reached = {(str(f), f.file) for f in walk.reached}
        self.makers = {}  # place of a call: the functions that make it in the source
        for f in walk.plain.functions.values():
            for _, place in f.calls:
                self.makers.setdefault(place, []).append(f)

    def below(self, caller, called, place):
        """The functions behind a call, or None for an outsider."""
        makers = self.makers.get(place)
        if makers and not any(f in self.walk.reached for f in makers):
            return []  # the inlined body of something that the walk did not enter
        if called is Indirect:
            if place not in self.walk.targets_at:
                self.lost(caller, place)
            found = self.walk.targets_at.get(place, [])
            return [g for f in found for g in
                    ([self.built.functions.get((str(f), f.file))] if isinstance(f, Function)
                     else [] if f == USER else [None])]
        if isinstance(called, Function):
            return [called] if (str(called), called.file) in self.reached else []
        if called in self.walk.allow.end:
            return []
        self.check_outsider(caller, called, place)
        return [None]

    def lost(self, caller, place):
        file, line, _ = place.rsplit(":", 2)
        self.walk.wrong(file, int(line), f"{caller}: this call through a pointer is in the library "
                        "as built, but not in its source")

    def check_outsider(self, caller, name, place):
        """What only the optimiser or the processor calls; the rest was seen in the walk."""
        allow = self.walk.allow
        if name in self.walk.safe_outside or name.removesuffix("64") in self.walk.safe_outside:
            return
        if name in allow.safe:
            allow.use(allow.safe[name], name)
        elif not self.walk.is_in(self.walk.allow.excepted, caller, name) and \
                not self.was_refused(name):
            file, line, _ = place.rsplit(":", 2)
            self.walk.wrong(file, int(line), f"{caller} -> {name}: not known to be real-time safe; "
                            f"the compiler calls it. List it in {allow.shown} or do without")

    def was_refused(self, name):
        return any(what == name for _, what in self.walk.refused)

    def deepest(self, function):
        if function in self.known:
            return self.known[function][0]
        if function in self.open:
            return 0  # recursion, which is a mistake of its own
        self.open.add(function)
        most, way = RED_ZONE_BYTES, None
        for called, place in function.calls:
            for f in self.below(function, called, place):
                deep = self.deepest(f) if f else self.outsider_bytes
                if deep > most:
                    most, way = deep, f or called
        self.open.discard(function)
        self.known[function] = (function.stack + most, way)
        return function.stack + most

    def way(self, function):
        names = []
        while isinstance(function, Function):
            names.append(str(function))
            function = self.known[function][1]
        return names + ([function] if isinstance(function, str) else [])

    def of(self, function):
        """Bytes and way of a function of the source; None where it lives on only inside others."""
        built = self.built.functions.get((str(function), function.file))
        return (self.deepest(built), self.way(built)) if built else None


def constant(root, file, name):
    """The value of an enumerator, such as STACK_BYTES = 256 << 10."""
    with open(f"{root}/{file}", encoding="utf-8") as source:
        match = re.search(rf"\b{name}\s*=\s*(\d+)(?:\s*<<\s*(\d+))?", source.read())
    return int(match[1]) << int(match[2] or 0) if match else None
