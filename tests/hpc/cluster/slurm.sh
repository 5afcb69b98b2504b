#!/usr/bin/env bash
# slurm.sh start|stop FOLDER PORT: a Slurm of two nodes on this machine, for tests.
#
# No systemd, no cgroups, nothing in /etc but two names in /etc/hosts: configuration, state, keys
# and logs lie in FOLDER. PORT is slurmctld's; the nodes listen on the two that follow. Only
# processes whose numbers were written down are ended.
#   export SLURM_CONF=FOLDER/slurm.conf     lets sbatch, squeue, … find it.
set -euo pipefail
PATH=/usr/sbin:/sbin:$PATH
action=${1:?start or stop} folder=${2:?a folder} port=${3:-0}
host=$(hostname -s)
export SLURM_CONF=$folder/slurm.conf

alive() { [[ -s $1 ]] && kill -0 "$(cat "$1")" 2>/dev/null; }

end() { # the process of a pid file: TERM, 10 s, KILL
  alive "$1" || return 0
  local pid
  pid=$(cat "$1")
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || { rm -f "$1"; return 0; }
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
  rm -f "$1"
}

configure() {
  mkdir -p "$folder"/{state,log,run,munge,dev,spool-node1,spool-node2}
  chmod 0755 "$folder"
  chmod 0700 "$folder/munge"
  dd if=/dev/urandom of="$folder/munge/key" bs=128 count=1 status=none
  chmod 0400 "$folder/munge/key"
  cat >"$SLURM_CONF" <<CONF
ClusterName=book
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.socket
CryptoType=crypto/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool-%n
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd-%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0
PriorityType=priority/basic
ReturnToService=2
# Many CPUs a node, whatever this machine has: jobs shall not wait for each other.
SlurmdParameters=config_overrides
JobRequeue=1
KillWait=5
MinJobAge=3600
MessageTimeout=30
SlurmctldTimeout=60
SlurmdTimeout=60
InactiveLimit=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobCompType=jobcomp/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
# What a partition can never give is refused when it is submitted.
EnforcePartLimits=ALL
GresTypes=gpu
NodeName=node1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=32 RealMemory=8000 Gres=gpu:2 Feature=v100
NodeName=node2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=32 RealMemory=8000 Gres=gpu:2 Feature=v100
PartitionName=cpu Nodes=ALL Default=YES MaxTime=10:00:00 DefaultTime=00:05:00 PriorityTier=1 PreemptMode=REQUEUE GraceTime=0
PartitionName=urgent Nodes=ALL MaxTime=01:00:00 PriorityTier=10 PreemptMode=OFF
CONF
  # Stand-ins for GPUs: copies of /dev/null, enough for Slurm to count them and give them out.
  for gpu in 0 1; do [[ -c $folder/dev/nvidia$gpu ]] || mknod "$folder/dev/nvidia$gpu" c 1 3; done
  echo "Name=gpu File=$folder/dev/nvidia[0-1]" >"$folder/gres.conf"
}

case $action in
start)
  [[ -s $SLURM_CONF ]] || configure
  alive "$folder/run/munged.pid" || munged --force --socket="$folder/run/munge.socket" \
    --key-file="$folder/munge/key" --pid-file="$folder/run/munged.pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
  alive "$folder/run/slurmctld.pid" || slurmctld
  # JAX takes the first node's name as the place where processes meet: it must mean this machine.
  for node in node1 node2; do
    alive "$folder/run/slurmd-$node.pid" || slurmd -N "$node"
    getent hosts "$node" >/dev/null || echo "127.0.0.1 $node  # tests of hpc/" >>/etc/hosts
  done
  for _ in $(seq 300); do
    ready=$(sinfo -h -N -p cpu -t idle,mix,alloc -o %N 2>/dev/null | wc -l) || ready=0
    [[ $ready -ge 2 ]] && exit 0
    sleep 0.1
  done
  echo "Slurm did not come up:" >&2
  tail -n 20 "$folder"/log/*.log >&2
  exit 1
  ;;
stop)
  alive "$folder/run/slurmctld.pid" && scancel --full --user=root 2>/dev/null
  # Nodes may only go once their jobs' processes have.
  for _ in $(seq 50); do
    [[ -z $(squeue -h -t running,completing 2>/dev/null) ]] && break
    sleep 0.1
  done
  end "$folder/run/slurmd-node1.pid"
  end "$folder/run/slurmd-node2.pid"
  end "$folder/run/slurmctld.pid"
  end "$folder/run/munged.pid"
  # Docker and the like mount /etc/hosts: it can be written into, not replaced.
  if hosts=$(grep -v '# tests of hpc/$' /etc/hosts); then printf '%s\n' "$hosts" >/etc/hosts; fi
  ;;
*)
  echo "usage: $0 start|stop FOLDER PORT" >&2
  exit 2
  ;;
esac
