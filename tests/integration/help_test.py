"""Do the manual page and the completions say what the program does?

Usage: help_test.py TAKT SOURCE_ROOT
"""
import sys

sys.dont_write_bytecode = True

import os
import re
import shlex
import subprocess

from program import ENVIRONMENT, TAKT, check, equal, needs, run, test, tests_done

ROOT = os.path.abspath(sys.argv[2])
MANUAL = os.path.join(ROOT, "man", "takt.1")
COMPLETION = os.path.join(ROOT, "tools", "completion")
VERBS = re.findall(r"^  takt (\w+)", run("help").out, re.M)


def options(verb):
    """{"-i", "--in", …} of a verb's help."""
    out = run("help", verb).out
    found = re.findall(r"^  (-\w)?(?:, )?(--[\w-]+)?(?: [A-Z]+)? ", out, re.M)
    only_named = " ".join(re.findall(r"^    (-.*)", out, re.M))
    return {name for pair in found for name in pair if name} | set(re.findall(r"[\w-]+", only_named))


EVERY_OPTION = set.union(*map(options, VERBS))


def manual():
    with open(MANUAL, encoding="utf-8") as file:
        return file.read()


# ---- The manual page -----------------------------------------------------------------------------


@test
def manual_page_is_well_formed():
    needs("mandoc")
    done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", MANUAL], stdout=subprocess.PIPE,
                          text=True, timeout=60)
    equal((done.returncode, done.stdout), (0, ""))


@test
def manual_page_has_each_verb_and_no_other():
    text = manual()
    equal(set(re.findall(r"^\.It Cm (\w+)", text, re.M)), set(VERBS))
    synopsis = text[text.index("SYNOPSIS"):text.index("DESCRIPTION")]
    equal(re.findall(r"^\.Cm (\w+)", synopsis, re.M), VERBS)


@test
def manual_page_has_each_option_and_no_other():
    described = set()
    for line in re.findall(r"^\.It Fl (.*)", manual(), re.M):
        described |= {"-" + name.replace("\\", "")
                      for name in re.findall(r"(?:^|, )((?:\\?-|\w)+)", line)}
    equal(described, EVERY_OPTION)


@test
def manual_page_names_what_json_has():
    text = manual()
    run("record", "x.wav", "-i", "sim:tone", "-t", "0.2", "--fast", "-q")
    *lines, summary = run("meter", "x.wav", "--fast", "--json").lines()
    level, meter = (next(l for l in lines if l["type"] == kind) for kind in ("level", "meter"))
    for name in [*level["channels"][0], *meter, *meter["channels"][0], *summary["loudness"],
                 *summary["correlation"], *summary["meters"][0]]:
        check(name in text, f"{name} is not in the manual page")
    for name in re.search(r"The summary has\n(.*?)scheduling", text, re.S)[1].split("\n"):
        for word in re.findall(r"[a-z_]+", name[4:]) if name.startswith(".Va ") else []:
            check(word in summary or word in summary["contract"], f"{word} is not in the summary")


@test
def every_example_runs():
    """Those of the manual page and of the help, with recordings of our own. What is there for use
    with other programs, interop_test.py runs."""
    text = re.sub(r"\.Ss With other programs\n.*?(?=^\.Sh )", "", manual(), flags=re.M | re.S)
    examples = re.findall(r"^\.Dl (takt .*)", text, re.M)
    examples += re.findall(r"^  (takt \w+ .*\.wav.*|takt \w+ .*null:.*)$", run("help", "run").out,
                           re.M)
    check(len(examples) >= 5, examples)
    run("record", "in.wav", "-i", "sim:voice", "-t", "0.3", "--fast", "-q")
    for example in examples:
        words = shlex.split(example.split("|")[0])[1:]
        words = ["in.wav" if w.startswith("/usr/share") else w for w in words if w != "--strict"]
        equal(run(*words).status, 0, example)


# ---- Completions ---------------------------------------------------------------------------------


