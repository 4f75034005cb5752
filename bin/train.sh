#!/usr/bin/env bash
# Stage II: all treatments, one model a fold and channel set, from stage I. `bash bin/train.sh --help` tells the settings.
exec bash "$(dirname "${BASH_SOURCE[0]}")/grid.sh" full "$@"
