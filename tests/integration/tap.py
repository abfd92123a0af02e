"""tests/integration/tap.py - the smallest TAP for tests in Python.

    @test
    def meter_agrees_with_sox(): assert ..., "why"

    run()

A test fails at its first assertion that does not hold, or by any exception.
"""

import sys
import traceback

_tests = []


def test(function):
    """Registers a test; its name is the sentence that is reported."""
    _tests.append(function)
    return function


def run():
    """Runs all tests in the order they were written, and exits."""
    failed = 0
    for number, function in enumerate(_tests, 1):
        try:
            function()
            verdict = "ok"
        except Exception:  # a test may fail in any way
            failed += 1
            verdict = "not ok"
            for line in traceback.format_exc().splitlines():
                print("# " + line)
        print(f"{verdict} {number} - {function.__name__}", flush=True)
    print(f"1..{len(_tests)}")
    sys.exit(failed > 0)
