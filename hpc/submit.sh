#!/usr/bin/env bash
# Submit a job to Slurm or OAR, and say with which command:
#   hpc/submit.sh train [--time=02:00:00 …] NAME EXPERIMENT [options of companion train]
#   hpc/submit.sh chapter [scheduler's options] NAME CHAPTER [PARAMETER=VALUE …]
#   hpc/submit.sh sweep [scheduler's options] NAME GRID [options of companion sweep]
#   hpc/submit.sh multinode [scheduler's options] NAME EXPERIMENT [options]
# Words that begin with - before NAME go to sbatch or oarsub (one word each: --time=…, not -t …).
# The run lies in runs/NAME; the same line again goes on where an unfinished run stopped.
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage "KIND [scheduler's options] NAME …, where KIND is chapter, train, sweep or multinode" 3 "$@"
kind=$1
shift
options=()
while [[ ${1:-} = -* ]]; do
  options+=("$1")
  shift
done
usage "$kind [scheduler's options] NAME …" 2 "$@"
run_folder "$1" >/dev/null
[[ -d $runs ]] || fail "there is no folder $runs here: run hpc/prepare.sh first"

scheduler=${SCHEDULER:-}
if [[ -z $scheduler ]]; then
  if command -v sbatch >/dev/null; then scheduler=slurm; else scheduler=oar; fi
fi
case $scheduler in
slurm) file=hpc/slurm/$kind.sbatch ;;
oar) file=hpc/oar/$kind.oar ;;
*) fail "SCHEDULER must be slurm or oar, got '$scheduler'" ;;
esac
[[ -e $file ]] || fail "kind must be chapter, train, sweep or multinode (Slurm alone), got '$kind'"

if [[ $kind = sweep ]]; then
  [[ -e $2 ]] || fail "there is no grid $2: write one, a cell a line"
  # A misspelt setting is found now, not by a hundred jobs.
  companion sweep "$2" "$(run_folder "$1")" --list >/dev/null
  cells=$(grep -cvE '^[[:space:]]*(#|$)' "$2")
fi

quoted() { # words as one would type them
  local word line=()
  for word in "$@"; do
    if [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]]; then line+=("$word"); else line+=("'${word//\'/\'\\\'\'}'"); fi
  done
  echo "${line[*]}"
}
send() {
  say "$(quoted "$@")" >&2
  "$@"
}

if [[ $scheduler = slurm ]]; then
  if [[ $kind != sweep ]]; then
    send sbatch "${options[@]}" "$file" "$@"
  else
    job=$(send sbatch --parsable --array="1-$cells" "${options[@]}" "$file" "$@")
    echo "Submitted array $job of $cells cells"
    # The cells may need a GPU; the job that gathers their reports does not.
    unset SBATCH_GRES SBATCH_GPUS SBATCH_GPUS_PER_TASK SBATCH_GPUS_PER_NODE
    send sbatch --dependency="afterany:${job%%;*}" hpc/slurm/gather.sbatch "$1"
  fi
else
  options=(-l "${OAR_RESOURCES:-/nodes=1},walltime=${WALLTIME:-01:00:00}" "${OAR_OPTIONS[@]}" "${options[@]}")
  [[ $kind != sweep ]] || options+=(--array-param-file "$2")
  command=$(quoted "./$file" "$@")
  send oarsub "${options[@]}" -S "$command"
  # A cell that OAR submits again has a new number, which no dependency knows.
  [[ $kind != sweep ]] || echo "When all cells have ended: hpc/run_gather.sh $1"
fi
