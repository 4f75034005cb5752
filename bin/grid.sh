#!/usr/bin/env bash
# Train every member of one stage with `src/train.py run-grid`: the common part of train_control.sh, train.sh and
# train_pseudo.sh.
#
#   bash bin/train.sh [--data_root DIR] [--log_root DIR] [--model NAMES] [--config FILE] [--folds "0 1"]
#                     [--channel_sets "[1,2,3,4,5] [1,2,3,4,6]"] [--jobs N] [--screen FILE] [-- further flags of src/train.py run-grid]
#
# Settings can also come from the environment: DATA_ROOT LOG_ROOT MODEL CONFIG FOLDS CHANNEL_SETS JOBS SCREEN.
# Without --jobs there is one training per GPU. Finished runs are skipped, interrupted ones resume, and a failure
# does not stop the rest. MODEL may be a list, separated by commas.
set -euo pipefail
set -o noglob # [1,2,3,4,5] is a channel set, not a glob pattern

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
  echo "error: $1" >&2
  exit 2
}

stage=${1:-none}
case $stage in
  control | full | pseudo) shift ;;
  *) fail "bin/grid.sh is called by bin/train_control.sh, train.sh and train_pseudo.sh; start one of these" ;;
esac

data_root=${DATA_ROOT:-data}
log_root=${LOG_ROOT:-logs}
model=${MODEL:-se_resnext50_32x4d}
config=${CONFIG:-$here/configs/$stage.yml}
folds=${FOLDS:-all}
channel_sets=${CHANNEL_SETS:-}
jobs=${JOBS:-}
screen=${SCREEN:-}
python=${PYTHON:-$here/.venv/bin/python}
[ -n "${PYTHON:-}" ] || [ -x "$python" ] || python=python3
command -v "$python" > /dev/null || fail "PYTHON is '$python': no such command"

while [ $# -gt 0 ]; do
  case $1 in
    -h | --help)
      sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    --)
      shift
      break
      ;;
    --data_root | --log_root | --model | --config | --folds | --channel_sets | --jobs | --screen)
      [[ $# -gt 1 && $2 != --* ]] || fail "$1 has no value"
      printf -v "${1#--}" '%s' "$2"
      shift 2
      ;;
    --data_root=* | --log_root=* | --model=* | --config=* | --folds=* | --channel_sets=* | --jobs=* | --screen=*)
      set -- "${1%%=*}" "${1#*=}" "${@:2}"
      ;;
    *) fail "unknown argument $1 (see --help; flags of src/train.py go after --)" ;;
  esac
done
for setting in data_root log_root model config folds; do
  [ -n "${!setting// /}" ] || fail "--$setting is empty"
done
[[ -z $jobs || $jobs =~ ^[1-9][0-9]*$ ]] || fail "--jobs is '$jobs', must be a whole number from 1 on"

flags=(--config="$config" --data_root="$data_root" --log_root="$log_root" --model="${model// /,}")
[ -z "$channel_sets" ] || flags+=(--channel_sets="$channel_sets") # default: all but one channel each
[ -z "$screen" ] || flags+=(--screen="$screen")
[ "$stage" = control ] || [ "$folds" = all ] || flags+=(--folds="${folds// /,}") # stage I has no folds
[ -z "$jobs" ] || flags+=(--jobs="$jobs")
exec "$python" "$here/src/train.py" run-grid "${flags[@]}" "$@"
