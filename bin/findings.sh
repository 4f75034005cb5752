#!/usr/bin/env bash
# Run the findings one by one, each in an environment of its own, and print which still hold.
# bin/findings.sh [SCRIPT...]: those of findings/ if none is named; exits with 1 if one does not hold.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
[ $# -gt 0 ] || set -- findings/*.sh
held=0
for script in "$@"; do
  if timeout "${LIMIT:-900}" bash "$script" > "$log" 2>&1; then
    state=holds
    held=$((held + 1))
  elif grep -q "the behaviour has changed" "$log"; then
    state=changed
  else
    state="did not run: $(tail -n 1 "$log" | cut -c 1-120)"
  fi
  printf '%-60s %s\n' "$(basename "$script" .sh)" "$state"
done
echo "$held of $# hold"
[ "$held" -eq $# ]
