"""pipe:'COMMAND': what a program is given, what becomes of its lines, and that nothing it does
disturbs the sound.

Usage: pipe_test.py TAKT
"""
import sys

sys.dont_write_bytecode = True

import os
import signal
import struct
import subprocess
import threading
import time

import program
import wav
from program import check, equal, run, test, tests_done
from screen import Screen


def sound(frames, channels=2, name="x.wav"):
    wav.write(name, "s16", [tuple((i * (7 + c)) % 1000 - 500 for c in range(channels))
                            for i in range(frames)], channels=channels)


def pipe_lines(said):
    return [line["line"] for line in said.lines() if line["type"] == "pipe"]


def no_child_is_left(mark):
    listed = subprocess.run(["pgrep", "-f", mark], capture_output=True, text=True).stdout
    equal(listed, "", f"still running after {mark}")


@test
def with_fast_every_byte_is_given_and_counted():
    for frames, channels in ((1, 1), (480, 2), (48001, 2), (200000, 3)):
        sound(frames, channels)
        said = run("run", "x.wav", "pipe:wc -c", "null:", "--fast", "--json")
        equal([line.strip() for line in pipe_lines(said)], [str(frames * channels * 4)])
        pipe = said.summary()["pipes"][0]
        equal((pipe["given_frames"], pipe["dropped_frames"], pipe["exit_status"], pipe["lines"]),
              (frames, 0, 0, 1))
        equal(said.err, "")
    check(f"pipe 1: {200000 * 12}\n" in run("run", "x.wav", "pipe:wc -c", "null:", "--fast").out,
          "told in words, too")


@test
def what_it_is_given_is_the_sound_at_that_point_of_the_chain():
    sound(30000)
    run("run", "x.wav", "pipe:cat >before.raw", "gain=-6.0206dB", "pipe:cat >after.raw", "y.wav",
        "--fast", "-f", "f32")
    run("run", "x.wav", "gain=-6.0206dB", "z.wav", "--fast", "-f", "f32")
    equal(open("y.wav", "rb").read(), open("z.wav", "rb").read(), "the sound passes unchanged")
    before, after = (struct.unpack(f"<{60000}f", open(f"{name}.raw", "rb").read())
                     for name in ("before", "after"))
    equal([round(x * 32768) for x in before],
          [(i * (7 + c)) % 1000 - 500 for i in range(30000) for c in range(2)])
    check(all(abs(b / 2 - a) < 1e-6 for b, a in zip(before, after)), "half after the gain")


@test
def it_knows_rate_and_channels():
    sound(100)
    said = run("run", "x.wav", "pipe:cat >/dev/null; echo $TAKT_RATE_HZ $TAKT_CHANNELS", "null:",
               "--fast", "--json", "-c", "3")
    equal(pipe_lines(said), ["48000 3"])


@test
def a_line_that_is_an_object_is_passed_as_one():
    sound(100)
    lines = ['{"a": [1, -2.5e3, "\\u00e4\\n", true, null, {}]}', ' {} ', '{"a":1', '{"a":NaN}',
             '[1]', '{"a":01}', '{"a":"\t"}', 'tab\tand "quotes"', '', '{"a":1} x', '{"a":1,}']
    with open("lines", "w") as file:
        file.write("\n".join(lines))
    said = run("run", "x.wav", "pipe:cat >/dev/null; cat lines; printf '\\377\\0'", "null:",
               "--fast", "--json")
    told = pipe_lines(said)
    equal(told[:2], [{"a": [1, -2500.0, "ä\n", True, None, {}]}, {}])
    equal(told[2:10], lines[2:10])
    equal(told[10], lines[10] + "\ufffd?")
    equal(len(told), 11)
    check("\033" not in run("run", "x.wav", "pipe:printf '\\033[2Jx\\n'", "null:", "--fast").out,
          "an escape reaches the terminal")


