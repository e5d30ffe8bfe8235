#!/usr/bin/env bash
# Resolve every dependency once, for every supported Python, and write the locks with their hashes.
#
#   scripts/lock.sh PYTHON RESOLVER_ENV [--upgrade]
#
# dev.txt holds the one resolution; the project's other locks are parts of it, so no two of them can disagree.
# Without --upgrade, versions move only where pyproject.toml makes them.
set -euo pipefail
cd "$(dirname "$0")/.."

python=$1
resolver=$2
upgrade=${3:-}

[ -x "$resolver/bin/python" ] || scripts/create-venv.sh "$resolver" "$python"
"$resolver/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r constraints/lock.txt

resolve() { # NAME "what it is for" ARGUMENTS...
  local out=constraints/$1.txt purpose=$2 fresh
  shift 2
  fresh=$(mktemp)
  # The present lock is the resolver's preference, so that nothing moves by accident.
  if [ -z "$upgrade" ] && [ -f "$out" ]; then cp "$out" "$fresh"; fi
  # The public index is asked, whatever this machine's configuration adds, and the lock does not name it.
  "$resolver/bin/uv" pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
    --no-header --no-emit-index-url --no-emit-find-links ${upgrade:+--upgrade} --output-file "$fresh" "$@" >/dev/null
  { printf '# %s\n# Written by `make lock`; not to be edited.\n' "$purpose" && cat "$fresh"; } >"$out"
  rm -f "$fresh"
  echo "$out: $(grep -c '==' "$out") packages"
}

resolve dev "Everything: the core, every extra, and the tools of development." pyproject.toml --all-extras --group dev
resolve core "The core alone: what the wheel needs to run." pyproject.toml -c constraints/dev.txt
resolve demo "The core, the front, the demonstration, and what an editable installation needs." \
  pyproject.toml --extra demo --extra serve --extra speed --group build -c constraints/dev.txt
resolve production "The core with its front, the faster loop, PostgreSQL and S3." \
  pyproject.toml --extra serve --extra speed --extra postgres --extra s3 -c constraints/dev.txt
resolve agent "What an agent's image holds: the core, the faster loop, models from S3." \
  pyproject.toml --extra speed --extra s3 -c constraints/dev.txt
resolve images "What the images are built with." --group images -c constraints/dev.txt
# Environments beside the project's own, which may disagree with it and with each other.
for input in constraints/*.in; do
  [ -e "$input" ] || continue
  resolve "$(basename "$input" .in)" "An environment of its own; what is wanted stands in $input." "$input"
done
resolve lock "The resolver behind 'make lock'." --group lock
