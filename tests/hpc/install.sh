#!/usr/bin/env bash
# Install what the tests marked `cluster` need from Debian: Slurm, OAR with its database, shellcheck.
# Nothing is started here; the tests start and stop the daemons.
set -euo pipefail

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
PATH=/usr/sbin:/sbin:$PATH
need slurmctld slurmctld
need slurmd slurmd
need sbatch slurm-client
need munged munge
need oarsub oar-user
need oarnodesetting oar-server
need sshd openssh-server
need shellcheck shellcheck
[[ -e /etc/oar/job_resource_manager.pl || -e /etc/oar/sshd_config ]] || missing+=(oar-node)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
# OAR reaches its database through one driver for the server and one for the commands.
dpkg -s oar-server-pgsql >/dev/null 2>&1 || missing+=(oar-server-pgsql)
dpkg -s oar-user-pgsql >/dev/null 2>&1 || missing+=(oar-user-pgsql)
((${#missing[@]})) || exit 0

if ! command -v apt-get >/dev/null || [[ $(id -u) != 0 ]]; then
  echo "these Debian packages are missing: ${missing[*]}; install them as root, or leave out the tests with -m 'not cluster'" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# No daemon of theirs is to start now, nor a database cluster to be made.
mkdir -p /etc/postgresql-common
[[ -e /etc/postgresql-common/createcluster.conf ]] \
  || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "apt-get could not install ${missing[*]}" >&2
  exit 1
fi
rm -f "$log"
