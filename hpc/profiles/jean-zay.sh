# shellcheck shell=bash disable=SC2034
# Jean Zay (IDRIS), Slurm. Written from the site's public documentation; NOT RUN THERE.
#   cp hpc/profiles/jean-zay.sh hpc/site.sh     then put your project for xxx
# https://www.idris.fr/en/docs/jean-zay/slurm/slurm_partitions_gpu

# `module avail python` lists what there is.
module purge
module load python/3.11.5

# $SCRATCH is large and fast, and files that nobody reads for a month are deleted: bring results
# home. $HOME is small.
RUNS=$SCRATCH/from-kernel-to-cluster/runs
export COMPANION_DATA=$SCRATCH/from-kernel-to-cluster/data
export XDG_CACHE_HOME=$SCRATCH/from-kernel-to-cluster/cache

ENVIRONMENT=.venv
JAX_FOR_GPU='jax[cuda12]'
NEED=gpu
SPACE=1

# Hours are counted per kind of GPU: the account ends in @v100, @a100, @h100 or @cpu.
export SBATCH_ACCOUNT=xxx@v100
export SBATCH_GRES=gpu:1
# A V100 node has 40 cores and 4 GPUs: 10 cores come with each; no second thread per core.
export SBATCH_HINT=nomultithread
# Without --time a job gets 10 minutes; up to 2 h in this quality of service, sooner served.
# export SBATCH_QOS=qos_gpu-dev
# A100 GPUs: account xxx@a100, and
# export SBATCH_CONSTRAINT=a100
