# shellcheck shell=bash
# What every job does first and last; the run_*.sh read it. They run in the repository's root.
set -euo pipefail

fail() { echo "hpc: $*" >&2; exit 1; }
say() { echo "hpc: $*"; }

usage() { # "NAME EXPERIMENT …" and the number of words that are needed, then the words
  local line=$1 needed=$2
  shift 2
  (($# >= needed)) || { echo "usage: $(basename "$0") $line" >&2; exit 2; }
}

# Until the training runs, a scheduler's warning is only noted; without this it would end us.
warned='' child=''
trap 'warned=USR1' USR1
trap 'warned=USR2' USR2

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repository"
# Site files are written for people's shells, which allow unset variables.
set +u
# shellcheck source=site.example.sh
if [[ -e hpc/site.sh ]]; then source hpc/site.sh; fi
set -u
ENVIRONMENT=${ENVIRONMENT:-.venv} NEED=${NEED:-} SPACE=${SPACE:-1}
runs=runs

export KERAS_BACKEND=jax PYTHONUTF8=1 PYTHONUNBUFFERED=1
export PATH=$repository/$ENVIRONMENT/bin:$PATH
case $ENVIRONMENT in /*) PATH=$ENVIRONMENT/bin:$PATH ;; esac

run_folder() { # NAME: no run may lie elsewhere by mistake
  [[ $1 =~ ^[A-Za-z0-9._/-]+$ && $1 != /* && $1 != -* && $1 != *..* ]] ||
    fail "name must be of letters, digits and . _ - /, got '$1': runs/$1 is to be its folder"
  echo "$runs/$1"
}

job=${SLURM_JOB_ID:-${OAR_JOB_ID:-none}}
task=${SLURM_ARRAY_TASK_ID:-}
[[ -z ${OAR_JOB_ID:-} ]] || task=$OAR_ARRAY_INDEX

begin() { # WHAT FOLDER: say who we are, then stop if something is missing
  local what=$1 folder=$2 need=() word
  say "$what in $folder, job $job${task:+, task $task} on $(uname -n), $(date -u +%FT%TZ)"
  [[ -x $(command -v companion) ]] ||
    fail "$ENVIRONMENT has no companion: run hpc/prepare.sh on a login node"
  [[ -d $runs ]] || fail "there is no folder $runs here: run hpc/prepare.sh on a login node"
  for word in $NEED; do need+=(--need "$word"); done
  # Slurm says so when it gave a GPU; a job that was given one must not run on the CPU unseen.
  if [[ -n ${SLURM_JOB_GPUS:-}${SLURM_GPUS:-} && " $NEED " != *" gpu "* ]]; then need+=(--need gpu); fi
  companion doctor "${need[@]}" --space "$runs" "$SPACE" || exit 1
}

# A scheduler's warning goes to the training, which stops at the end of its batch with a
# checkpoint. The training runs in the background and we wait for it: bash handles a signal only
# when it waits, not while a command in the foreground runs.
warn() {
  # OAR repeats its signal until the job ends.
  [[ $warned = "$1" ]] || say "$1 received"
  warned=$1
  [[ -z $child ]] || kill "-$1" "$child" 2>/dev/null || true
}

run() { # COMMAND …: its exit status is put into $status
  trap 'warn USR1' USR1
  trap 'warn USR2' USR2
  trap 'warn TERM' TERM
  status=99
  [[ -z $warned ]] || return 0
  "$@" &
  child=$!
  # A signal ends `wait` before the training has ended.
  while :; do
    status=0
    wait "$child" || status=$?
    kill -0 "$child" 2>/dev/null || break
  done
  if ((status > 128)); then
    status=0
    wait "$child" || status=$?
  fi
  # It was warned before it could listen, and ended at once: its last checkpoint stands.
  if [[ -n $warned && $status = "$(kill -l "$warned" | awk '{ print $1 + 128 }')" ]]; then status=99; fi
  child=''
}

progress() { # FOLDER: epoch and batch of its checkpoint, so that two lives can be compared
  [[ -e $1/last.npz ]] || { echo "none"; return; }
  python - "$1/last.npz" <<'PYTHON' || echo "unreadable"
import json, sys
import numpy as np

with np.load(sys.argv[1]) as saved:
    said = json.loads(str(saved["said"]))
print(f"epoch {said['epoch']} batch {said['batch']}")
PYTHON
}

# Lives of a run, a line each. A job that is stopped and begun again without getting on would
# spend the hours of its project for ever.
begin_life() { # FOLDER
  lives=$1.lives
  mkdir -p "$(dirname "$lives")"
  local here
  here=$(progress "$1")
  if [[ -e $lives ]]; then
    say "life $(($(grep -c ' begins at ' "$lives") + 1)) of this run, checkpoint: $here"
    if [[ $(tail -n 3 "$lives" | grep -c " begins at $here\$") = 3 ]]; then
      fail "three lives in a row began at '$here' and came no further: give the job more time, or remove $lives to try again"
    fi
  fi
  echo "job $job begins at $here" >>"$lives"
}

end_life() { # what came of it: breaks the row of lives without progress
  echo "job $job ends: $1" >>"$lives"
}

# After exit status 99: submit the same job again, which goes on.
again() {
  [[ $status = 99 ]] || return 0
  if [[ $warned = TERM ]]; then
    say "stopped; submit the same job again to go on"
  elif [[ -n ${OAR_JOB_ID:-} ]]; then
    say "stopped; OAR submits the job again for its exit status 99"
  elif [[ -n ${SLURM_JOB_ID:-} ]]; then
    say "stopped; back into the queue"
    # Slurm may end this job before scontrol has its answer. Its TERM would end scontrol too, and
    # that is no refusal.
    trap 'warned=TERM' TERM
    if (trap '' TERM; exec scontrol requeue "$SLURM_JOB_ID"); then
      trap - TERM
      [[ $warned != TERM ]] || exit 0
      # Slurm ends this job now, and begins it again in the same log.
      exec sleep 60
    fi
    [[ $warned != TERM ]] || { say "stopped; submit the same job again to go on"; return 0; }
    say "scontrol requeue was refused: submit the same job again to go on"
  fi
}
