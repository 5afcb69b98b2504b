#!/usr/bin/env bash
# Run one cell of a grid: hpc/run_sweep.sh NAME GRID [options of companion sweep].
# The cell is the number of the job in its array; its run lies in runs/NAME, in a folder of its own.
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage "NAME GRID [options of companion sweep]" 2 "$@"
folder=$(run_folder "$1")
grid=$2
shift 2
[[ -n $task ]] || fail "this is no job of an array: hpc/submit.sh sweep NAME GRID submits one"
# OAR puts the line of the grid behind our own words; the number says as much.
[[ -z ${OAR_JOB_ID:-} ]] || set --

begin "cell $task of $grid" "$folder"
begin_life "$folder/cell-$task"
run companion sweep "$grid" "$folder" --cell "$task" "$@"
[[ $status = 99 ]] || end_life "exit status $status"
again
exit "$status"
