#!/usr/bin/env bash
# Start the container: docker/run.sh IMAGE DATA_DIR OUT_DIR [COMMAND ...]. Called by `make run`.
# Data is mounted read-only, results belong to the calling user, GPUs are given if there are any. Nothing in the container
# has a privilege, nor can it get one.
set -euo pipefail

image=$1 data=$2 out=$3
shift 3
[ -d "$data" ] || { echo "error: $data: no such folder; give DATA_DIR=/your/screen" >&2; exit 2; }
mkdir -p "$out" || { echo "error: $out: cannot be made; give OUT_DIR=/a/folder/of/yours" >&2; exit 2; }

options=(--rm --name "$image" --ipc=host --user "$(id -u):$(id -g)")
options+=(--cap-drop=ALL --security-opt=no-new-privileges)
options+=(--volume "$(cd "$data" && pwd):/data:ro" --volume "$(cd "$out" && pwd):/out")
if nvidia-smi --list-gpus > /dev/null 2>&1; then
  options+=(--gpus all)
fi
if [ -t 0 ] && [ -t 1 ]; then
  options+=(--interactive --tty)
fi
exec docker run "${options[@]}" "$image" "$@"
