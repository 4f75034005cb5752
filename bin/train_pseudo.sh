#!/usr/bin/env bash
# Stage III: stage II's table and the pseudo-labelled test wells. `bash bin/train_pseudo.sh --help` tells the settings.
exec bash "$(dirname "${BASH_SOURCE[0]}")/grid.sh" pseudo "$@"
