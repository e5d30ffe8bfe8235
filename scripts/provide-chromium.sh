#!/usr/bin/env bash
# The live page is tested in a real browser. Where it cannot be installed, the tests that need it say so themselves: they fail in CI and
# skip elsewhere.
set -euo pipefail

command -v chromium >/dev/null ||
  "$(dirname "$0")/install-debian-package.sh" chromium chromium "the tests of the live page"
