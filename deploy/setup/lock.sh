#!/bin/sh
# Renews the lock files; the names and addresses of package indexes stay out of them.
. "$(dirname "$0")/common.sh"
cd "$root"
compile() { uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --python-version 3.11 "$@"; }
compile --upgrade pyproject.toml -o requirements.lock
compile --upgrade pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
cd "$setup"
compile --upgrade uv.in -o uv.lock
compile --upgrade node.in -o node.lock
compile --upgrade build.in -c "$root/requirements-dev.lock" -o build.lock
