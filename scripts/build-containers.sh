#!/usr/bin/env bash
# Build the container images northstar-serve and northstar-agent, and print how large they are.
#
#   scripts/build-containers.sh [serve] [agent]
#
# Read from the environment, all optional:
#   ENGINE                                 buildah, podman or docker; the first of them that is installed
#   TAG                                    the images' tag; the version of North Star
#   SERVE_BASE, AGENT_BUILD_BASE, AGENT_BASE   other base images than the Dockerfiles name
#   PIP_CONF, CA_FILE                      files that the build sees as secrets: pip's settings, authorities to trust
#   BUILD_OPTIONS                          further options for the engine, such as --no-cache
# With buildah and podman the same commit on the same base gives the same image, whenever and wherever it is built.
set -euo pipefail
cd "$(dirname "$0")/.."

engine=${ENGINE:-}
if [ -z "$engine" ]; then
  for candidate in buildah podman docker; do
    if command -v "$candidate" >/dev/null; then engine=$candidate && break; fi
  done
fi
if [ -z "$engine" ]; then
  echo "build-containers: install buildah, podman or docker first; on Debian: apt-get install buildah" >&2
  exit 1
fi
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/northstar/__init__.py)
tag=${TAG:-$version}

options=(--build-arg "VERSION=$version")
case "$(basename "$engine")" in
  # Docker's format, since the other one has no place for a health check.
  buildah) command=(bud) && options+=(--layers --format docker --timestamp 0) ;;
  podman) command=(build) && options+=(--layers --format docker --timestamp 0) ;;
  docker) command=(build) ;;
  *) echo "build-containers: ENGINE is '$engine'; it must be buildah, podman or docker" >&2 && exit 1 ;;
esac
if revision=$(git rev-parse HEAD 2>/dev/null) && [ -z "$(git status --porcelain 2>/dev/null)" ]; then
  options+=(--label "org.opencontainers.image.revision=$revision")
fi
if [ -n "${PIP_CONF:-}" ]; then options+=(--secret "id=pip.conf,src=$PIP_CONF"); fi
if [ -n "${CA_FILE:-}" ]; then options+=(--secret "id=ca.pem,src=$CA_FILE"); fi
read -ra more <<<"${BUILD_OPTIONS:-}"

for image in ${*:-serve agent}; do
  bases=()
  case "$image" in
    serve) if [ -n "${SERVE_BASE:-}" ]; then bases+=(--build-arg "BASE=$SERVE_BASE"); fi ;;
    agent)
      if [ -n "${AGENT_BUILD_BASE:-}" ]; then bases+=(--build-arg "BUILD_BASE=$AGENT_BUILD_BASE"); fi
      if [ -n "${AGENT_BASE:-}" ]; then bases+=(--build-arg "BASE=$AGENT_BASE"); fi
      ;;
    *) echo "build-containers: there is no image '$image'; there are serve and agent" >&2 && exit 1 ;;
  esac
  "$engine" "${command[@]}" "${options[@]}" "${bases[@]}" "${more[@]}" \
    --tag "northstar-$image:$tag" --file "containers/$image/Dockerfile" .
done
for image in ${*:-serve agent}; do
  echo "northstar-$image:$tag: $("$engine" images --format '{{.Size}}' "northstar-$image:$tag" | head -n 1)"
done
