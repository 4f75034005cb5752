#!/usr/bin/env bash
# The program on a GPU, on a machine that has Python 3.12, torch 2.11 and no network: bash benchmarks/gpu.sh WHEELS_DIR
#
# The wheels in WHEELS_DIR are installed for this run alone; what Python then lacks is named. Ends within 8 minutes and
# writes benchmarks/gpu.md. Without a GPU it tries the parts on the CPU, at a toy's size. Where everything is installed,
# as in .venv, no WHEELS_DIR is needed.
# PYTHON: another python3; GPU_WORK: where everything goes; further words are for benchmarks/gpu.py (--help, --quick).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
wheels=
if [ $# -ge 1 ] && [[ $1 != --* ]]; then
  [ -d "$1" ] || { echo "$1: no such folder; usage: bash benchmarks/gpu.sh [WHEELS_DIR] [--quick] ..." >&2; exit 2; }
  wheels=$(cd "$1" && pwd)
  shift
fi
work=${GPU_WORK:-$(mktemp -d)}
mkdir -p "$work"
cd "$here"

if [ -n "$wheels" ] && compgen -G "$wheels/*.whl" > /dev/null; then
  "$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$work/site" \
    "$wheels"/*.whl
fi
export PYTHONPATH="$work/site:$here/src:$here/benchmarks" NO_ALBUMENTATIONS_UPDATE=1 PYTHONUNBUFFERED=1
"$python" benchmarks/gpu_needs.py
exec "$python" benchmarks/gpu.py --work_dir "$work" "$@"
