"""Do takt sim and takt sim net find bugs that were planted on purpose?

Usage: mutants_test.py SOURCE_ROOT BUILD [NAME...]

Each patch beside this file plants one bug; its header says what, and with which seed and how many
virtual hours it has to be found, "net" before the seed where takt sim net has to. The sources are copied to BUILD, which is used again the next time
so that little is built anew, and each patch is applied there, built, and taken back. takt sim has to
break an invariant, and the replay that it names has to break the same one at the same step.
"""
import sys

sys.dont_write_bytecode = True

import glob
import os
import re
import shutil
import subprocess

ROOT, BUILD = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
TREE, OUT = os.path.join(BUILD, "tree"), os.path.join(BUILD, "build")
FAILURE = re.compile(r"^takt: sim(?: net)?: seed (\d+) scenario (\d+) (?:step|at) ([\d.]+)(?: s)?: (.*); "
                     r"replay with: takt sim (?:net )?(--seed \d+ --scenario \d+)$", re.M)
COPIED = ("include", "src", "cmd", "examples", "man", "tools/completion")


def patches():
    here = os.path.dirname(os.path.abspath(__file__))
    names = sys.argv[3:] or sorted(os.path.basename(p)[:-6] for p in glob.glob(f"{here}/*.patch"))
    return [(name, os.path.join(here, name + ".patch")) for name in names]


def run(*command, seconds=600):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=seconds)


def copy_new(source, target):
    """Copies what differs, so that the build finds only that to be new."""
    for folder, _, files in os.walk(source):
        to = os.path.join(target, os.path.relpath(folder, source))
        os.makedirs(to, exist_ok=True)
        for name in files:
            a, b = os.path.join(folder, name), os.path.join(to, name)
            with open(a, "rb") as new:
                wanted = new.read()
            if os.path.exists(b):
                with open(b, "rb") as old:
                    if old.read() == wanted:
                        continue
            shutil.copyfile(a, b)
    for folder, _, files in os.walk(target):
        for name in files:
            path = os.path.join(folder, name)
            if not os.path.exists(os.path.join(source, os.path.relpath(path, target))):
                os.remove(path)


def lay_tree():
    """The sources, and a build file without tests and benches."""
    os.makedirs(TREE, exist_ok=True)
    for folder in COPIED:
        copy_new(os.path.join(ROOT, folder), os.path.join(TREE, folder))
    shutil.copyfile(os.path.join(ROOT, "tools", "layers"), os.path.join(TREE, "tools", "layers"))
    shutil.copyfile(os.path.join(ROOT, "meson_options.txt"), os.path.join(TREE, "meson_options.txt"))
    with open(os.path.join(ROOT, "meson.build"), encoding="utf-8") as file:
        lines = [line for line in file if line.strip() not in ("subdir('tests')", "subdir('bench')")]
    with open(os.path.join(TREE, "meson.build"), "w", encoding="utf-8") as file:
        file.writelines(lines)
    if not os.path.exists(os.path.join(OUT, "build.ninja")):
        # None of the sound servers' backends has a part in this; without them there is less to build.
        done = run("meson", "setup", "-Djack=disabled", "-Dpipewire=disabled", "-Dalsa=disabled",
                   "-Dportaudio=disabled", OUT, TREE)
        assert done.returncode == 0, done.stdout
    build()


def build():
    done = run("ninja", "-C", OUT, "takt")
    assert done.returncode == 0, done.stdout[-3000:]


def patch(path, *options):
    return run("patch", "-p1", "-s", "-f", "--no-backup-if-mismatch", "-d", TREE, "-i", path,
               *options)


def budget(path):
    with open(path, encoding="utf-8") as file:
        return re.search(r"^Budget: (net )?seed (\d+), ([\d.]+) hours$", file.read(), re.M).groups()


def sim(net, *options):
    # Its library is found through the program's own path.
    return run(os.path.join(OUT, "takt"), "sim", *(["net"] if net else []), "-q", *options, seconds=300)


def check(path):
    """None when the bug was found and replays; else why not."""
    net, seed, hours = budget(path)
    done = sim(net, "--seed", seed, "--hours", hours)
    found = FAILURE.search(done.stdout)
    if done.returncode != 1 or not found:
        return f"not found within {hours} hours of seed {seed}: {done.stdout[-300:]}"
    print(f"# scenario {found[2]} at {found[3]}: {found[4]}")
    again = FAILURE.search(sim(net, *found[5].split()).stdout)
    if not again or again.groups() != found.groups():
        return f"the replay is another: {again and again[0]}"
    return None


def main():
    names = patches()
    lay_tree()
    failed = 0
    print(f"1..{len(names) + 2}")
    for number, net in enumerate((False, True), 1):
        clean = sim(net, "--seed", "1", "--hours", "0.5")
        failed += clean.returncode != 0
        print(f"{'ok' if clean.returncode == 0 else 'not ok'} {number} - nothing is found "
              f"where no bug is planted{' in the net' if net else ''}")
        if clean.returncode:
            print(f"# {clean.stdout[-300:]}")
    for number, (name, path) in enumerate(names, 3):
        why = None
        applied = patch(path)
        if applied.returncode:
            why = f"it does not apply any more: {applied.stdout[-300:]}"
        else:
            build()
            why = check(path)
            back = patch(path, "-R")
            assert back.returncode == 0, back.stdout
        failed += why is not None
        print(f"{'not ok' if why else 'ok'} {number} - {name}", flush=True)
        if why:
            print("# " + why.replace("\n", "\n# "))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
