#!/bin/sh
# Installs locked Python packages into .venv: `runtime` (and the project itself), or `dev` on top of it.
. "$(dirname "$0")/common.sh"

case "$1" in
runtime)
    say "Installing Python packages (about 350 MB, once)"
    uv pip install --python "$venv/bin/python" --require-hashes -r "$root/requirements.lock"
    uv pip install --python "$venv/bin/python" --require-hashes -r "$setup/build.lock"
    uv pip install --python "$venv/bin/python" --no-deps --no-build-isolation --offline -e "$root"
    ;;
dev)
    say "Installing the tools for tests and checks"
    uv pip install --python "$venv/bin/python" --require-hashes -r "$root/requirements-dev.lock"
    ;;
*) fail "packages.sh runtime|dev" ;;
esac
