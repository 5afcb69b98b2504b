#!/usr/bin/env bash
# On a login node, once: make the environment, fetch the data, cook them; nodes then need no network.
#   hpc/prepare.sh                               the environment and the folder for runs
#   hpc/prepare.sh --fetch                       and the real images (365 MB and 12 MB)
#   hpc/prepare.sh --cook full 24x24-L 48x48-RGB and data sets, of a budget and recipes
# What is there already is left as it is.
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

fetch='' budget='' recipes=()
while (($#)); do
  case $1 in
  --fetch) fetch=yes ;;
  --cook)
    (($# >= 3)) || fail "--cook needs a budget and recipes: --cook full 24x24-L"
    budget=$2
    shift 2
    recipes=("$@")
    break
    ;;
  *) fail "unknown option '$1': there are --fetch and --cook BUDGET RECIPE …" ;;
  esac
  shift
done

[[ -e hpc/site.sh ]] || say "no hpc/site.sh yet: cp hpc/site.example.sh hpc/site.sh, or one of hpc/profiles"

if [[ -n ${RUNS:-} && ! -e runs ]]; then
  mkdir -p "$RUNS"
  ln -s "$RUNS" runs
fi
mkdir -p runs
say "runs         $(cd runs && pwd -P)"

if [[ $ENVIRONMENT = .venv ]]; then make environment; fi
[[ -x $(command -v companion) ]] || fail "$ENVIRONMENT has no companion: pip install -r requirements.txt -e . into it"
if [[ -n ${JAX_FOR_GPU:-} ]]; then
  # The same JAX as the pinned one, with what it needs to see a GPU.
  version=$(python -c 'import importlib.metadata as m; print(m.version("jax"))')
  python -m pip install --quiet "$JAX_FOR_GPU==$version"
fi
say "environment  $(command -v python), $(python --version)"

if [[ -n ${COMPANION_DATA:-} ]]; then mkdir -p "$COMPANION_DATA"; fi
if [[ -n $fetch ]]; then
  companion fetch mnist
  companion fetch gtsrb
fi
# Many jobs that start at once would all draw, or cook, the same data.
for recipe in "${recipes[@]}"; do
  python - "$recipe" "$budget" <<'PYTHON'
import sys
from companion.data import budgets
from companion.experiments import experiment

recipe, name = sys.argv[1:]
cooked = experiment.cooked_data(recipe, budgets.get(name))
print(f"hpc: cooked       {recipe}, {name}: {len(cooked.x):,} training images, {cooked.note}")
PYTHON
done
say "what is here:"
companion doctor
