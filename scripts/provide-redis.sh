#!/usr/bin/env bash
# The compatibility suite runs on Redis 7 as well as on the embedded Valkey. Where it cannot be installed, the tests that need
# it say so themselves: they fail in CI and skip elsewhere.
set -euo pipefail

command -v redis-server >/dev/null ||
  "$(dirname "$0")/install-debian-package.sh" redis-server redis-server "the compatibility suite"
