# Shared by the set-up scripts: words, and how the tools reach the packages.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
venv="$root/.venv"
setup="$root/deploy/setup"

say() { printf '==> %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# Runs a command as root: as we are, or by sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1; then sudo "$@"
    else fail "'$*' must be run as root, and there is no sudo: run it yourself, then make again."
    fi
}

# Installs those of the named Debian packages that are missing; touches the network for nothing else.
debian() {
    missing=""
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 || fail "these Debian packages are missing, and there is no apt-get:$missing"
    say "Installing Debian packages:$missing"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null
    # shellcheck disable=SC2086  one word for each package
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing </dev/null >/dev/null
}

# uv reads none of pip's settings: hand it the index and the certificates that this machine has for pip.
uv() {
    if [ -z "${UV_DEFAULT_INDEX:-}" ]; then
        index=$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)
        [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
    fi
    if [ -z "${SSL_CERT_FILE:-}" ]; then
        certificates=$("$venv/bin/python" -m pip config get global.cert 2>/dev/null || true)
        [ -z "$certificates" ] || export SSL_CERT_FILE="$certificates"
    fi
    export UV_PYTHON_DOWNLOADS=never UV_NO_CONFIG=1 UV_LINK_MODE=copy UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-180}"
    "$venv/bin/uv" "$@"
}
