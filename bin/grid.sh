#!/usr/bin/env bash
# Train every member of one stage: models x folds x channel sets. Called by train_control.sh, train.sh, train_pseudo.sh.
#
#   bash bin/train.sh [--data_root DIR] [--log_root DIR] [--model NAMES] [--config FILE] [--folds "0 1"]
#                     [--channel_sets "[1,2,3,4,5] [1,2,3,4,6]"] [--jobs N] [-- further flags of src/train.py run]
#
# Each setting can come from the environment instead: DATA_ROOT LOG_ROOT MODEL CONFIG FOLDS CHANNEL_SETS JOBS.
# Finished runs are skipped; the first failure stops the rest. MODEL may name several, parted by commas.
set -euo pipefail
set -o noglob # [1,2,3,4,5] is a channel set, not a pattern for a file called 1

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

all_sets="[1,2,3,4,5] [1,2,3,4,6] [1,2,3,5,6] [1,2,4,5,6] [1,3,4,5,6] [2,3,4,5,6]"
data_root=${DATA_ROOT:-data}
log_root=${LOG_ROOT:-logs}
model=${MODEL:-se_resnext50_32x4d}
config=${CONFIG:-$here/configs/$stage.yml}
folds=${FOLDS:-0 1 2 3 4}
channel_sets=${CHANNEL_SETS:-$all_sets}
jobs=${JOBS:-1}
python=${PYTHON:-$here/.venv/bin/python}
[ -n "${PYTHON:-}" ] || [ -x "$python" ] || python=python3
command -v "$python" > /dev/null || fail "PYTHON is '$python': no such command"

while [ $# -gt 0 ]; do
  case $1 in
    -h | --help)
      sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    --)
      shift
      break
      ;;
    --data_root | --log_root | --model | --config | --folds | --channel_sets | --jobs)
      [[ $# -gt 1 && $2 != --* ]] || fail "$1 has no value"
      printf -v "${1#--}" '%s' "$2"
      shift 2
      ;;
    --data_root=* | --log_root=* | --model=* | --config=* | --folds=* | --channel_sets=* | --jobs=*)
      set -- "${1%%=*}" "${1#*=}" "${@:2}"
      ;;
    *) fail "unknown argument $1 (see --help; flags of src/train.py go after --)" ;;
  esac
done
for setting in data_root log_root model config folds channel_sets; do
  [ -n "${!setting// /}" ] || fail "--$setting is empty"
done
[[ $jobs =~ ^[1-9][0-9]*$ ]] || fail "--jobs is '$jobs', must be a whole number from 1 on"

# Several trainings side by side share the cores: with one thread each they do not wait for one another.
if [ "$jobs" -gt 1 ] && [ -z "${OMP_NUM_THREADS:-}" ]; then
  cores=$(nproc)
  export OMP_NUM_THREADS=$((cores > jobs ? cores / jobs : 1))
fi

words=3 # that list_members prints for one of them
[ "$stage" != control ] || { folds=none && words=2; } # stage I has no folds

list_members() {
  local name fold channels
  for name in ${model//,/ }; do
    for fold in ${folds//,/ }; do
      for channels in $channel_sets; do
        printf '%s\0' "--model=$name" "--channels=$channels"
        [ "$fold" = none ] || printf '%s\0' "--fold=$fold"
      done
    done
  done
}

# xargs gives each process its slot, which is the line of its progress bar. After a failure those that run are waited
# for and no other is started; xargs' own way to stop (a 255) can leave them running with nobody to tell.
FAILED=$(mktemp -d)/failed
export FAILED
trap 'rm -rf "$(dirname "$FAILED")"' EXIT
# shellcheck disable=SC2016 # the inner bash expands it
list_members | xargs -0 -n "$words" -P "$jobs" --process-slot-var=TQDM_POSITION \
  bash -c '[ ! -e "$FAILED" ] || exit 1; "$@" || { touch "$FAILED"; exit 1; }' train \
  "$python" "$here/src/train.py" run --config="$config" --data_root="$data_root" --log_root="$log_root" "$@" \
  || fail "stage $stage stopped at the first failure; what is finished is kept, start again to go on"
