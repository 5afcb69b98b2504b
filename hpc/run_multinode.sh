#!/usr/bin/env bash
# Train one model over all tasks of a Slurm job, in runs/NAME:
# hpc/run_multinode.sh NAME EXPERIMENT [options of python -m companion.experiments.distributed].
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage "NAME EXPERIMENT [options]" 2 "$@"
folder=$(run_folder "$1")
experiment=$2
shift 2
[[ -n ${SLURM_JOB_ID:-} ]] || fail "several processes need Slurm: hpc/submit.sh multinode NAME EXPERIMENT"

begin "train $experiment, processes: ${SLURM_NTASKS:-1}," "$folder"
begin_life "$folder"
# A process that dies would leave the others waiting for it: all end. Since Slurm 22.05 srun does
# not take the number of CPUs from the job.
run srun --kill-on-bad-exit=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
  python -m companion.experiments.distributed "$experiment" "$folder" "$@"
[[ $status = 99 ]] || end_life "exit status $status"
again
exit "$status"
