# Completion of takt for fish. Verbs, options and devices are asked of takt itself, so that they are
# those of the program that is installed.

# Options with a value that nothing is offered for.
set -g __takt_free -b --block -c --channels -t --time --seed --load --buffer --wait --hours --scenario --range --bins --target --notes --calibrate --ptime --bitrate --rotate --name --from --ttl --mix --late --max-latency --sender

function __takt_verbs
    takt help 2>/dev/null | string replace -rf '^  takt ([a-z]+).*  +(\S.*)$' '$1\t$2'
end

function __takt_verb
    set -l words (commandline -opc)
    echo $words[2]
end

function __takt_options
    takt help (__takt_verb) 2>/dev/null | string replace -rf '^  (?:-., )?(--[a-z0-9-]+)(?: [A-Z]+)? +(.*)$' '$1\t$2'
    takt help (__takt_verb) 2>/dev/null | string replace -rf '^  (-.), --[a-z0-9-]+(?: [A-Z]+)? +(.*)$' '$1\t$2'
    takt help (__takt_verb) 2>/dev/null | string match -r '^    -.*' | string match -ra -- '--?[a-z][a-z0-9-]*'
end

function __takt_is_net
    set -l words (commandline -opc)
    test "$words[2] $words[3]" = 'sim net'
end

function __takt_net_options
    takt sim net --help 2>/dev/null | grep -oE -- '--[a-z-]+'
end

function __takt_devices
    takt devices --json 2>/dev/null | string replace -rf '^\{"type":"device","id":"([^"]*)".*"description":"([^"]*)".*' '$1\t$2'
end

function __takt_instruments
    takt tune --instrument list 2>/dev/null | string replace -r '^(\S+) +' '$1\t'
end

function __takt_after
    set -l words (commandline -opc)
    contains -- $words[-1] $argv
end

function __takt_verb_is
    contains -- (__takt_verb) $argv; and not __takt_after $__takt_free -i --in -o --out -f --format --latency --priority --fade --bypass -r --rate --blocks --html --png --size --hop --window --scale --bands --average --mode --a4 --instrument --codec --red --repair --raw --dscp --sdp --key-file --passphrase-file
end

complete -c takt -n 'test (count (commandline -opc)) -eq 1' -f -a '(__takt_verbs)'
complete -c takt -n 'test (count (commandline -opc)) -gt 1; and not __takt_is_net; and string match -q -- "-*" (commandline -ct)' -f -a '(__takt_options)'
complete -c takt -n '__takt_is_net' -f -a '(__takt_net_options)'
complete -c takt -n '__takt_verb_is sim; and not __takt_is_net' -f -a net
complete -c takt -n '__takt_verb_is meter tune spectrum beat devices run' -a '(__takt_devices)'
complete -c takt -n '__takt_verb_is run' -a 'gain= pipe:'
complete -c takt -n '__takt_verb_is bench' -f -a 'gain='
complete -c takt -n '__takt_verb_is check' -a '(__fish_complete_subcommand)'
complete -c takt -n '__takt_verb_is send recv' -f
complete -c takt -n '__takt_verb_is key; and __takt_after key' -f -a 'new check'
complete -c takt -n '__takt_verb_is help' -f -a '(__takt_verbs)'
complete -c takt -n '__takt_after -i --in -o --out' -a '(__takt_devices)'
complete -c takt -n '__takt_after --codec' -f -a 'L16 L24 opus x-f32'
complete -c takt -n '__takt_after --red --repair' -f -a 'auto off'
complete -c takt -n '__takt_after --raw' -f -a 'f32 s16 s24'
complete -c takt -n '__takt_after -f --format; and test (__takt_verb) != recv' -f -a 's16 s24 s32 f32 u8'
complete -c takt -n '__takt_after --mode' -f -a 'level loudness truepeak vu ppm-din ppm-nordic ppm-bbc ppm-ebu k20 k14 k12 correlation all'
complete -c takt -n '__takt_after --latency; and test (__takt_verb) != recv' -f -a 'low high'
complete -c takt -n '__takt_after --priority --fade --dscp' -f -a off
complete -c takt -n '__takt_after --bypass' -f -a 'silence dry'
complete -c takt -n '__takt_after -r --rate' -f -a '44100 48000 96000'
complete -c takt -n '__takt_after --blocks' -f -a '64,128,256'
complete -c takt -n '__takt_after --a4' -f -a '415 440 442 443'
complete -c takt -n '__takt_after --instrument' -f -a '(__takt_instruments)'
complete -c takt -n '__takt_after --size' -f -a '1024 2048 4096 8192'
complete -c takt -n '__takt_after --hop' -f -a '50% 75% 256 512'
complete -c takt -n '__takt_after --window' -f -a 'hann hamming blackman blackman-harris flat-top kaiser gauss rect'
complete -c takt -n '__takt_after --scale' -f -a 'log linear'
complete -c takt -n '__takt_after --bands' -f -a 'third octave'
complete -c takt -n '__takt_after --average' -f -a 'none max mean'
complete -c takt -n '__takt_after $__takt_free' -f
