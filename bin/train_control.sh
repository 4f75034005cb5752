#!/usr/bin/env bash
# Stage I: the controls, one model per channel set. Settings: `bash bin/train_control.sh --help`.
exec bash "$(dirname "${BASH_SOURCE[0]}")/grid.sh" control "$@"
