#!/bin/sh
# A kernel without one of the controllers, and without pressure information: pods run without those limits, keep the
# others, and say so for as long as they run; that memory runs short is seen all the same, with the rescan.
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
check "top counts what its processes have" sh -c 'berth top pods --no-headers | grep -q "^limited.* [0-9]*Mi$"'
kill -9 "$(agent_pid)"
eventually 20 "Berth is back" berth get pods
is "a new agent knows it too" False "$(enforced)"
is "same process" "$P" "$(cat "$C/cgroup.procs")"

step "memory, seen by the rescan and weighed by its processes"
check "doctor says that the kernel does not tell" sh -c 'berth doctor | grep -i psi | grep -q "slow rescan"'
check "so does an event" sh -c 'berth get events | grep -q "NoPressureInformation.*fileCheckFrequency"'
# In a buffer of dd's that nobody takes: memory of its own, not of a file.
drop eater.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: eater}
spec:
  restartPolicy: Never
  volumes: [{name: marks, hostPath: {path: /tmp/marks, type: DirectoryOrCreate}}]
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'until [ -e /marks/go ]; do sleep 0.1; done; dd if=/dev/zero bs=40M | sleep 100000']
    volumeMounts: [{name: marks, mountPath: /marks}]
Y
ready eater
AVAILABLE=$(awk '/^MemFree:|^Inactive\(file\):/ { sum += $2 } END { print int(sum / 1024) }' /proc/meminfo)
cat >/etc/berth/config.yaml <<Y
fileCheckFrequency: 1s
evictionHard: {memory.available: $((AVAILABLE - 20))Mi}
Y
kill -9 "$(agent_pid)"; serves
touch /tmp/marks/go
eventually 60 "who eats it is evicted" sh -c 'berth get events --for eater | grep -q "Evicted.*low on resource: memory"'
eventually 20 "for good: it is never to be restarted" status_is eater Evicted
is "the other one is the same process" "$P" "$(cat "$C/cgroup.procs")"
rm $M/eater.yaml $M/limited.yaml; gone eater; gone limited
nothing_left
