#!/usr/bin/env bash
# End the caller's containers of an image: docker/stop.sh IMAGE [NAME]. Called by `make stop`.
# Trainings get a minute to write down that they were stopped; most need a few seconds.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

containers=$(running "$@")
[ -n "$containers" ] || none_runs "$@"
# shellcheck disable=SC2086 # ids, one a word
docker stop --time 60 $containers
