# shellcheck shell=bash
# The scripts' virtual environment: found or made, and filled only when pyproject.toml asks for something else.

# find_python: the first Python that runs and is new enough. A version manager's shim may be on the PATH
# and still refuse to run, so each is tried.
find_python() {
    local name
    for name in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

# ensure_python: prints a Python that can make virtual environments; Debian ships that part on its own.
ensure_python() {
    local python
    if ! python=$(find_python) || ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        if is_debian && is_root; then
            apt_install python3 python3-venv || die 1 "Python could not be installed" "apt-get install python3-venv"
        fi
        python=$(find_python) || die 1 "no Python 3.11 or later is on the PATH" "install one, or name it: PYTHON=/path/to/python3"
        # A Python from elsewhere may hide Debian's, which has just got the missing part.
        "$python" -c 'import venv, ensurepip' >/dev/null 2>&1 || python=/usr/bin/python3
        "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 ||
            die 1 "this Python cannot make virtual environments: $python" "install its venv module (Debian, Ubuntu: apt-get install python3-venv)"
    fi
    echo "$python"
}

# make_venv DIR EXTRAS: afterwards DIR/bin/python has the project, editable, with EXTRAS ("" for none).
make_venv() {
    local folder=$1 extras=${2:-} python wanted
    python=$(ensure_python)
    wanted="$("$python" -V) $ROOT [$extras] $(sha256sum <"$ROOT/pyproject.toml")"
    mkdir -p "$folder"
    # Two runs at once would write into each other's environment; the second finds the first one's work done.
    (
        flock 6
        if [[ $(cat "$folder/.stamp" 2>/dev/null) == "$wanted" ]] && "$folder/bin/python" -c 'import bottle' 2>/dev/null; then
            exit 0
        fi
        say "making the virtual environment ${folder#"$ROOT"/} with $("$python" -V)"
        rm -f "$folder/.stamp"
        quietly "python -m venv" "$python" -m venv "$folder" || exit
        quietly "pip install" "$folder/bin/python" -m pip install --disable-pip-version-check \
            --editable "$ROOT${extras:+[$extras]}" || exit
        echo "$wanted" >"$folder/.stamp"
    ) 6>"$folder/.lock" || die 1 "the virtual environment $folder could not be made" "see the messages above; then run this again"
}
