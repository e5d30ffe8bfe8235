#!/usr/bin/env bash
# Create the virtual environment at $1 with the interpreter $2, or say in one sentence why that is impossible.
set -euo pipefail

venv=$1
python=$2

if ! command -v "$python" >/dev/null; then
  echo "make env: there is no '$python' here; install Python 3.11 or later, or name one: make PYTHON=/path/to/python3" >&2
  exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "make env: North Star needs Python 3.11 or later, but '$python' is $("$python" -V 2>&1);" \
    "name a newer one: make PYTHON=python3.12" >&2
  exit 1
fi
# Debian ships Python without the part that creates environments.
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "make env: '$python' cannot create environments; installing Debian's $package"
    apt-get update -qq </dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" </dev/null >/dev/null
  else
    echo "make env: '$python' cannot create environments; install the package $package (or ensurepip) first" >&2
    exit 1
  fi
fi
"$python" -m venv "$venv"
