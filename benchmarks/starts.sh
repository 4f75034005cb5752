#!/usr/bin/env bash
# What stage I is worth: stage II from stage I, from ImageNet and from random weights, all else equal, on the demo screen.
# Three seeds x two folds x three starts; resumable; writes benchmarks/starts.md. It took 22 minutes on two busy cores.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$here"
root=${DEMO_ROOT:-demo}
python=${PYTHON:-$here/.venv/bin/python}
command -v "$python" > /dev/null || python=python3
export PYTHON=$python DATA_ROOT=$root/screen MODEL=tf_efficientnet_lite0 CHANNEL_SETS="[1,2,3,4,5]" FOLDS="0 1" JOBS=${JOBS:-2}

"$python" src/data.py simulate --preset demo --out_dir "$DATA_ROOT" --seed 0
"$python" src/data.py audit --data_root "$DATA_ROOT" --out_dir "$root/csv/audit"
"$python" src/data.py folds --data_root "$DATA_ROOT" --out_dir "$root/csv" --n_folds 4
for seed in 0 1 2; do
  flags=(-- --seed="$seed")
  bash bin/train_control.sh --log_root "$root/starts/stage_I/$seed" --config configs/demo/control.yml "${flags[@]}" \
    --set="data.audit_dir=$root/csv/audit"
  for start in stage_I imagenet random; do
    set="data.folds_dir=$root/csv,data.audit_dir=$root/csv/audit"
    [ "$start" = stage_I ] || set+=,init.stage=none
    [ "$start" != random ] || set+=,model.pretrained=none
    bash bin/train.sh --log_root "$root/starts/$start/$seed" --config configs/demo/full.yml "${flags[@]}" --set="$set"
  done
done
"$python" benchmarks/starts.py "$root/starts" > benchmarks/starts.md
cat benchmarks/starts.md
