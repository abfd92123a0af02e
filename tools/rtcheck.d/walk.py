"""
walk.py - from every function that is said to be real-time safe to all that it can reach.
"""

from allow import UNSAFE
from callgraph import Function, Indirect

USER = "user"  # in place of a target: the program's own function


class Walk:
    def __init__(self, plain, said, allow, sources, wrong):
        self.plain = plain
        self.said = said
        self.allow = allow
        self.sources = sources
        self.wrong = wrong
        self.reached = {}  # function: (its caller, place), or None for a root
        self.edges = {}  # function: {function it calls: place}
        self.targets_at = {}  # place of an indirect call: what may be behind it
        self.refused = set()
        self.safe_outside = set()  # outsiders that some function may call
        self.roots = []
        self.words = {}  # "yes" or "no" of a function
        for s in said:
            if s.word in ("yes", "no") and not s.struct:
                for f in self.functions_of(s):
                    self.words.setdefault(f, s.word)

    # ---- Names ----------------------------------------------------------------------------------

    def functions_of(self, s):
        if s.is_inline:
            return self.plain.named(s.name, s.file)
        return [self.plain.visible[s.name]] if s.name in self.plain.visible else []

    def function_named(self, entry, name):
        """The one function that the file means by NAME or FILE:NAME; None for an outsider."""
        file, _, bare = name.rpartition(":")
        found = self.plain.named(bare, file or None)
        if len(found) > 1:
            self.wrong(entry.file, entry.line, f"{name}: {found[0].file} and {found[1].file} have "
                       "one; write FILE:NAME")
        if not found and file:
            self.wrong(entry.file, entry.line, f"{name}: there is no such function")
        return found[0] if found else None

    def is_meant(self, function, name):
        """Does the file's NAME or FILE:NAME mean this function?"""
        file, _, bare = name.rpartition(":")
        return str(function) == bare and (not file or ("/" + function.file).endswith("/" + file))

    def put_functions(self, put):
        own = self.plain.named(put.name, put.file)
        return own or [f for f in [self.plain.visible.get(put.name)] if f]

    # ---- Roots -----------------------------------------------------------------------------------

    def find_roots(self):
        for s in self.said:
            if s.word == "yes no":
                self.wrong(s.file, s.line, f"{s}: its comment says both RT: yes and RT: no")
            if s.word != "yes":
                continue
            if s.struct:
                self.add_pointer_roots(s)
                continue
            functions = self.functions_of(s)
            if not functions:
                self.wrong(s.file, s.line, f"{s}: no source that was compiled defines or uses it")
            self.roots += functions
        for name, entry in self.allow.roots:
            function = self.function_named(entry, name)
            if function:
                self.roots.append(function)
            else:
                self.wrong(entry.file, entry.line, f"{name}: there is no such function")
        self.roots = list(dict.fromkeys(self.roots))
        self.check_tables()

    def check_tables(self):
        """Tables of pointers can be read only where they name their members."""
        structs = {s.struct for s in self.said if s.word == "yes" and s.struct}
        self.sources.put_into("")
        for struct, file, line in self.sources.positional:
            if struct in structs:
                self.wrong(file, line, f"struct {struct}: name its members (.x = ...), so that it "
                           "can be told what is put where")

    def add_pointer_roots(self, s):
        entries = [e for e in self.allow.pointers if (e.struct, e.member) == (s.struct, s.name)]
        if not entries:
            self.wrong(s.file, s.line, f"{s}: is said to be RT: yes; list what may be behind it "
                       f"in {self.allow.shown}")
        for entry in entries:
            self.roots += [t for t in self.targets(entry) if isinstance(t, Function)]

    # ---- Pointers --------------------------------------------------------------------------------

    def targets(self, entry):
        """What an entry lists, and what the sources put there and it should list."""
        if not hasattr(entry, "resolved"):
            entry.resolved = [self.function_named(entry, name) or name for name in entry.targets]
            self.confirm(entry)
        return entry.resolved

    def confirm(self, entry):
        of_that_name = [e for e in self.allow.pointers if e.member == entry.member]
        same = [e for e in of_that_name if e.struct == entry.struct]
        for put in self.sources.put_into(entry.member):
            if put.struct != entry.struct and put.struct and entry.struct:
                continue
            for function in self.put_functions(put):
                others = of_that_name if put.struct is None else same
                if not any(self.is_meant(function, name) for e in others for name in e.targets):
                    self.wrong(put.file, put.line, f"{function} is put into {entry.member}; list "
                               f"it there in {entry.file}, line {entry.line}")
        for name, target in zip(entry.targets, entry.resolved):
            bare = name.rpartition(":")[2]
            if isinstance(target, Function) and not self.sources.takes_address_of(bare):
                self.wrong(entry.file, entry.line, f"{name}: nothing takes its address; "
                           "take it out")

    def entry_for(self, caller, member):
        for entry in self.allow.pointers:
            for name in entry.callers:
                if entry.member == member and self.is_meant(caller, name):
                    self.allow.use(entry, name)
                    return entry
        return None

    def behind(self, caller, place):
        """What an indirect call may reach."""
        names = self.sources.called_at(place) if not place.startswith("/") else []
        direct = {str(what) for what, at in caller.calls if at == place and what is not Indirect}
        members = [name for name in names if name not in direct]
        if not members:
            self.refuse(caller, place, "a pointer that has no name here",
                        "put it into a variable first")
        return [target for member in members
                for target in self.behind_member(caller, place, member)]

    def behind_member(self, caller, place, member):
        entry = self.entry_for(caller, member)
        if entry is None:
            self.refuse(caller, place, f"the pointer {member}",
                        f"what may be behind it? List it in {self.allow.shown}")
            return []
        for s in self.said:
            if s.word == "no" and entry.struct and (s.struct, s.name) == (entry.struct, member):
                self.refuse(caller, place, str(s), "its header says RT: no")
        return self.targets(entry)

    # ---- The walk --------------------------------------------------------------------------------

    def chain(self, function):
        """The functions from a root to this one."""
        names = []
        while function:
            names.append(str(function))
            came = self.reached[function]
            function = came and came[0]
        return names[::-1]

    def refuse(self, caller, place, what, why):
        if (caller, what) not in self.refused:
            self.refused.add((caller, what))
            file, line, _ = place.rsplit(":", 2)
            self.wrong(file, int(line), " -> ".join(self.chain(caller) + [what]) + ": " + why)

    def is_in(self, table, caller, name):
        """Has the file an entry for this call in its exceptions, or among what is left?"""
        for (by, called), entry in table.items():
            if called == name and self.is_meant(caller, by):
                self.allow.use(entry, (by, called))
                return True
        return False

    def visit_outsider(self, caller, name, place):
        for table in (self.allow.end, self.allow.safe):
            if name in table:
                self.allow.use(table[name], name)
                self.safe_outside.add(name)
                return
        if self.is_in(self.allow.excepted, caller, name):
            self.safe_outside.add(name)
            return
        known = "not real-time safe" if UNSAFE.match(name) else "not known to be real-time safe"
        self.refuse(caller, place, name, f"{known}; list it in {self.allow.shown} with the reason "
                    "or do not call it")

    def visit(self, caller, called, place, queue):
        if called == USER or self.is_in(self.allow.left, caller, str(called)):
            return
        if not isinstance(called, Function):
            self.visit_outsider(caller, called, place)
            return
        if str(called) in self.allow.end:
            self.allow.use(self.allow.end[str(called)], str(called))
            return
        if self.words.get(called) == "no" and \
                not self.is_in(self.allow.excepted, caller, str(called)):
            self.refuse(caller, place, str(called), "its header says RT: no; do not call it, or "
                        f"list it in {self.allow.shown} with the reason")
            return
        self.edges[caller].setdefault(called, place)
        if called not in self.reached:
            self.reached[called] = (caller, place)
            queue.append(called)

    def walk(self):
        self.find_roots()
        queue = list(self.roots)
        self.reached = dict.fromkeys(queue)
        for caller in queue:  # grows as it goes
            self.edges[caller] = {}
            for called, place in caller.calls:
                behind = [called]
                if called is Indirect:
                    behind = self.targets_at[place] = self.behind(caller, place)
                for target in behind:
                    self.visit(caller, target, place, queue)

    # ---- What has no bound -----------------------------------------------------------------------

    def check_stack_is_bounded(self):
        for function in self.reached:
            if not function.is_bounded:
                self.wrong(function.file, function.line, " -> ".join(self.chain(function)) +
                           ": how much stack it takes is only known when it runs (alloca, or an "
                           "array of variable length)")

    def check_recursion(self):
        done, path = set(), []

        def descend(function):
            if function in path:
                round_ = path[path.index(function):] + [function]
                place = self.edges[round_[0]][round_[1]]
                file, line, _ = place.rsplit(":", 2)
                self.wrong(file, int(line), " -> ".join(map(str, round_)) +
                           ": calls itself, so its stack has no bound")
                return
            if function in done:
                return
            path.append(function)
            for called in self.edges[function]:
                descend(called)
            path.pop()
            done.add(function)

        for root in self.roots:
            descend(root)
