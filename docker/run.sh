#!/usr/bin/env bash
# Start the container: docker/run.sh IMAGE DATA_DIR OUT_DIR. Called by `make run`, which sets the rest in the environment:
#   CMD       a command line for the container's shell; without one it is a shell to type in
#   PORT      ports that this computer reaches, e.g. "8000 6006"; with an address (0.0.0.0:8000:8000) others do, too
#   GPUS      auto (all, if there are any and the engine can pass them on), none, all or what `docker run --gpus` takes
#   SHM_SIZE  the most that loader workers may hold in shared memory
# Data is mounted read-only, results belong to the calling user. Nothing in the container has a privilege, nor can it get one.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

fail() {
  echo "error: $1" >&2
  exit 2
}

# Folders that did not exist belong to the user who called sudo, not to root.
make_folder() { # FOLDER
  local top=$1
  [ ! -d "$1" ] || return 0
  while [ ! -e "$(dirname "$top")" ]; do top=$(dirname "$top"); done
  mkdir -p "$1" || fail "$1: cannot be made; give OUT_DIR=/a/folder/of/yours"
  [ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$top"
}

# The user in the container. Root has no privilege there, so it could not write into a user's folder: its owner does.
set_user() { # OUT_DIR
  user=$(id -u) group=$(id -g) groups=$(id -G)
  [ "$user" = 0 ] || return 0
  if [ -n "${SUDO_UID:-}" ]; then
    user=$SUDO_UID group=${SUDO_GID:-$SUDO_UID}
  else
    user=$(stat -c %u "$1") group=$(stat -c %g "$1")
  fi
  groups=$(id -G "$user" 2> /dev/null || echo "$group")
}

# One --mount value, quoted as CSV: a path may hold colons, commas and quotes.
bind() { # SOURCE TARGET
  local source
  source=$(cd -- "$1" > /dev/null && pwd)
  printf 'type=bind,"source=%s",target=%s' "${source//\"/\"\"}" "$2"
}

has_gpu_toolkit() {
  command -v nvidia-ctk nvidia-container-cli nvidia-container-runtime-hook > /dev/null ||
    docker info --format '{{json .Runtimes}}' 2> /dev/null | grep -q nvidia
}

set_gpus() {
  gpus=${GPUS:-auto}
  if [ "$gpus" = none ]; then
    gpus=
  elif [ "$gpus" = auto ]; then
    gpus=
    nvidia-smi --list-gpus > /dev/null 2>&1 || return 0
    if has_gpu_toolkit; then
      gpus=all
    else
      echo "warning: there is a GPU, but not the NVIDIA Container Toolkit that passes it on: this runs on the CPU" \
        "(GPUS=none: without this warning; GPUS=all: insist)" >&2
    fi
  fi
}

image=$1 data=$2 out=$3
[ -d "$data" ] || fail "$data: no such folder; give DATA_DIR=/your/screen"
make_folder "$out"
set_user "$out"
set_gpus

name=$(printf %s "$image" | tr -c 'a-zA-Z0-9_.-' -)-$$ # two runs never have the same
options=(--rm --name "$name" --label "rcic.image=$image" --label "rcic.caller=$(caller_id)" --hostname "$(uname -n)")
options+=(--shm-size "${SHM_SIZE:-8g}" --user "$user:$group" --cap-drop=ALL --security-opt=no-new-privileges)
for other in $groups; do
  [ "$other" = "$group" ] || options+=(--group-add "$other")
done
options+=(--mount "$(bind "$data" /data),readonly" --mount "$(bind "$out" /out)")
for port in ${PORT:-}; do
  case $port in
    *:*) options+=(--publish "$port") ;;
    *) options+=(--publish "127.0.0.1:$port:$port") ;;
  esac
done
[ -z "$gpus" ] || options+=(--gpus "$gpus")
if [ -t 0 ] && [ -t 1 ]; then
  options+=(--interactive --tty)
fi
command=(bash)
[ -z "${CMD:-}" ] || command=(bash -c "$CMD")
exec docker run "${options[@]}" "$image" "${command[@]}"
