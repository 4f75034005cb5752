#!/usr/bin/env bash
# Train every member of one stage: models x folds x channel sets. Called by train_control.sh, train.sh, train_pseudo.sh.
#
#   bash bin/train.sh [--data_root DIR] [--log_root DIR] [--model NAMES] [--config FILE] [--folds "0 1"]
#                     [--channel_sets "[1,2,3,4,5] [1,2,3,4,6]"] [--jobs N] [-- further flags of src/train.py run]
#
# Each setting can come from the environment instead: DATA_ROOT LOG_ROOT MODEL CONFIG FOLDS CHANNEL_SETS JOBS.
# Finished runs are skipped; the first failure stops the rest. MODEL may name several, parted by commas.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$here/.venv/bin/python}
command -v "$python" > /dev/null || python=python3

stage=$1
shift
all_sets="[1,2,3,4,5] [1,2,3,4,6] [1,2,3,5,6] [1,2,4,5,6] [1,3,4,5,6] [2,3,4,5,6]"
data_root=${DATA_ROOT:-data}
log_root=${LOG_ROOT:-logs}
model=${MODEL:-se_resnext50_32x4d}
config=${CONFIG:-$here/configs/$stage.yml}
folds=${FOLDS:-0 1 2 3 4}
channel_sets=${CHANNEL_SETS:-$all_sets}
jobs=${JOBS:-1}

while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    --) shift; break ;;
    --data_root | --log_root | --model | --config | --folds | --channel_sets | --jobs)
      [ $# -gt 1 ] || { echo "error: $1 needs a value" >&2; exit 2; }
      printf -v "${1#--}" '%s' "$2"
      shift 2 ;;
    *) echo "error: unknown argument $1 (see --help)" >&2; exit 2 ;;
  esac
done
[ "$stage" != control ] || folds=0 # stage I has no fold

# Several trainings side by side share the cores: with one thread each they do not wait for one another.
if [ "$jobs" -gt 1 ] && [ -z "${OMP_NUM_THREADS:-}" ]; then
  cores=$(nproc)
  export OMP_NUM_THREADS=$((cores > jobs ? cores / jobs : 1))
fi

list_members() {
  local name fold channels
  for name in ${model//,/ }; do
    for fold in $folds; do
      for channels in $channel_sets; do
        printf '%s\0' "--model=$name" "--fold=$fold" "--channels=$channels"
      done
    done
  done
}

# xargs gives each process its slot, which is the line of its progress bar, and stops at once when one ends with 255.
list_members | xargs -0 -n 3 -P "$jobs" --process-slot-var=TQDM_POSITION \
  bash -c '"$@" || exit 255' train "$python" "$here/src/train.py" run \
  --config="$config" --data_root="$data_root" --log_root="$log_root" "$@" || {
  echo "error: stage $stage stopped at the first failure; what is finished is kept, start again to go on" >&2
  exit 2
}