@test
def every_run_of_a_virtual_clock_gives_the_same_bytes():
    sound(100000)
    arguments = ("run", "x.wav", "pipe:od -An -tf4 -v | head -n 500", "pipe:wc -c", "null:",
                 "--fast", "--json")
    said = [run(*arguments) for _ in range(3)]
    for more in said[1:]:
        equal([line for line in more.lines()[:-1]], [line for line in said[0].lines()[:-1]])
    check(len(pipe_lines(said[0])) == 501, "all lines, pipe by pipe")
    arguments = ("run", "x.wav", "pipe:wc -c", "pipe:md5sum", "null:", "--fast", "--json")
    equal(run(*arguments).raw, run(*arguments).raw)


@test
def lines_come_as_they_are_printed_and_in_the_order_of_time():
    said = run("run", "sim:tone", "pipe:for i in 1 2 3 4; do head -c 76800 | wc -c; done; "
               "cat >/dev/null", "null:", "-c", "2", "-t", "1.2", "--json")
    times = [line["time_s"] for line in said.lines() if line["type"] in ("pipe", "level")]
    equal(times, sorted(times))
    equal([line.strip() for line in pipe_lines(said)], ["76800"] * 4)
    equal(said.summary()["pipes"][0]["dropped_frames"], 0)


# Each of these is a second of the stream and the program's time to finish; so all at once.
BAD = {
    "dies at once": "exit 3 # mark-dies",
    "is not there": "/nonexistent/mark-notthere",
    "sleeps": "sleep 0.7; cat >/dev/null # mark-sleeps",
    "never reads": "sleep 1000 # mark-neverreads",
    "prints without end": "yes mark-yes",
    "reads a little": "head -c 100000 >/dev/null # mark-head",
    "ignores SIGTERM": "trap '' TERM; while :; do sleep 0.1; done # mark-ignores",
    "leaves one behind": "sleep 3 & cat >/dev/null # mark-behind",
    "complains": "echo 'no model' >&2; cat >/dev/null # mark-complains",
}


@test
def nothing_that_a_program_does_disturbs_the_stream():
    sound(48000)  # a file loses nothing on a busy machine, as a device would
    said, threads = {}, []
    for name, command in BAD.items():
        def one(name=name, command=command):
            done = subprocess.run(
                [program.TAKT, "run", "x.wav", f"pipe:{command}", f"{name}.wav", "--json",
                 "--wait", "1"], capture_output=True, timeout=60,
                env=program.ENVIRONMENT, stdin=subprocess.DEVNULL)
            said[name] = program.Said(name, done)
        threads.append(threading.Thread(target=one))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pipes = {}
    for name in BAD:
        lines = said[name].raw.splitlines()
        summary = program.strict_json(lines[-1].decode())
        pipes[name] = summary["pipes"][0]
        equal(summary["frames"], 48000, name)
        equal(len(open(f"{name}.wav", "rb").read()) > 48000 * 2 * 2, True, name)
        equal(pipes[name]["given_frames"] + pipes[name]["dropped_frames"], 48000, name)
    equal({name: said[name].status for name in BAD},
          {name: 1 if name in ("dies at once", "is not there", "never reads", "prints without end",
                               "ignores SIGTERM") else 0 for name in BAD})
    equal(pipes["dies at once"]["exit_status"], 3)
    check("exited with status 3; the sound goes on" in said["dies at once"].err,
          said["dies at once"].err)
    equal(pipes["is not there"]["exit_status"], 127)
    check("mark-notthere: not found" in said["is not there"].err, said["is not there"].err)
    equal(pipes["sleeps"]["dropped_frames"], 0)
    equal(pipes["never reads"]["signal"], signal.SIGTERM)
    check(pipes["never reads"]["ended_by_takt"], pipes)
    equal(pipes["prints without end"]["signal"], signal.SIGTERM)
    check(pipes["prints without end"]["lines"] > 100, pipes)
    check(pipes["reads a little"]["dropped_frames"] > 0, pipes)
    equal(pipes["ignores SIGTERM"]["signal"], signal.SIGKILL)
    equal(pipes["leaves one behind"]["exit_status"], 0)
    check("pipe 1: no model" in said["complains"].err, said["complains"].err)
    for mark in ("mark-never", "mark-yes", "mark-ignores"):
        no_child_is_left(mark)


