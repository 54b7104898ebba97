#!/bin/sh
# Builds the pages, or runs one of their npm scripts, with this machine's Node when it is new enough, else with the wheel's.
. "$(dirname "$0")/common.sh"

new_enough() { "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)' >/dev/null 2>&1; }

if ! { command -v npm >/dev/null 2>&1 && new_enough node; }; then
    if [ ! -x "$venv/bin/npm" ] || ! new_enough "$venv/bin/node"; then
        say "Installing Node.js into .venv (about 60 MB, once)"
        uv pip install --python "$venv/bin/python" --require-hashes -r "$setup/node.lock"
    fi
    PATH="$venv/bin:$PATH"
    export PATH
fi

cd "$root/web"
case "$1" in
install)
    say "Installing the pages' packages with Node $(node --version)"
    npm ci --no-audit --no-fund --no-update-notifier </dev/null
    ;;
*) npm run --silent "$1" </dev/null ;;
esac
