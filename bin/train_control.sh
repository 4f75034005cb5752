#!/usr/bin/env bash
# Stage I: the control siRNAs, one model a channel set. `bash bin/train_control.sh --help` tells the settings.
exec bash "$(dirname "${BASH_SOURCE[0]}")/grid.sh" control "$@"
