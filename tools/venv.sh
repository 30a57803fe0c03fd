# For ./demo and ./check: `prepare FOLDER [GROUP]` makes FOLDER/.venv with the project and a dependency group in it.
# It does nothing unless pyproject.toml is newer than the last time. Needs Python >= 3.11 and pip, or uv; and the network.

find_python() {
    for name in "${PYTHON:-python3}" python3 python3.14 python3.13 python3.12 python3.11 python; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "annobridge needs Python 3.11 or newer; install it, or name it as PYTHON=/path/to/python." >&2
    return 1
}

make_venv() { # FOLDER GROUP
    local python group=()
    if [ -n "$2" ]; then group=(--group "$2"); fi
    if command -v uv >/dev/null; then
        uv venv --quiet --allow-existing --python '>=3.11' "$1/.venv"
        (cd "$1" && uv pip install --quiet --python .venv/bin/python -e . "${group[@]}")
        return
    fi
    python=$(find_python)
    if ! "$python" -m venv "$1/.venv" >/dev/null; then
        echo "$python cannot make a virtual environment; install python3-venv with your system's packages, or uv." >&2
        return 1
    fi
    local pip=("$1/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore)
    "${pip[@]}" --upgrade 'pip>=25.1' # older ones do not know --group
    (cd "$1" && "${pip[@]}" -e . "${group[@]}")
}

prepare() { # FOLDER [GROUP]
    local stamp="$1/.venv/.annobridge${2:+-$2}"
    if [ -e "$stamp" ] && [ ! "$1/pyproject.toml" -nt "$stamp" ]; then return; fi
    echo "Setting up .venv for annobridge${2:+ and its $2 tools} (only when pyproject.toml is new) …" >&2
    make_venv "$1" "${2:-}"
    touch "$1/.venv/.annobridge" "$stamp" # what serves a group serves the bare project too
}
