#!/bin/sh
# Renews the lock files; with --keep it adds only what is new and leaves the rest as pinned. The names and addresses of package
# indexes stay out of them.
. "$(dirname "$0")/common.sh"
cd "$root"
upgrade=--upgrade
[ "${1:-}" != --keep ] || upgrade=
# shellcheck disable=SC2086  no word where nothing is upgraded
compile() { uv pip compile $upgrade --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 "$@"; }
compile pyproject.toml -o requirements.lock
compile pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
cd "$setup"
compile uv.in -o uv.lock
compile node.in -o node.lock
cd "$root" # so that no path of this machine gets into the file
compile "$setup/build.in" -c requirements-dev.lock -o "$setup/build.lock"
