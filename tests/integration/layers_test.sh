#!/bin/bash
# Does tools/layers refuse what points upwards? Usage: layers_test.sh SOURCE_ROOT
root=$1
source "$root/tests/integration/tap.sh"

# A small tree that is as it should be; each test breaks it in one place.
tree=$tmp/tree
fresh_tree() {
    mkdir -p "$tree"/{src/{base,sync,rt,stream},cmd,include/takt}
    cd "$tree" || exit
    echo '#include "takt/error.h"' >src/base/fail.h
    printf '#include <stdint.h>\n#include "base/fail.h"\n#include "takt/ring.h"\n' >src/sync/ring.c
    echo '#include "base/fail.h"' >src/rt/thread.h
    echo '#include <stddef.h>' >include/takt/error.h
    echo '#include "takt/error.h"' >include/takt/ring.h
    printf '#include "cli.h"\n#include <takt/ring.h>\n' >cmd/main.c
    echo '#include <stdio.h>' >cmd/cli.h
    echo "rt_lib = static_library('rt', link_with : [base_lib, sync_lib])" >src/rt/meson.build
}
layers() {
    "$root/tools/layers" --root "$tree" "$@"
}

# refused FILE:LINE TEXT: the check fails with just that complaint.
refused() {
    exits 1 layers
    is "$(wc -l <"$err")" 1
    like "$(cat "$err")" "^$1: .*$2"
}

this_tree_is_well_layered() {
    exits 0 "$root/tools/layers"
}

a_tree_that_points_downwards_passes_in_silence() {
    fresh_tree
    exits 0 layers
    is "$(cat "$out" "$err")" ""
}

an_upward_include_is_refused() {
    fresh_tree
    echo '#include "rt/thread.h"' >>src/sync/ring.c
    refused src/sync/ring.c:4 'sync may not include rt/thread.h'
}

an_include_of_a_folder_beside_is_refused() {
    fresh_tree
    mkdir src/dsp
    touch src/sync/ring.h
    echo '  #  include  "sync/ring.h" // spaces do not hide it' >src/stream/x.c
    exits 0 layers
    mv src/stream/x.c src/dsp/x.c
    refused src/dsp/x.c:1 'dsp may not include sync/ring.h'
}

an_upward_public_header_is_refused() {
    fresh_tree
    echo '#include "takt/ring.h"' >>src/base/fail.h
    refused src/base/fail.h:2 'base may not include takt/ring.h, which belongs to sync'
}

a_public_header_of_nobody_is_refused() {
    fresh_tree
    touch include/takt/mystery.h
    refused include/takt/mystery.h:1 'unclear'
}

a_public_header_including_a_private_one_is_refused() {
    fresh_tree
    echo '#include "base/fail.h"' >>include/takt/ring.h
    refused include/takt/ring.h:2 'not installed'
}

the_command_sees_public_headers_alone() {
    fresh_tree
    echo '#include "base/fail.h"' >>cmd/main.c
    refused cmd/main.c:3 'the command may not include base/fail.h'
}

a_way_around_through_dots_is_refused() {
    fresh_tree
    echo '#include "../rt/thread.h"' >>src/sync/ring.c
    refused src/sync/ring.c:4 'there is no src/../rt/thread.h'
}

an_upward_link_is_refused() {
    fresh_tree
    echo "sync_lib = static_library('sync', link_with : rt_lib)" >src/sync/meson.build
    refused src/sync/meson.build:1 'sync may not link rt_lib'
}

an_unknown_folder_is_refused() {
    fresh_tree
    mkdir src/attic
    refused src/attic:1 'no line in the table'
}

an_empty_tree_is_refused() {
    exits 1 "$root/tools/layers" --root "$tmp/nothing"
}

the_build_is_told_what_was_read() {
    fresh_tree
    exits 0 layers --stamp "$tmp/stamp" --depfile "$tmp/deps"
    check test -e "$tmp/stamp"
    like "$(cat "$tmp/deps")" "^$tmp/stamp: .*/src/sync/ring.c"
    like "$(cat "$tmp/deps")" "/src/sync( |$)"
    rm "$tmp/stamp"
    echo '#include "rt/thread.h"' >>src/sync/ring.c
    exits 1 layers --stamp "$tmp/stamp" --depfile "$tmp/deps"
    check_not test -e "$tmp/stamp"
}

run this_tree_is_well_layered
for test in a_tree_that_points_downwards_passes_in_silence \
    an_upward_include_is_refused \
    an_include_of_a_folder_beside_is_refused \
    an_upward_public_header_is_refused \
    a_public_header_of_nobody_is_refused \
    a_public_header_including_a_private_one_is_refused \
    the_command_sees_public_headers_alone \
    a_way_around_through_dots_is_refused \
    an_upward_link_is_refused \
    an_unknown_folder_is_refused \
    an_empty_tree_is_refused \
    the_build_is_told_what_was_read; do
    rm -rf "$tree"
    run "$test"
done
tap_done
