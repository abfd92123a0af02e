# shellcheck shell=bash
# Completion of takt for bash. Verbs, options and devices are asked of takt itself, so that they are
# those of the program that is installed.

_takt_verbs() {
    "$1" help 2>/dev/null | sed -nE 's/^  takt ([a-z]+).*/\1/p'
}

_takt_options() {
    "$1" help "$2" 2>/dev/null | sed -nE 's/^  ((-., )?--[a-z0-9-]+).*/\1/p; s/^    (-.*)/\1/p' |
        tr -s ', ' '\n'
}

_takt_net_options() {
    "$1" sim net --help 2>/dev/null | grep -oE -- '--[a-z-]+'
}

_takt_devices() {
    "$1" devices --json 2>/dev/null | sed -nE 's/^\{"type":"device","id":"([^"]*)".*/\1/p'
}

_takt_instruments() {
    "$1" tune --instrument list 2>/dev/null | cut -d ' ' -f 1
}

# Prints what may stand after VERB BEFORE, one a line, and "FILES" where a file's name may.
_takt_candidates() {
    local takt=$1 verb=$2 before=$3 word=$4 is_net=$5
    case $before in
    --codec) printf '%s\n' L16 L24 opus x-f32 ;;
    --red | --repair) printf '%s\n' auto off ;;
    --raw) printf '%s\n' f32 s16 s24 ;;
    -f | --format) [[ $verb == recv ]] || printf '%s\n' s16 s24 s32 f32 u8 ;;
    --latency) [[ $verb == recv ]] || printf '%s\n' low high ;;
    --priority | --fade | --dscp) echo off ;;
    --mode) printf '%s\n' level loudness truepeak vu ppm-din ppm-nordic ppm-bbc ppm-ebu k20 k14 k12 correlation all ;;
    --bypass) printf '%s\n' silence dry ;;
    --a4) printf '%s\n' 415 440 442 443 ;;
    --instrument) _takt_instruments "$takt" ;;
    -i | --in | -o | --out) _takt_devices "$takt" && echo FILES ;;
    -r | --rate) printf '%s\n' 44100 48000 96000 ;;
    -b | --block | -c | --channels | -t | --time | --seed | --load | --buffer | --wait | --hours | --scenario | --range | --bins | --target | --notes | --calibrate | --ptime | --bitrate | --rotate | --name | --from | --ttl | --mix | --late | --max-latency | --sender) ;;
    --blocks) printf '%s\n' 64,128,256 ;;
    --size) printf '%s\n' 1024 2048 4096 8192 ;;
    --hop) printf '%s\n' 50% 75% 256 512 ;;
    --window) printf '%s\n' hann hamming blackman blackman-harris flat-top kaiser gauss rect ;;
    --scale) printf '%s\n' log linear ;;
    --bands) printf '%s\n' third octave ;;
    --average) printf '%s\n' none max mean ;;
    --png | --html | --sdp | --key-file | --passphrase-file | --trace) echo FILES ;;
    *)
        case $verb:$word in
        sim:-*) if [[ -n $is_net ]]; then _takt_net_options "$takt"; else _takt_options "$takt" sim; fi ;;
        *:-*) _takt_options "$takt" "$verb" ;;
        help:*) _takt_verbs "$takt" ;;
        bench:*) echo gain= ;;
        check:*) compgen -c -- "$word"; echo FILES ;;
        latency:* | doctor:* | send:* | recv:*) ;;
        key:*) [[ $before == key ]] && printf '%s\n' new check || echo FILES ;;
        sim:*) if [[ -z $is_net ]]; then echo net; elif [[ $before != --* ]]; then _takt_net_options "$takt"; fi ;;
        run:g*) echo gain= && echo FILES ;;
        run:p*) echo pipe: && echo FILES ;;
        meter:* | tune:* | spectrum:* | beat:* | devices:* | run:*) _takt_devices "$takt" && echo FILES ;;
        *) echo FILES ;;
        esac
        ;;
    esac
}

_takt() {
    local takt=$1 words word='' before candidates
    # Bash would take sim:voice and gain=-2 for three words each.
    read -r -a words <<<"${COMP_LINE:0:COMP_POINT}"
    [[ ${COMP_LINE:0:COMP_POINT} == *[[:blank:]] ]] || word=${words[-1]}
    [[ -z $word ]] || unset 'words[-1]'
    before=${words[-1]}
    if ((${#words[@]} < 2)); then
        candidates="$(_takt_verbs "$takt") --help --version"
    else
        candidates=$(_takt_candidates "$takt" "${words[1]}" "$before" "$word" \
            "$([[ ${words[1]} == sim && ${words[2]-} == net ]] && echo net)")
    fi
    mapfile -t COMPREPLY < <(compgen -W "${candidates//FILES/}" -- "$word")
    if [[ $candidates == *FILES* ]]; then
        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames 2>/dev/null
    fi
    [[ ${COMPREPLY[*]-} == @(gain=|pipe:) ]] && compopt -o nospace 2>/dev/null
    # What bash takes for an earlier word is there already.
    local there=${word%"${word##*[:=]}"}
    [[ -z $there ]] || COMPREPLY=("${COMPREPLY[@]#"$there"}")
}

complete -F _takt takt
