#!/usr/bin/env bash
# Stage III: stage II's table and the pseudo-labelled test wells. Settings: `bash bin/train_pseudo.sh --help`.
exec bash "$(dirname "${BASH_SOURCE[0]}")/grid.sh" pseudo "$@"
