# shellcheck shell=bash
# Sourced by run.sh, exec.sh and stop.sh: which containers `make run` started.

# The user whose containers these are: with sudo the one who called it.
caller_id() {
  echo "${SUDO_UID:-$(id -u)}"
}

# The caller's running containers of an image, the newest first; only the named one if there is a name.
running() { # IMAGE [NAME]
  local filters=(--filter "label=rcic.image=$1" --filter "label=rcic.caller=$(caller_id)")
  [ -z "${2:-}" ] || filters+=(--filter "name=^/?$2\$")
  docker ps --quiet "${filters[@]}"
}

none_runs() { # IMAGE [NAME]
  echo "error: no container of yours is running from $1${2:+ under the name $2}; make run starts one" >&2
  exit 2
}
