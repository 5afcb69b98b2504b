#!/usr/bin/env bash
# Run a chapter: hpc/run_chapter.sh NAME CHAPTER [PARAMETER=VALUE …], such as BUDGET=full.
# The notebook with its outputs is runs/NAME/CHAPTER.ipynb, also when a cell fails: exit status 1.
# The runs that the chapter starts lie beside it.
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage "NAME CHAPTER [PARAMETER=VALUE …]" 2 "$@"
folder=$(run_folder "$1")
chapter=$(basename "$2" .md)
shift 2

source=book/$chapter.md
[[ -e $source ]] || fail "there is no chapter $source: $(cd book && echo *.md) are there"
# The names that the cell tagged `parameters` gives values to.
known=$(awk '/^```\{code-cell\}/ { cell = 1 } cell && /^tags:.*parameters/ { here = 1 }
  here && /^[A-Z_]+ *=/ { print $1 } /^```$/ { cell = here = 0 }' "$source")
parameters=()
for word in "$@"; do
  key=${word%%=*}
  [[ $word = *=* ]] || fail "a parameter is NAME=VALUE, got '$word'"
  grep -qx "$key" <<<"$known" ||
    fail "$source has no parameter '$key', it has: ${known//$'\n'/ }"
  parameters+=(-p "$key" "${word#*=}")
done

begin "chapter $chapter" "$folder"
mkdir -p "$folder"
COMPANION_RUNS=$(cd "$folder" && pwd)
export COMPANION_RUNS
# IPython, Jupyter and Matplotlib keep files of their own, and a node's home may be read-only.
own=$(mktemp -d)
trap 'rm -rf "$own"' EXIT
export IPYTHONDIR=$own/ipython JUPYTER_RUNTIME_DIR=$own/jupyter MPLCONFIGDIR=$own/matplotlib

jupytext --quiet --to ipynb --output "$own/$chapter.ipynb" "$source"
notebook=$COMPANION_RUNS/$chapter.ipynb
# papermill writes the notebook after every cell; nbconvert would write nothing if one failed.
# A chapter finds what lies in the repository from its own folder.
if papermill --no-progress-bar --no-log-output --language python --kernel python3 --cwd book \
  "${parameters[@]}" "$own/$chapter.ipynb" "$notebook" 2>"$own/log"; then
  say "finished: $folder/$chapter.ipynb"
else
  # Of papermill's own traceback, the part that is the cell's.
  sed -n '/^Exception encountered/,$p' "$own/log" | grep . || cat "$own/log"
  fail "chapter $chapter did not finish: see the last cells of $folder/$chapter.ipynb"
fi
