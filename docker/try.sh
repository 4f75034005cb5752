#!/usr/bin/env bash
# Build the image and try it on a simulated screen, as an ordinary user: docker/try.sh [BASE]. Called by `make test-docker`.
# BASE is the base image, if not the Dockerfile's. As root it tries more: another user's files, sudo.
# Needs a Docker engine, git and curl, 20 GB of disk for the first build; what it makes is removed at the end.
# shellcheck disable=SC2317,SC2016 # the checks are called by name; $ is for the container's shell
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

docker version > /dev/null 2>&1 || { echo "skipped: no Docker engine answers"; exit 0; }

base=${1:-}
image=rcic-try/image:try
work=$(mktemp -d)
failures=0
port=$((18000 + $$ % 1000)) board=$((19000 + $$ % 1000))
uid=$(id -u) gid=$(id -g) second=
if [ "$uid" = 0 ]; then
  uid=12345 gid=12346 second=12347
fi

clean_up() {
  local containers
  containers=$(docker ps --all --quiet --filter "label=rcic.image=$image")
  # shellcheck disable=SC2086 # ids, one a word
  [ -z "$containers" ] || docker rm --force $containers > /dev/null
  docker image rm --force "$image" "$image-umask" > /dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean_up EXIT

# Run a command as the ordinary user, who may use the engine.
as_user() {
  if [ -n "$second" ]; then
    local socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
    setpriv --reuid "$uid" --regid "$gid" --groups "$second,$(stat -c %g "${socket#unix://}")" "$@"
  else
    "$@"
  fi
}

# `make TARGET ...` as the ordinary user; without other folders on the screen, with results in $work/out.
user_make() {
  as_user make --silent --directory "$work/program" "$1" IMAGE="$image" DATA_DIR="$work/screen" OUT_DIR="$work/out" \
    "${@:2}" < /dev/null
}

in_container() { user_make run CMD="$1" "${@:2}"; }

# Carry out a check, a function of this script, and print how it ended; its output only if it failed.
check() { # WHAT FUNCTION
  local code began=$SECONDS
  set +e
  (
    set -ex
    "$2"
  ) > "$work/said" 2>&1
  code=$?
  set -e
  if [ "$code" = 0 ]; then
    printf 'ok      %s (%d s)\n' "$1" $((SECONDS - began))
  else
    printf 'FAILED  %s\n' "$1"
    tail -n 40 "$work/said"
    failures=$((failures + 1))
  fi
}

wait_for() { # SECONDS COMMAND ...
  local end=$((SECONDS + $1))
  shift
  until "$@" > /dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { echo "waited in vain: $*"; return 1; }
    sleep 0.5
  done
}

was_stopped() { # PID of a make run in the background
  if wait "$1"; then return 1; fi
}

commit() { git describe --always --dirty --abbrev=40; }
n_running() { docker ps --quiet --filter "label=rcic.image=$image" | wc -l; }
n_running_is() { [ "$(n_running)" = "$1" ]; }

build_image() {
  make --silent build IMAGE="$image" BASE="$base"
  [ "$(docker image inspect --format '{{index .Config.Labels "org.opencontainers.image.revision"}}' "$image")" = "$(commit)" ]
}

build_from_private_checkout() {
  umask 077
  git clone --quiet . "$work/private"
  make --silent --directory "$work/private" build IMAGE="$image-umask" BASE="$base"
  layers() { docker image inspect --format '{{join .RootFS.Layers "\n"}}' "$1" | head -n -1; }
  [ "$(layers "$image")" = "$(layers "$image-umask")" ] # all below the code: nothing was downloaded again
  docker run --rm --user 4711:4711 --entrypoint bash "$image-umask" -c \
    '[ -z "$(find /app ! -readable)" ] && python /app/src/train.py --help > /dev/null'
}

has_only_the_program() {
  git ls-files --cached --others --exclude-standard bin configs src docker/init.py requirements.txt | sort > "$work/files"
  in_container 'cd /app && find . -type f -printf "%P\n" -o -type l -printf "%P\n"' | LC_ALL=C sort > "$work/found"
  diff <(LC_ALL=C sort "$work/files") "$work/found"
  local tools tool
  tools=$(sed '1,/^# make test/d; s/==.*//' requirements.txt | xargs)
  [[ $tools == *pytest* ]]
  in_container 'pip list --not-required --format freeze' | sed 's/==.*//; s/_/-/g' > "$work/installed"
  grep -x fire "$work/installed"
  for tool in $tools; do
    if grep -ix "$tool" "$work/installed"; then return 1; fi
  done
}

finds_its_configs() { # through src/rcic/configs, a link
  local version
  version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/rcic/__init__.py)
  [ "$(in_container 'rcic --version')" = "rcic $version" ]
  in_container 'rcic train explain --config full' > "$work/explained"
  grep ' = full  *[^ ]*/src/rcic/configs/full.yml, line ' "$work/explained"
}

simulate_screen() {
  in_container 'python src/data.py simulate --preset test --out_dir screen' DATA_DIR="$work"
  mv "$work/out/screen" "$work/screen"
}

write_tables() { # into csv and csv/audit, the defaults
  in_container 'python src/data.py describe --data_root /data && python src/data.py audit --data_root /data &&
    python src/data.py folds --data_root /data --n_folds 2'
  [ -f "$work/out/csv/train_0.csv" ] && [ -f "$work/out/csv/audit/audit.csv" ]
}

train_and_predict() {
  as_user tee "$work/out/tiny.yml" << 'YAML'
stage: full
model: {name: tiny, pretrained: none}
data: {workers: 2}
augment: {shear: 0}
schedule: {frozen_epochs: 0, epochs: 2, warmup_epochs: 0}
train: {batch_size: 16, accumulate: 1, precision: fp32}
YAML
  in_container 'set -e; for fold in 0 1; do
      python src/train.py run --config tiny.yml --data_root /data --channels 1,2,3 --fold $fold; done
    python src/inference.py predict-all --data_root /data --model_root logs/full --model_name tiny --out_dir predictions
    python src/inference.py ensemble --data_root /data --predict_root predictions --out_dir submission
    python src/report.py --data_root /data --log_root logs --predict_root predictions'
  [ -s "$work/out/submission/submission.csv" ] && [ -s "$work/out/report.html" ]
}

names_the_commit() {
  [ "$(grep -l "\"commit\": \"$(commit)\"" "$work"/out/logs/full/*/fold_?/tiny/run.json | wc -l)" = 2 ]
}

belongs_to_the_user() {
  [ -z "$(find "$work/out" ! '(' -user "$uid" -group "$gid" ')')" ]
}

cannot_write_data() {
  in_container 'cd /data && ! touch new && ! rm -f train.csv && ! chmod 777 .'
  [ -f "$work/screen/train.csv" ] && [ ! -e "$work/screen/new" ]
}

has_no_privilege() {
  in_container 'cat /proc/self/status' > "$work/status"
  [ "$(grep -c '^Cap.*:\s0*$' "$work/status")" = 5 ]
  grep '^NoNewPrivs:\s1$' "$work/status"
}

has_all_groups() {
  [ "$(in_container 'id -G' | tr ' ' '\n' | sort)" = "$(as_user id -G | tr ' ' '\n' | sort)" ]
}

reads_through_second_group() {
  cp -r "$work/screen" "$work/shared"
  chown -R "0:$second" "$work/shared"
  chmod -R u=rwX,g=rX,o= "$work/shared"
  in_container 'cd /data && head -n 1 train.csv && ! touch new' DATA_DIR="$work/shared"
}

has_own_shared_memory() {
  in_container 'touch /dev/shm/rcic-try && df --output=size -k /dev/shm | tail -n 1' > "$work/shm"
  [ "$(cat "$work/shm")" -ge $((8 * 1024 * 1024)) ]
  [ ! -e /dev/shm/rcic-try ]
}

runs_whole_command_line() {
  in_container 'cd /tmp && pwd > /out/first; id -u | tr -d " " > /out/second'
  [ "$(cat "$work/out/first" "$work/out/second")" = "/tmp"$'\n'"$uid" ]
}

takes_any_folder_name() {
  local odd="$work/plates: \"a\", b"
  cp -r "$work/screen" "$odd"
  as_user mkdir "$work/out/odd: a, b"
  in_container 'python src/data.py describe --data_root /data > facts' DATA_DIR="$odd" OUT_DIR="$work/out/odd: a, b"
  [ -s "$work/out/odd: a, b/facts" ]
}

runs_two_and_stops_both() {
  local began
  in_container 'sleep 300; touch went_on' &
  local one=$!
  in_container 'sleep 300; touch went_on' &
  local two=$!
  wait_for 60 n_running_is 2
  began=$SECONDS
  user_make stop
  was_stopped "$one"
  was_stopped "$two"
  [ $((SECONDS - began)) -lt 10 ]
  [ ! -e "$work/out/went_on" ]
}

# A command on a terminal, where a line is typed after some seconds.
type_into() { # COMMAND LINE
  (
    sleep 5
    echo "$2"
  ) | as_user script --quiet --return --command "$1" /dev/null
}

opens_a_shell() {
  local call="make --silent --directory $work/program run IMAGE=$image DATA_DIR=$work/screen OUT_DIR=$work/out"
  type_into "$call" 'tty > typed; exit'
  grep /dev/ "$work/out/typed"
}

opens_a_second_shell() {
  in_container 'sleep 300' &
  local first=$!
  wait_for 60 n_running_is 1
  type_into "make --silent --directory $work/program exec IMAGE=$image" 'id -u > second; exit'
  [ "$(cat "$work/out/second")" = "$uid" ]
  user_make stop
  was_stopped "$first"
}

stops_the_demo() {
  local began demo statuses
  in_container 'bash bin/demo.sh' > "$work/demo" 2>&1 &
  demo=$!
  wait_for 600 grep -rs '"status": "running"' --include run.json "$work/out/demo/logs"
  wait_for 300 compgen -G "$work/out/demo/logs/control/*/*/checkpoints/last.pth"
  began=$SECONDS
  user_make stop
  was_stopped "$demo"
  [ $((SECONDS - began)) -lt 30 ]
  statuses=$(find "$work/out/demo/logs" -name run.json -exec grep -h '"status"' '{}' +)
  grep -q 'stopped;' "$work/demo"
  [[ -n $statuses && $statuses != *running* && $statuses == *stopped* ]]
}

page() { curl --silent --output /dev/null --write-out '%{http_code}' "$@"; }
page_is() { [ "$(page "${@:2}")" = "$1" ]; }

opens_browser_and_tensorboard() {
  in_container "tensorboard --logdir logs --bind_all --port $board &
    python src/browse.py --data_root /data --predict_root predictions --host 0.0.0.0 --port $port" PORT="$port $board" &
  local browser=$! url=http://127.0.0.1:$port
  wait_for 120 page_is 200 "$url/"
  page_is 200 "$url/api/screen"
  page_is 200 --header "Host: $(uname -n):$port" "$url/api/screen"
  page_is 400 --header "Host: elsewhere.example:$port" "$url/api/screen"
  wait_for 120 page_is 200 "http://127.0.0.1:$board/"
  user_make stop
  was_stopped "$browser"
}

works_with_sudo() {
  SUDO_UID=$uid SUDO_GID=$gid make --silent --directory "$work/program" run IMAGE="$image" DATA_DIR="$work/screen" \
    OUT_DIR="$work/sudo/new" CMD='touch mine' < /dev/null
  [ "$(stat -c %u:%g "$work/sudo" "$work/sudo/new/mine" | uniq)" = "$uid:$gid" ]
}

works_as_root_in_a_users_folder() {
  env -u SUDO_UID make --silent --directory "$work/program" run IMAGE="$image" DATA_DIR="$work/screen" \
    OUT_DIR="$work/out" CMD='touch by_root' < /dev/null
  [ "$(stat -c %u:%g "$work/out/by_root")" = "$uid:$gid" ]
}

runs_without_gpu_toolkit() {
  mkdir "$work/bin"
  printf '#!/bin/sh\necho GPU 0\n' > "$work/bin/nvidia-smi"
  chmod -R a+rx "$work/bin"
  PATH=$work/bin:$PATH in_container 'true' 2> "$work/warning"
  grep 'runs on the CPU' "$work/warning"
  PATH=$work/bin:$PATH in_container 'true' GPUS=none 2> "$work/warning"
  if grep 'runs on the CPU' "$work/warning"; then return 1; fi
}

skip() { printf 'skipped %s: %s\n' "$1" "$2"; }

mkdir "$work/program" "$work/out"
cp -r Makefile docker "$work/program"
chmod -R a+rX "$work"
[ -z "$second" ] || chown "$uid:$gid" "$work/out"
touch "$work/said"

check "the image is built and names its commit" build_image
[ "$failures" = 0 ] || exit 1
check "a checkout with umask 077 gives the same image, from the cache" build_from_private_checkout
check "a screen is simulated in the container" simulate_screen
check "the image has the program, without tests and their tools" has_only_the_program
check "the command rcic runs and finds the shipped configs" finds_its_configs
check "describe, audit and folds write csv/ into OUT_DIR" write_tables
check "training, prediction, ensemble and report of a tiny network" train_and_predict
check "run.json names the commit" names_the_commit
check "data cannot be written" cannot_write_data
check "no capabilities, no new privileges" has_no_privilege
check "all groups of the user" has_all_groups
check "shared memory of its own, 8 GB" has_own_shared_memory
check "a command line runs as a whole in the container" runs_whole_command_line
check "folders with colons, commas and quotes" takes_any_folder_name
check "two containers of one image; make stop ends both" runs_two_and_stops_both
check "a shell on a terminal" opens_a_shell
check "make exec opens a second shell" opens_a_second_shell
if command -v nvidia-ctk > /dev/null; then
  skip "a GPU driver without the container toolkit" "this machine has the toolkit"
else
  check "a GPU driver without the container toolkit" runs_without_gpu_toolkit
fi
if docker network inspect bridge > /dev/null 2>&1; then
  check "well browser and TensorBoard through published ports" opens_browser_and_tensorboard
else
  skip "well browser and TensorBoard through published ports" "the engine has no bridge network"
fi
if [ -n "$second" ]; then
  check "data readable through a second group only" reads_through_second_group
  check "results of sudo make run belong to the user" works_with_sudo
  check "root writes into a user's folder as its owner" works_as_root_in_a_users_folder
else
  skip "another user's files and sudo" "needs root"
fi
check "make stop ends a running demo; its runs say stopped" stops_the_demo
check "all results belong to the user" belongs_to_the_user

echo "image: $(docker image inspect --format '{{.Size}}' "$image" | awk '{printf "%.2f GB", $1 / 1e9}')"
[ "$failures" = 0 ] || { echo "$failures failed"; exit 1; }
