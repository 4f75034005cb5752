#!/usr/bin/env bash
# The whole chain on a synthetic screen: tables, folds, stages I-III, prediction, groups, assignment, score, report.
# Everything goes below DEMO_ROOT (demo/); a second call skips what is done. `make demo` calls this.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$here"
root=${DEMO_ROOT:-demo}
python=${PYTHON:-$here/.venv/bin/python}
command -v "$python" > /dev/null || python=python3
started=$SECONDS

# LAYOUT=rxrx1 or plate96 draws the same screen in another layout: other tables and files, the same answers.
layout=${LAYOUT:-rcic}
form=()
[ "$layout" != plate96 ] || form=(--screen "$here/configs/screens/$layout.yml")

export PYTHON=$python SCREEN=${form[1]:-} DATA_ROOT=$root/screen LOG_ROOT=$root/logs MODEL=tf_efficientnet_lite0
export CHANNEL_SETS="[1,2,3,4,5] [1,2,3,4,6]" FOLDS="0 1" JOBS=${JOBS:-2}

say() { printf '\n[%d:%02d] %s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$*"; }
predict() {
  "$python" src/inference.py predict-all --data_root "$DATA_ROOT" --model_root "$LOG_ROOT/$1" --model_name "$MODEL" \
    --out_dir "$root/predictions/$1" --audit_dir "$root/csv/audit" "${form[@]}"
}
score() {
  "$python" src/inference.py score --data_root "$DATA_ROOT" --predict_root "$root/predictions/$1" "${form[@]}" "${@:2}"
}

say "a synthetic screen: 24 siRNAs in 4 groups, 4 cell types, 12 train and 4 test experiments"
"$python" src/data.py simulate --preset demo --out_dir "$DATA_ROOT" --seed "${SEED:-0}" --layout "$layout"
"$python" src/data.py describe --data_root "$DATA_ROOT" "${form[@]}"
"$python" src/data.py audit --data_root "$DATA_ROOT" --out_dir "$root/csv/audit" "${form[@]}"
"$python" src/data.py folds --data_root "$DATA_ROOT" --out_dir "$root/csv" --n_folds 4 "${form[@]}"

folds="--set=data.folds_dir=$root/csv,data.pseudo_dir=$root/csv/pseudo,data.audit_dir=$root/csv/audit"
say "stage I: control siRNAs, from ImageNet"
bash bin/train_control.sh --config configs/demo/control.yml -- "$folds"
say "stage II: all siRNAs, from stage I"
bash bin/train.sh --config configs/demo/full.yml -- "$folds"
say "stage II predicts the test wells and its held-out wells; the surest test answers become labels"
predict full
"$python" src/inference.py pseudo-label --data_root "$DATA_ROOT" --predict_root "$root/predictions/full" \
  --out_dir "$root/csv/pseudo" --folds_dir "$root/csv" --min_margin 0.5 "${form[@]}"
say "stage III: with the pseudo-labelled test wells"
bash bin/train_pseudo.sh --config configs/demo/pseudo.yml -- "$folds"
predict pseudo
say "the submission"
"$python" src/inference.py ensemble --data_root "$DATA_ROOT" --predict_root "$root/predictions/pseudo" \
  --out_dir "$root/submission" "${form[@]}"

truth="--truth=$DATA_ROOT/truth/test.csv"
say "test experiments, stage II, against the simulated truth"
score full "$truth"
say "test experiments, stage III, against the simulated truth"
score pseudo "$truth"
say "held-out train experiments, stage II (what you would see on a real screen)"
score full --split=valid
say "held-out train experiments, stage III"
score pseudo --split=valid
say "the report: all of this to look at, in one file"
"$python" src/inference.py embed-all --data_root "$DATA_ROOT" --model_root "$LOG_ROOT/pseudo" --model_name "$MODEL" \
  --out_dir "$root/embeddings/pseudo" --splits=valid,test --audit_dir "$root/csv/audit" "${form[@]}"
"$python" src/report.py --data_root "$DATA_ROOT" --log_root "$LOG_ROOT" "$truth" --audit_dir "$root/csv/audit" \
  --predict_root "$root/predictions/full,$root/predictions/pseudo" --embed_root "$root/embeddings/pseudo" \
  --out "$root/report.html" "${form[@]}"
say "done: $root/submission/submission.csv; open $root/report.html in a browser"
