# shellcheck shell=bash disable=SC2034  # the scripts that read this file use what it sets
# What only your site knows. Copy it to hpc/site.sh and fill it in, or begin with one of profiles/.
# Every job reads it, and so do prepare.sh and submit.sh. Lines that you leave out mean: nothing.

# Python 3.11 or newer, and what else must be loaded before it. JAX brings its own CUDA libraries.
# module load python/3.11

# Where runs, data and the cache lie: a fast, shared and large folder, which nodes can write to.
# prepare.sh makes `runs` in the repository a link to RUNS.
# RUNS=$SCRATCH/from-kernel-to-cluster/runs
# export COMPANION_DATA=$SCRATCH/from-kernel-to-cluster/data
# export XDG_CACHE_HOME=$SCRATCH/from-kernel-to-cluster/cache

# The virtual environment (prepare.sh makes it), and the package that lets JAX see GPUs:
# jax[cuda12] for NVIDIA; empty for CPUs.
ENVIRONMENT=.venv
JAX_FOR_GPU=

# A job ends at once, with one sentence, if one of these is not there: gpu,
# official-gtsrb, official-mnist.
# A GPU that Slurm gave must be visible in any case.
NEED=
# And if the folder of the runs has less than so many GB free.
SPACE=1

# Slurm: sbatch reads these from its environment (see INPUT ENVIRONMENT VARIABLES in man sbatch).
# What is written on its command line wins over them, and they win over the #SBATCH lines.
# export SBATCH_ACCOUNT=
# export SBATCH_PARTITION=
# export SBATCH_CONSTRAINT=
# export SBATCH_QOS=
# export SBATCH_GRES=gpu:1

# OAR reads no such variables: submit.sh puts these words on oarsub's command line. The walltime
# is WALLTIME's, as two -l options would be alternatives to each other.
OAR_RESOURCES=/nodes=1/core=2
WALLTIME=01:00:00
OAR_OPTIONS=()
# OAR_OPTIONS=(--project=mine --property="gpumodel='V100'")
