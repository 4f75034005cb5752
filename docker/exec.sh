#!/usr/bin/env bash
# Open a shell in the newest running container of an image: docker/exec.sh IMAGE [NAME]. Called by `make exec`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

containers=$(running "$@")
[ -n "$containers" ] || none_runs "$@"
exec docker exec --interactive --tty "${containers%%$'\n'*}" bash
