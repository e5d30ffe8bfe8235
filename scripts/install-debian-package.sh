#!/usr/bin/env bash
# Install a server of Debian's for tests that start their own, where that is possible; say so where it is not, and go on.
#
#   scripts/install-debian-package.sh PACKAGE "NAME" "WHAT FOR"
set -euo pipefail

package=$1
name=$2
purpose=$3

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "make test: $name is missing and cannot be installed from here (needs root and apt-get)"
  exit 0
fi
echo "make test: $name is missing; installing Debian's package for $purpose"

# Debian starts what it installs. The tests start their own servers, so ask that this one stay down.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
if ! { apt-get update -qq &&
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package"; } </dev/null >/dev/null; then
  echo "make test: Debian's $name could not be installed"
fi
