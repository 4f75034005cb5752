#!/usr/bin/env bash
# The complete pipeline on a synthetic screen: tables, folds, stages I-III, prediction, groups, assignment, score, report.
# All output goes to DEMO_ROOT (demo/); a second call skips finished steps. `make demo` runs this script.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$here"
root=${DEMO_ROOT:-demo}
python=${PYTHON:-$here/.venv/bin/python}
command -v "$python" > /dev/null || python=python3
started=$SECONDS

# LAYOUT=rxrx1 or plate96 writes the same screen in another layout: different tables and files, the same results.
layout=${LAYOUT:-rcic}
spec_flags=()
[ "$layout" != plate96 ] || spec_flags=(--screen "$here/configs/screens/$layout.yml")

export PYTHON=$python SCREEN=${spec_flags[1]:-} DATA_ROOT=$root/screen LOG_ROOT=$root/logs MODEL=densenet_small
export CHANNEL_SETS="[1,2,3,4,5] [1,2,3,4,6]" FOLDS="0 1" JOBS=${JOBS:-2}

say() { printf '\n[%d:%02d] %s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$*"; }
answer() { # class centres of the networks' embeddings, normalised as the wells that each training held out say
  "$python" src/inference.py embed-all --data_root "$DATA_ROOT" --model_root "$LOG_ROOT/$1" --model_name "$MODEL" \
    --out_dir "$root/embeddings/$1" --audit_dir "$root/csv/audit" --jobs "$JOBS" "${spec_flags[@]}"
  "$python" src/inference.py neighbours --data_root "$DATA_ROOT" --embed_root "$root/embeddings/$1" --kind centres \
    --out_dir "$root/predictions/$1" "${spec_flags[@]}"
}
score() {
  "$python" src/inference.py score --data_root "$DATA_ROOT" --predict_root "$root/predictions/$1" "${spec_flags[@]}" "${@:2}"
}

say "a synthetic screen: 24 treatments in 4 groups, 4 cell types, 12 train and 4 test experiments"
"$python" src/data.py simulate --preset demo --out_dir "$DATA_ROOT" --seed "${SEED:-0}" --layout "$layout"
"$python" src/data.py describe --data_root "$DATA_ROOT" "${spec_flags[@]}"
"$python" src/data.py audit --data_root "$DATA_ROOT" --out_dir "$root/csv/audit" "${spec_flags[@]}"
"$python" src/data.py folds --data_root "$DATA_ROOT" --out_dir "$root/csv" --n_folds 4 "${spec_flags[@]}"

folds="--set=data.folds_dir=$root/csv,data.pseudo_dir=$root/csv/pseudo,data.audit_dir=$root/csv/audit"
say "stage I: controls"
bash bin/train_control.sh --config configs/demo/control.yml -- "$folds"
say "stage II: all treatments, from stage I"
bash bin/train.sh --config configs/demo/full.yml -- "$folds"
say "stage II names the test wells and its held-out wells; the most confident answers on test wells become pseudo-labels"
answer full
"$python" src/inference.py pseudo-label --data_root "$DATA_ROOT" --predict_root "$root/predictions/full" \
  --out_dir "$root/csv/pseudo" --folds_dir "$root/csv" --min_margin 0.5 "${spec_flags[@]}"
say "stage III: with the pseudo-labelled test wells"
bash bin/train_pseudo.sh --config configs/demo/pseudo.yml -- "$folds"
answer pseudo
say "the submission"
"$python" src/inference.py ensemble --data_root "$DATA_ROOT" --predict_root "$root/predictions/pseudo" \
  --out_dir "$root/submission" "${spec_flags[@]}"

truth="--truth=$DATA_ROOT/truth/test.csv"
say "test experiments, stage II, against the simulated truth"
score full "$truth"
say "test experiments, stage III, against the simulated truth"
score pseudo "$truth"
say "held-out train experiments, stage II (available on a real screen)"
score full --split=valid
say "held-out train experiments, stage III"
score pseudo --split=valid
say "the report: all results in one file"
"$python" src/report.py --data_root "$DATA_ROOT" --log_root "$LOG_ROOT" "$truth" --audit_dir "$root/csv/audit" \
  --predict_root "$root/predictions/full,$root/predictions/pseudo" --embed_root "$root/embeddings/pseudo" \
  --out "$root/report.html" "${spec_flags[@]}"
say "done: $root/submission/submission.csv; open $root/report.html in a browser"
