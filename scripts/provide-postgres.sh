#!/usr/bin/env bash
# The history is tested on PostgreSQL as well as on SQLite. Install Debian's server where that is possible; where it is
# not, the tests that need it say so themselves: they fail in CI and skip elsewhere.
set -euo pipefail

if command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "make test: PostgreSQL is missing and cannot be installed from here (needs root and apt-get)"
  exit 0
fi
echo "make test: PostgreSQL is missing; installing Debian's package for the tests of the history"

# Debian starts what it installs. The suite starts its own servers, so ask that this one stay down.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
if ! { apt-get update -qq &&
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql; } </dev/null >/dev/null; then
  echo "make test: Debian's PostgreSQL could not be installed"
fi
