# shellcheck shell=bash
# tests/integration/tap.sh - the test harness of tests/tap.h, for tests of whole programs.
#
#     source "$(dirname "$0")/tap.sh"
#
#     missing_file_is_one_clear_line() {
#         exits 1 "$takt" meter nosuch.wav
#         is "$(wc -l <"$err")" 1
#         like "$(cat "$err")" 'nosuch\.wav: No such file'
#     }
#
#     run missing_file_is_one_clear_line
#     tap_done
#
# A test is a function and runs in a subshell, so what it sets or changes directory to ends with
# it. It fails at its first check that does not hold, and then shows what it said until there. A
# test that checked nothing fails too. $tmp is a folder of this script's own, gone at the end;
# $out and $err are files with what the last `exits` printed.

set -u
tap_run=0
tap_failed=0
tmp=$(mktemp -d "${TMPDIR:-/tmp}/takt-test.XXXXXX")
out=$tmp/.out
err=$tmp/.err
trap 'rm -rf "$tmp"' EXIT

tap_skip_status=77

# Ends the test as failed, saying why and from which line.
fail() {
    local depth=0
    while [[ ${BASH_SOURCE[depth]} == */tap.sh ]]; do
        depth=$((depth + 1))
    done
    echo "${BASH_SOURCE[depth]##*/}:${BASH_LINENO[depth - 1]}: $*"
    exit 1
}

# Ends the test as skipped: only where something that the test needs is not installed.
skip() {
    echo "$*" >"$tmp/.skip"
    exit $tap_skip_status
}

# Skips the test unless all these programs are there.
needs() {
    local program
    for program; do
        command -v "$program" >/dev/null || skip "no $program"
    done
}

# The command has to succeed, or not to.
check() {
    : >"$tmp/.checked"
    "$@" || fail "failed with status $?: $*"
}
check_not() {
    : >"$tmp/.checked"
    if "$@"; then
        fail "succeeded: $*"
    fi
}

# The first string has to be the second, or to match it as an extended regular expression.
is() {
    : >"$tmp/.checked"
    [[ $1 == "$2" ]] || fail "'$1' is not '$2'"
}
like() {
    : >"$tmp/.checked"
    [[ $1 =~ $2 ]] || fail "'$1' is not like '$2'"
}

# exits STATUS COMMAND...: runs it with no input, and its exit status has to be STATUS.
exits() {
    local wanted=$1 status=0
    shift
    : >"$tmp/.checked"
    "$@" </dev/null >"$out" 2>"$err" || status=$?
    if [[ $status != "$wanted" ]]; then
        tail -n 20 "$out" "$err"
        fail "exit status $status, not $wanted: $*"
    fi
}

# Runs one test and prints its TAP line, after what it said if it failed.
run() {
    local status=0 verdict=ok note=
    rm -f "$tmp/.checked"
    ("$1") </dev/null >"$tmp/.said" 2>&1 || status=$?
    if [[ $status == "$tap_skip_status" && -e $tmp/.skip ]]; then
        note=" # SKIP $(cat "$tmp/.skip")"
        rm "$tmp/.skip"
    elif [[ $status == 0 && ! -e $tmp/.checked ]]; then
        echo "it checked nothing" >>"$tmp/.said"
        status=1
    fi
    if [[ $status != 0 && -z $note ]]; then
        verdict="not ok"
        tap_failed=$((tap_failed + 1))
        sed 's/^/# /' "$tmp/.said"
    fi
    tap_run=$((tap_run + 1))
    echo "$verdict $tap_run - $1$note"
}

# Prints the plan; the script's exit status is then whether all went well.
tap_done() {
    echo "1..$tap_run"
    exit $((tap_failed > 0))
}
