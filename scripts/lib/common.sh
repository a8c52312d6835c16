# shellcheck shell=bash
# For scripts/demo and scripts/test to source, under `set -euo pipefail`. It gives:
#   ROOT                     the repository's folder
#   say note warn die show_command quietly      output on stderr (lib/say.sh)
#   make_venv DIR EXTRAS     a virtual environment with the project in it (lib/venv.sh)
#   ensure_engine            DOCKER_HOST of an engine that answers, exported; ENGINE_PRIVATE=1 if it is ours
#   ensure_base_image        debian:trixie-slim in that engine
#   release_engine           for the caller's exit trap: stops what ensure_engine started, if no other run uses it

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$ROOT/scripts/lib/say.sh"
. "$ROOT/scripts/lib/apt.sh"
. "$ROOT/scripts/lib/venv.sh"

# ensure_engine: the shared lock on `users` tells other runs that the private engine is in use. It is taken
# first, so that none of them stops the engine between its start and our use. The kernel drops it at our death.
ensure_engine() {
    local state=${BOTTLE_DEV_STATE:-/var/lib/agent-bottle-dev} exported answer
    ENGINE_PRIVATE=
    if is_root && mkdir -p "$state" 2>/dev/null; then
        exec {ENGINE_USER_LOCK}>"$state/users"
        flock -s "$ENGINE_USER_LOCK"
    fi
    answer=$("$ROOT/scripts/engine" start --auto) || exit
    say "$answer"
    exported=$("$ROOT/scripts/engine" env) || exit
    eval "$exported"
    if [[ $DOCKER_HOST == "unix://$state/docker.sock" ]]; then
        ENGINE_PRIVATE=1
    else
        forget_engine
    fi
}

ensure_base_image() {
    local answer
    answer=$("$ROOT/scripts/engine" base) || exit
    say "$answer"
}

forget_engine() {
    [[ -z ${ENGINE_USER_LOCK:-} ]] || exec {ENGINE_USER_LOCK}>&-
    ENGINE_USER_LOCK=
}

release_engine() {
    forget_engine
    [[ -z ${ENGINE_PRIVATE:-} ]] || "$ROOT/scripts/engine" release >&2 || :
    ENGINE_PRIVATE=
}
