#!/usr/bin/env bash
# oar.sh start|stop FOLDER PORT: an OAR of two nodes on this machine, for tests. Needs root.
#
# The database lies in FOLDER, listens on PORT and is thrown away; /etc/oar/oar.conf, two names in
# /etc/hosts and the user `student`, who submits as OAR lets root not, are put back by stop. Only
# processes whose numbers were written down are ended.
#   su student -c 'cd CHECKOUT && oarsub -S ./hpc/oar/train.oar'
set -euo pipefail
PATH=/usr/sbin:/sbin:$PATH
action=${1:?start or stop} folder=${2:?a folder} port=${3:-0}

# OAR's user must reach Python, which may lie in root's own folder. A mount namespace of the
# daemons shows that folder with nothing in it but Python; outside nothing changes.
if [[ $action = start && -n ${PYTHON_PREFIX:-} && $PYTHON_PREFIX = /root/* && -z ${OAR_INSIDE:-} ]]; then
  export OAR_INSIDE=yes
  exec unshare --mount --propagation private "$0" "$@"
fi

alive() { [[ -s $1 ]] && kill -0 "$(head -n 1 "$1")" 2>/dev/null; }

end() {
  alive "$1" || return 0
  local pid
  pid=$(head -n 1 "$1")
  kill "${2:--TERM}" "$pid" 2>/dev/null || true
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
}

postgres() { echo /usr/lib/postgresql/*/bin/"$1"; }

show_python() {
  mkdir -p "$folder/python"
  mount --bind "$PYTHON_PREFIX" "$folder/python"
  mount -t tmpfs -o mode=755,size=1m tmpfs /root
  mkdir -p "$PYTHON_PREFIX"
  mount --bind "$folder/python" "$PYTHON_PREFIX"
}

case $action in
start)
  mkdir -p "$folder"
  chmod 755 "$folder"
  [[ -z ${OAR_INSIDE:-} ]] || show_python
  [[ -e $folder/oar.conf ]] || cp -p /etc/oar/oar.conf "$folder/oar.conf"
  mkdir "$folder/pg"
  chown postgres "$folder/pg"
  su postgres -c "$(postgres initdb) -D $folder/pg -U postgres -A trust" >"$folder/initdb.log"
  su postgres -c "$(postgres pg_ctl) -D $folder/pg -w -l $folder/pg/log -o '-p $port -k $folder/pg -c listen_addresses=127.0.0.1 -c fsync=off' start" >/dev/null
  # Without cgroups there are no cpusets to put jobs into.
  sed "s/^DB_PORT=.*/DB_PORT=\"$port\"/; s/^DB_BASE_PASSWD=.*/DB_BASE_PASSWD=\"oar\"/
    s/^DB_BASE_PASSWD_RO=.*/DB_BASE_PASSWD_RO=\"oar_ro\"/
    s/^JOB_RESOURCE_MANAGER_PROPERTY_DB_FIELD/#&/" "$folder/oar.conf" >/etc/oar/oar.conf
  oar-database --create --db-admin-user=postgres --db-admin-pass=x -y >"$folder/db.log" 2>&1
  id student >/dev/null 2>&1 || { useradd --create-home --home-dir "$folder/home" --shell /bin/bash student; touch "$folder/student"; }
  for node in node1 node2; do
    getent hosts "$node" >/dev/null || echo "127.0.0.1 $node  # tests of hpc/" >>/etc/hosts
  done
  mkdir -p /run/sshd
  # OAR's daemons log in to the nodes with its own sshd.
  { grep -v UsePrivilegeSeparation /etc/oar/sshd_config; printf 'ListenAddress 127.0.0.1\nPidFile %s/sshd.pid\n' "$folder"; } >"$folder/sshd_config"
  /usr/sbin/sshd -f "$folder/sshd_config"
  # The properties that OAR's own oar_resources_init gives, and those of GPUs as sites add them.
  for property in cpu core gpudevice; do oarproperty -a "$property" >/dev/null; done
  oarproperty -a gpumodel -c >/dev/null
  core=0
  for node in 1 2; do
    for _ in 1 2 3 4; do
      core=$((core + 1))
      oarnodesetting -a -h "node$node" -p cpu="$node" -p core="$core" -p gpudevice="$(((core + 1) / 2))" -p gpumodel=V100 >/dev/null
    done
  done
  /etc/init.d/oar-server start >"$folder/server.log" 2>&1
  for _ in $(seq 150); do
    [[ $(oarnodes -s 2>/dev/null | grep -c Alive) -ge 8 ]] && exit 0
    sleep 0.1
  done
  echo "OAR did not come up:" >&2
  tail -n 20 /var/log/oar.log >&2
  exit 1
  ;;
stop)
  # Jobs first, so that nothing of the user's is left when the user goes.
  if jobs=$(su oar -s /bin/bash -c 'oarstat' 2>/dev/null | awk '$1 ~ /^[0-9]+$/ { print $1 }') && [[ -n $jobs ]]; then
    # shellcheck disable=SC2086  # a list of numbers
    oardel $jobs >/dev/null 2>&1 || true
    for _ in $(seq 50); do
      [[ -z $(oarstat 2>/dev/null | awk '$1 ~ /^[0-9]+$/') ]] && break
      sleep 0.2
    done
  fi
  end /run/oar-server.pid
  end "$folder/sshd.pid"
  end "$folder/pg/postmaster.pid" -INT
  [[ ! -e $folder/oar.conf ]] || cp -p "$folder/oar.conf" /etc/oar/oar.conf
  if [[ -e $folder/student ]]; then userdel --remove student 2>/dev/null || true; fi
  if hosts=$(grep -v '# tests of hpc/$' /etc/hosts); then printf '%s\n' "$hosts" >/etc/hosts; fi
  ;;
*)
  echo "usage: $0 start|stop FOLDER PORT" >&2
  exit 2
  ;;
esac
