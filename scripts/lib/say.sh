# shellcheck shell=bash
# What the scripts print: progress on stderr, so that stdout stays for answers.

if [[ -t 2 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
    SAY_BLUE=$'\e[1;34m' SAY_YELLOW=$'\e[1;33m' SAY_RED=$'\e[1;31m' SAY_DIM=$'\e[2m' SAY_OFF=$'\e[0m'
else
    SAY_BLUE='' SAY_YELLOW='' SAY_RED='' SAY_DIM='' SAY_OFF=''
fi

say() { printf '%s==>%s %s\n' "$SAY_BLUE" "$SAY_OFF" "$*" >&2; }
note() { printf '%s    %s%s\n' "$SAY_DIM" "$*" "$SAY_OFF" >&2; }
warn() { printf '%swarning:%s %s\n' "$SAY_YELLOW" "$SAY_OFF" "$*" >&2; }

# die CODE MESSAGE [NEXT-STEP]: exit codes are those of `bottle` itself (5: no Docker).
die() {
    printf '%serror:%s %s\n' "$SAY_RED" "$SAY_OFF" "$2" >&2
    [[ -z ${3:-} ]] || printf '  next: %s\n' "$3" >&2
    exit "$1"
}

# show_command WORD...: prints a command as it could be typed.
show_command() {
    local quoted
    printf -v quoted '%q ' "$@"
    printf '%s$%s %s\n' "$SAY_DIM" "$SAY_OFF" "${quoted% }" >&2
}

# quietly WHAT COMMAND...: keeps a chatty command's output for the case that it fails.
quietly() {
    local what=$1 log status=0
    shift
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    if ((status)); then
        warn "$what failed (exit $status); the end of what it said:"
        tail -n 25 "$log" >&2
    fi
    rm -f "$log"
    return "$status"
}
