#!/usr/bin/env bash
# Gather the reports below runs/NAME into runs/NAME/reports.csv: hpc/run_gather.sh NAME.
# It runs even if cells have failed, and shows which.
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
usage "NAME" 1 "$@"
folder=$(run_folder "$1")

say "gather $folder, job $job"
[[ -d $folder ]] || fail "$folder does not exist: no cell has begun"
companion report "$folder" --csv >"$folder/reports.csv.part"
mv "$folder/reports.csv.part" "$folder/reports.csv"
companion report "$folder"
say "$(($(wc -l <"$folder/reports.csv") - 1)) reports in $folder/reports.csv"
