#!/bin/bash
# Is what `meson install` puts down enough, and no more, to build programs with?
# Usage: install_test.sh SOURCE_ROOT BUILD_ROOT
root=$1
build=$2
source "$root/tests/integration/tap.sh"

stage=$tmp/stage
meson install -C "$build" --no-rebuild --destdir "$stage" >"$tmp/install.log" 2>&1
installed=$?
pc=$(find "$stage" -name takt.pc)
libdir=$(dirname "$(dirname "$pc")")
headers=$(find "$stage" -path '*/include/takt')
export PKG_CONFIG_PATH=$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR=$stage
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
export LD_LIBRARY_PATH=$libdir
read -r -a flags <<<"$(pkg-config --cflags --libs takt)"

install_puts_everything_in_place() {
    is "$installed" 0
    check test -x "$(find "$stage" -path '*/bin/takt')"
    check test -e "$libdir/libtakt.so"
    check test -e "$libdir/libtakt.so.0"
    is "$(cd "$headers" && echo *.h)" "$(cd "$root/include/takt" && echo *.h)"
}

# Symbols that the library shows, without the version node that holds them.
shown() {
    nm -D --defined-only --format=posix "$libdir/libtakt.so" | sed 's/[@ ].*//' | grep -v '^TAKT_'
}

library_shows_only_what_headers_promise() {
    local symbol
    check test -n "$(shown)"
    for symbol in $(shown); do
        like "$symbol" '^takt_'
        check grep -qwr -- "$symbol" "$headers"
    done
}

library_shows_all_that_headers_promise() {
    # Every name called takt_... that a TAKT_API declaration gives.
    local declared
    declared=$(cat "$headers"/*.h | tr '\n' ' ' | grep -oP 'TAKT_API[^;]*?\b\Ktakt_\w+(?=\s*\()' |
        sort -u)
    check test -n "$declared"
    is "$(comm -23 <(echo "$declared") <(shown | sort -u))" ""
}

library_leaves_no_symbol_undefined() {
    exits 0 ldd -r "$libdir/libtakt.so"
    check_not grep -i 'undefined symbol\|not found' "$out" "$err"
}

each_example_builds_with_pkg_config_alone_and_runs() {
    local source program status
    for source in "$root"/examples/*.c; do
        program=$tmp/$(basename "$source" .c)
        check cc -Wall -Wextra -Wno-unused-parameter -Werror "$source" -o "$program" "${flags[@]}"
        # An example that plays on is fine too; it is stopped after three seconds.
        status=0
        # One breaks the rules on purpose.
        [[ $program != */bad_callback ]] || TAKT_GUARD=off timeout 3 "$program" </dev/null || status=$?
        [[ $program == */bad_callback ]] || timeout 3 "$program" </dev/null || status=$?
        like "$status" '^(0|124)$'
    done
}

# The preloaded library is found from where the program lies.
what_is_installed_checks_a_program() {
    check cc -g "$root/examples/bad_callback.c" -o "$tmp/bad" "${flags[@]}"
    exits 3 "$(find "$stage" -path '*/bin/takt')" check -- "$tmp/bad"
    check grep -q '^allocation: malloc, .*: process' "$out"
    check grep -q ': 4 findings in ' "$out"
}

# libtakt.a with the shared libraries that takt itself names; those of Debian name more in turn
# than their development packages bring.
a_program_can_hold_the_library_itself() {
    local libs
    libs=$(sed -n 's/^Libs\.private: *//p' "$pc")
    libs+=" $(pkg-config --print-requires-private takt | sed 's/ .*//' |
        PKG_CONFIG_SYSROOT_DIR='' xargs -r pkg-config --libs)"
    read -r -a libs <<<"$libs"
    check cc "$root/examples/version.c" -o "$tmp/static" -I"$(dirname "$headers")" \
        "$libdir/libtakt.a" "${libs[@]}"
    exits 0 env -u LD_LIBRARY_PATH "$tmp/static"
    like "$(cat "$out")" '^libtakt [0-9]'
}

# each_header_with SUFFIX COMPILER...: every public header compiles by itself.
each_header_with() {
    local alone=$tmp/alone.$1 header
    shift
    for header in "$headers"/*.h; do
        echo "#include <takt/$(basename "$header")>" >"$alone"
        check "$@" -Wall -Wextra -Wno-unused-parameter -Werror -pedantic-errors -fsyntax-only \
            -I"$(dirname "$headers")" "$alone"
    done
}

each_header_stands_alone_in_strict_c17() {
    each_header_with c cc -std=c17
}

each_header_stands_alone_in_strict_cpp17() {
    needs c++
    each_header_with cpp c++ -std=c++17
}

a_cpp_program_links() {
    needs c++
    printf '#include <takt/takt.h>\nint main() { return takt_version()[0] == 0; }\n' >"$tmp/x.cpp"
    check c++ "$tmp/x.cpp" -o "$tmp/x" "${flags[@]}"
    exits 0 "$tmp/x"
}

run install_puts_everything_in_place
run library_shows_only_what_headers_promise
run library_shows_all_that_headers_promise
run library_leaves_no_symbol_undefined
run each_example_builds_with_pkg_config_alone_and_runs
run what_is_installed_checks_a_program
run a_program_can_hold_the_library_itself
run each_header_stands_alone_in_strict_c17
run each_header_stands_alone_in_strict_cpp17
run a_cpp_program_links
tap_done
