#!/usr/bin/env bash
# Train an experiment in runs/NAME: hpc/run_train.sh NAME EXPERIMENT [options of companion train].
# Stopped by a signal, it leaves a checkpoint and exits with 99; run again, it goes on.
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage "NAME EXPERIMENT [options of companion train]" 2 "$@"
folder=$(run_folder "$1")
experiment=$2
shift 2

begin "train $experiment" "$folder"
begin_life "$folder"
run companion train "$experiment" "$folder" --resume "$@"
[[ $status = 99 ]] || end_life "exit status $status"
again
exit "$status"
