#!/usr/bin/env bash
# The history is tested on PostgreSQL as well as on SQLite. Where it cannot be installed, the tests that need it say so
# themselves: they fail in CI and skip elsewhere.
set -euo pipefail

command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ||
  "$(dirname "$0")/install-debian-package.sh" postgresql PostgreSQL "the tests of the history"
