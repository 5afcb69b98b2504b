# shellcheck shell=bash disable=SC2034
# GRICAD (Grenoble), cluster Bigfoot, OAR. Written from the site's public documentation; NOT RUN
# THERE.
#   cp hpc/profiles/gricad.sh hpc/site.sh     then put your project for pr-xxx
# https://gricad-doc.univ-grenoble-alpes.fr/en/hpc/joblaunch/

# Python 3.11 or newer: from the site's Nix or conda, or `uv python install 3.11` in your home.
# source /applis/environments/conda.sh

# A shared folder that all nodes write to; /bettik and /silenus/PROJECTS are the site's.
RUNS=/bettik/PROJECTS/pr-xxx/$USER/from-kernel-to-cluster/runs
export COMPANION_DATA=/bettik/PROJECTS/pr-xxx/$USER/from-kernel-to-cluster/data
export XDG_CACHE_HOME=/bettik/PROJECTS/pr-xxx/$USER/from-kernel-to-cluster/cache

ENVIRONMENT=.venv
JAX_FOR_GPU='jax[cuda12]'
NEED=gpu
SPACE=1

# A project must be named. gpumodel: 'V100', 'A100', …; jobs of up to 48 hours.
OAR_RESOURCES=/nodes=1/gpu=1
WALLTIME=01:00:00
OAR_OPTIONS=(--project=pr-xxx --property="gpumodel='A100' or gpumodel='V100'")
