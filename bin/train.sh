#!/usr/bin/env bash
# Stage II: all treatments, one model per fold and channel set, from stage I. Settings: `bash bin/train.sh --help`.
exec bash "$(dirname "${BASH_SOURCE[0]}")/grid.sh" full "$@"
