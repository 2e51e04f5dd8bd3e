#!/bin/sh
# A kernel without one of the controllers: pods run without those limits, keep the others, and say so for as
# long as they run.
. /put/lib.sh

check "the memory controller is missing" sh -c '! grep -qw memory /sys/fs/cgroup/cgroup.controllers'
check "doctor says so" sh -c 'berth doctor | grep -i controllers | grep -q memory'
drop limited.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: limited}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    resources: {limits: {cpu: 500m, memory: 64Mi}}
Y
ready limited
C=$(find "$(cgroup_of limited)" -mindepth 1 -maxdepth 1 -type d)
is "the limit that the kernel has" "50000 100000" "$(cat $C/cpu.max)"
check "the other one is not there" test ! -e "$C/memory.max"
enforced() { berth get pod limited -o json | tr -d ' \n' | sed -n 's/.*"type":"SpecEnforced"[^}]*"status":"\([A-Za-z]*\)".*/\1/p;s/.*"status":"\([A-Za-z]*\)","type":"SpecEnforced".*/\1/p'; }
is "the pod's condition" False "$(enforced)"
check "describe says what and why" sh -c 'berth describe pod limited | grep SpecEnforced | grep -q "controller memory is not available"'
check "and so does an event" sh -c 'berth get events | grep NotEnforced | grep -q "controller memory"'
P=$(cat "$C/cgroup.procs")
kill -9 "$(agent_pid)"
eventually 20 "Berth is back" berth get pods
is "a new agent knows it too" False "$(enforced)"
is "same process" "$P" "$(cat "$C/cgroup.procs")"
rm $M/limited.yaml; gone limited
nothing_left
