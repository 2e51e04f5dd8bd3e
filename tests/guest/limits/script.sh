#!/bin/sh
# cgroup v2: the kubepods tree by QoS class, limits by kubelet's formulas, the OOM killer's victim named, and
# devices really confined.
. /put/lib.sh

drop limits.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: guaranteed}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    resources: {limits: {cpu: 500m, memory: 64Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: burstable}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    resources: {requests: {cpu: 250m, memory: 32Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: besteffort}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
Y
ready guaranteed; ready burstable; ready besteffort
G=$(cgroup_of guaranteed); B=$(cgroup_of burstable); E=$(cgroup_of besteffort)
check "guaranteed pods stand in kubepods itself" test "$(dirname "$G")" = /sys/fs/cgroup/kubepods
check "burstable pods stand in burstable" test "$(dirname "$B")" = /sys/fs/cgroup/kubepods/burstable
check "besteffort pods stand in besteffort" test "$(dirname "$E")" = /sys/fs/cgroup/kubepods/besteffort
is "pod memory.max" 67108864 "$(cat $G/memory.max)"
is "pod cpu.max" "50000 100000" "$(cat $G/cpu.max)"
is "pod cpu.weight" 20 "$(cat $G/cpu.weight)"
C=$(find $G -mindepth 1 -maxdepth 1 -type d)
is "container memory.max" 67108864 "$(cat $C/memory.max)"
is "container cpu.max" "50000 100000" "$(cat $C/cpu.max)"
is "container memory.oom.group" 1 "$(cat $C/memory.oom.group)"
is "burstable pod cpu.weight" 10 "$(cat $B/cpu.weight)"
is "burstable pod memory.max" max "$(cat $B/memory.max)"
is "besteffort cpu.weight" 1 "$(cat $E/cpu.weight)"
is "oom_score_adj of guaranteed" -997 "$(cat /proc/$(head -n 1 $C/cgroup.procs)/oom_score_adj)"
is "oom_score_adj of besteffort" 1000 "$(cat /proc/$(head -n 1 $E/*/cgroup.procs)/oom_score_adj)"

step "the OOM killer's victim"
drop oom.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: hungry}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'dd if=/dev/zero of=/dev/null bs=64M count=1']
    resources: {limits: {memory: 16Mi}}
Y
eventually 60 "the pod is shown as OOMKilled" status_is hungry OOMKilled

step "what is said for the pod as a whole (pod_level_resources.go)"
drop whole.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: whole}
spec:
  terminationGracePeriodSeconds: 1
  resources: {limits: {cpu: 500m, memory: 64Mi}, requests: {cpu: 250m, memory: 32Mi}}
  containers:
  - name: own
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    resources: {limits: {memory: 16Mi, ephemeral-storage: 1Gi}}
  - name: rest
    image: berth.test/busybox:1
    command: [sleep, "100000"]
Y
ready whole
W=$(cgroup_of whole)
check "its class follows from it" test "$(dirname "$W")" = /sys/fs/cgroup/kubepods/burstable
is "pod memory.max" 67108864 "$(cat $W/memory.max)"
is "pod cpu.max" "50000 100000" "$(cat $W/cpu.max)"
is "containers: the own limit, or the pod's" "16777216 67108864" "$(cat $W/*/memory.max | sort -n | tr '\n' ' ' | sed 's/ $//')"
rm $M/whole.yaml; gone whole

step "devices"
is "null device works" "" "$(berth exec guaranteed -- sh -c 'echo x >/dev/null')"
berth exec guaranteed -- mknod /tmp/vda b 254 0; is "mknod of a disk is denied" 1 $?
rm $M/*.yaml
gone guaranteed; gone burstable; gone besteffort; gone hungry
nothing_left
