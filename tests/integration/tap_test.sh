#!/bin/bash
# Do tap.sh, tools/test and tools/bench notice what they are there to notice?
# Usage: tap_test.sh SOURCE_ROOT
root=$1
source "$root/tests/integration/tap.sh"

# Runs a script whose one test has the given body.
with_body() {
    printf 'source "%s"\nt()\n{\n%s\n}\nrun t\ntap_done\n' \
        "$root/tests/integration/tap.sh" "$1" >"$tmp/inner.sh"
    bash "$tmp/inner.sh"
}

each_check_that_holds_passes() {
    exits 0 with_body 'check true; check_not false; is a a; like abc "^a.c$"; exits 3 sh -c "exit 3"'
    like "$(cat "$out")" '^ok 1 - t'
}

each_check_that_does_not_hold_fails_and_tells_the_line() {
    local body
    for body in 'check false' 'check_not true' 'is a b' 'like abc "^b"' 'exits 0 false' 'fail x'; do
        exits 1 with_body "$body"
        like "$(cat "$out")" '# inner\.sh:4: '
        like "$(cat "$out")" 'not ok 1 - t'
    done
}

a_failed_check_ends_the_test() {
    exits 1 with_body 'is a b; echo further'
    check_not grep -q further "$out"
}

a_test_without_a_check_fails() {
    exits 1 with_body 'true'
    like "$(cat "$out")" 'checked nothing'
}

a_test_that_lacks_a_program_is_skipped() {
    exits 0 with_body 'needs no-such-program; is a b'
    like "$(cat "$out")" 'ok 1 - t # SKIP no no-such-program'
}

# Runs tools/test, or another $tool, over a project whose one test prints the given text and exits
# so.
tool="test"
counted() {
    local project=$tmp/project
    mkdir -p "$project"
    printf "#!/bin/sh\nprintf '%s'\nexit %s\n" "$1" "$2" >"$project/t.sh"
    chmod +x "$project/t.sh"
    if [[ ! -d $project/build ]]; then
        cat >"$project/meson.build" <<'END'
project('p')
t = find_program('t.sh')
test('t', t, protocol : 'tap')
benchmark('t', t)
END
        meson setup "$project/build" "$project" >/dev/null
    fi
    "$root/tools/$tool" "$project/build"
}

tests_inside_a_program_are_counted() {
    exits 0 counted 'ok 1 - a\nok 2 - b # SKIP no c\nok 3\n1..3\n' 0
    is "$(tail -n 1 "$out")" '2 passed, 0 failed, 1 skipped'
    exits 1 counted 'ok 1 - a\n# x.c:1: why\nnot ok 2 - b\nnot ok 3 - c\n1..3\n' 1
    is "$(tail -n 1 "$out")" '1 passed, 2 failed'
    check grep -q 'x.c:1: why' "$out"
}

a_program_that_stops_early_is_a_failure() {
    exits 1 counted 'ok 1 - a\n' 0
    is "$(tail -n 1 "$out")" '1 passed, 1 failed'
    exits 1 counted 'ok 1 - a\n1..1\n' 9
    is "$(tail -n 1 "$out")" '1 passed, 1 failed'
    exits 1 counted 'ok 1 - a\nok 2 - b\n1..3\n' 0
    is "$(tail -n 1 "$out")" '2 passed, 1 failed'
    exits 1 counted '' 0
    is "$(tail -n 1 "$out")" '0 passed, 1 failed'
}

figures_of_benches_alone_go_to_stdout() {
    tool="bench"
    exits 0 counted 'warming up\n{"ratio":2.5}\n' 0
    is "$(cat "$out")" '{"ratio":2.5}'
    like "$(cat "$err")" 'warming up'
}

a_bench_that_fails_or_finds_nothing_is_a_failure() {
    tool="bench"
    exits 1 counted '{"ratio":2.5}\n' 1
    exits 1 counted 'nothing to say\n' 0
}

run each_check_that_holds_passes
run each_check_that_does_not_hold_fails_and_tells_the_line
run a_failed_check_ends_the_test
run a_test_without_a_check_fails
run a_test_that_lacks_a_program_is_skipped
run tests_inside_a_program_are_counted
run a_program_that_stops_early_is_a_failure
run figures_of_benches_alone_go_to_stdout
run a_bench_that_fails_or_finds_nothing_is_a_failure
tap_done