def bash(line):
    """The words that bash would offer at the end of the line."""
    script = f"""source {shlex.quote(COMPLETION)}/takt.bash
        COMP_LINE=$1 COMP_POINT=${{#1}}; _takt {shlex.quote(TAKT)}
        printf '%s\\n' "${{COMPREPLY[@]}}" """
    return offered(["bash", "--norc", "-c", script, "bash", line])


def fish(line):
    script = f"source {shlex.quote(COMPLETION)}/takt.fish; complete -C {shlex.quote(line)}"
    return offered(["fish", "--no-config", "-c", script])


def offered(command):
    path = os.path.dirname(TAKT) + ":" + ENVIRONMENT["PATH"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=60, env=ENVIRONMENT | {"PATH": path, "HOME": os.getcwd()})
    check(done.returncode == 0 and not done.stderr, f"{command}: {done.stderr}")
    return {line.split("\t")[0] for line in done.stdout.splitlines() if line}


def completes(shell):
    open("take one.wav", "w").close()
    open("take.flac", "w").close()
    check(set(VERBS) <= shell("takt "), shell("takt "))
    equal(shell("takt me"), {"meter"})
    for verb in VERBS:
        equal({o for o in shell(f"takt {verb} --")} - {"--"},
              {o for o in options(verb) if o.startswith("--")}, verb)
        missing = options(verb) - shell(f"takt {verb} -") - shell(f"takt {verb} --")
        equal(missing, set(), verb)
    equal(shell("takt run x.wav -f "), {"s16", "s24", "s32", "f32", "u8"})
    equal(shell("takt meter --latency l"), {"low"})
    equal(shell("takt help reco"), {"record"})
    check("gain=" in shell("takt run x.wav g"), "no effects")
    equal({w.replace("\\", "") for w in shell("takt play take")}, {"take one.wav", "take.flac"})
    equal(shell("takt meter -b "), set())
    equal(shell("takt send host --codec "), {"L16", "L24", "opus", "x-f32"})
    equal(shell("takt key "), {"new", "check"})
    for line in ("takt meter sim:vo", "takt run x.wav -i sim:vo"):
        equal({w.removeprefix("sim:") for w in shell(line)}, {"voice"}, line)


@test
def bash_completes_what_takt_takes():
    completes(bash)


@test
def fish_completes_what_takt_takes():
    needs("fish")
    completes(fish)


@test
def zsh_can_read_its_completion():
    needs("zsh")
    done = subprocess.run(["zsh", "-n", os.path.join(COMPLETION, "_takt")], stderr=subprocess.PIPE,
                          timeout=60)
    equal((done.returncode, done.stderr), (0, b""))


@test
def zsh_asks_takt_as_its_completion_expects():
    """The patterns by which the completion for zsh finds verbs, options and devices."""
    with open(os.path.join(COMPLETION, "_takt"), encoding="utf-8") as file:
        patterns = re.findall(r"(\w+)(?: \$verb)?(?: --json)? 2>/dev/null \|\s+sed -nE '([^']+)'",
                              file.read())
    equal([p[0] for p in patterns], ["devices", "help", "help", "help"])
    ids = {d["id"] for d in run("devices", "--json").lines()[:-1]}

    def sed(pattern, *arguments):
        done = subprocess.run(["sed", "-nE", pattern], input=run(*arguments).raw,
                              stdout=subprocess.PIPE, check=True, timeout=60)
        return done.stdout.decode().splitlines()

    equal({line.split("\t")[0] for line in sed(patterns[0][1], "devices", "--json")}, ids)
    equal([line.split(":")[0] for line in sed(patterns[1][1], "help")], VERBS)
    for verb in VERBS:
        equal({o for o in (line.split(":")[0] for line in sed(patterns[2][1], "help", verb)) if o},
              options(verb), verb)
    equal(sed(patterns[3][1], "help"), VERBS)


tests_done()
