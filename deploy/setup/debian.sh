#!/bin/sh
# Installs the Debian packages of one list, those that are missing.
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC2046  one word for each package
debian $(grep -v '^#' "$setup/$1")
