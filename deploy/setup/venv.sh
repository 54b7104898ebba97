#!/bin/sh
# Makes .venv with a Python that every dependency has wheels for, and the pinned uv in it.
. "$(dirname "$0")/common.sh"

suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1; }

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] ||
    fail "Switchroom runs on Linux x86_64: pjsua2-python, its SIP media library, has no wheel for $(uname -s) $(uname -m)."

if [ -x "$venv/bin/python" ] && ! suits "$venv/bin/python"; then
    say "The Python of .venv has gone or does not suit: making it anew"
    rm -rf "$venv"
fi

if [ ! -x "$venv/bin/python" ]; then
    python=""
    for candidate in ${PYTHON:-} python3 python3.12 python3.11 /usr/bin/python3 /usr/bin/python3.12 /usr/bin/python3.11; do
        if suits "$candidate"; then python=$candidate; break; fi
    done
    [ -n "$python" ] || fail "Python 3.11 or 3.12 is needed ($(python3 --version 2>&1) was found): pjsua2-python, the SIP media \
library, has no wheels for a newer one. Install python3.12 beside it and say make PYTHON=/path/to/python3.12."
    say "Making .venv with $("$python" --version)"
    if ! "$python" -c 'import ensurepip' >/dev/null 2>&1; then
        debian "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    fi
    "$python" -m venv "$venv" || fail "the virtual environment could not be made with $python."
fi

say "Installing uv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$setup/uv.lock"