@test
def with_fast_a_program_that_takes_nothing_is_given_up():
    sound(300000)
    begun = time.monotonic()
    said = run("run", "x.wav", "pipe:sleep 1000", "null:", "--fast", "--json", "--wait", "0.3",
               status=1)
    check(time.monotonic() - begun < 30, "it waits for ever")
    summary = said.summary()
    equal(summary["frames"], 300000)
    pipe = summary["pipes"][0]
    equal(pipe["given_frames"] + pipe["dropped_frames"], 300000)
    check("took nothing for 0.3 s" in said.err, said.err)
    said = run("run", "x.wav", "pipe:head -c 80", "null:", "--fast", "--json")
    equal(said.summary()["frames"], 300000)


@test
def dropped_frames_break_strict():
    sound(300000)
    said = run("run", "x.wav", "pipe:head -c 80 >/dev/null", "null:", "--fast", "--strict",
               status=3)
    check("frames for a pipe are dropped" in said.err, said.err)


@test
def a_wrong_use_is_one_clear_line():
    sound(10)
    for arguments, text in [(("x.wav", "pipe:", "null:"), "a command is missing"),
                            (("x.wav", *["pipe:cat"] * 9, "null:"), "more than 8 pipes"),
                            (("x.wav", "pipe:cat", "null:", "--wait", "0"), "--wait 0")]:
        said = run("run", *arguments, "--fast", status=2)
        check(text in program.one_line(said), said.err)
    check("no such effect" in run("bench", "pipe:cat", status=2).err, "bench has none")


@test
def ctrl_c_lets_it_finish_and_a_second_one_does_not_wait():
    with Screen(80, 24, "run", "sim:tone", "pipe:cat >/dev/null; echo last words", "null:") as s:
        s.wait_for(r"0:\d\d\.[3-9]")
        s.press("\x03")
        equal(s.end(), 0, s.text())
        check("last words" in s.text() and "exited with status 0" in s.text(), s.text())
        check(s.is_given_back(), "the terminal is not as it was")
    with Screen(80, 24, "run", "sim:tone", "pipe:sleep 1000", "null:", "--wait", "100") as s:
        s.wait_for(r"0:\d\d\.[3-9]")
        s.press("\x03")
        s.watch(0.5)
        s.press("\x03")
        equal(s.end(), 1, s.text())
        check(s.is_given_back(), "the terminal is not as it was")


@test
def ctrl_z_stops_takt_and_not_the_program_that_finishes():
    command = [program.TAKT, "run", "sim:tone", "pipe:cat >/dev/null; echo it finishes >&2; sleep 2; "
               "echo last words", "null:", "-t", "0.2", "--wait", "60"]
    took = subprocess.Popen(command, env=program.ENVIRONMENT, stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    check("it finishes" in took.stderr.readline(), "it does not come to its end")
    took.send_signal(signal.SIGTSTP)
    _, status = os.waitpid(took.pid, os.WUNTRACED)
    check(os.WIFSTOPPED(status), f"it is not stopped: {status}")
    took.send_signal(signal.SIGCONT)
    out, err = took.communicate(timeout=60)
    equal(took.returncode, 0, err)
    check("last words" in out and "exited with status 0" in out, out)


@test
def an_ignored_sigchld_of_who_starts_takt_changes_nothing():
    sound(100)
    said = run("run", "x.wav", "pipe:cat >/dev/null; exit 7", "null:", "--fast", "--json", status=1,
               preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    equal(said.summary()["pipes"][0]["exit_status"], 7)


@test
def lines_stand_above_the_picture():
    with Screen(80, 24, "run", "sim:tone", "pipe:echo one; sleep 0.3; echo two; cat >/dev/null",
                "null:", "-t", "0.8") as s:
        equal(s.end(), 0, s.text())
        equal(s.faults, [], s.text())
        where = [s.text().find(t) for t in ("pipe 1: one", "pipe 1: two", "0:00.8", "contract: ")]
        check(-1 not in where and where == sorted(where), s.text())


tests_done()
