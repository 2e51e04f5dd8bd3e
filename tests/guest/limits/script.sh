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

step "what pods use (summary_test.go, resource_metrics_test.go)"
drop busy.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: burner}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'while :; do :; done']
    resources: {limits: {cpu: 200m}}
  - {name: idle, image: berth.test/busybox:1, command: [sleep, "100000"]}
---
apiVersion: v1
kind: Pod
metadata: {name: holder}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'head -c 20971520 /dev/zero >/dev/shm/held; echo 5 >/disk/five; sleep 100000']
    volumeMounts: [{name: disk, mountPath: /disk}]
    readinessProbe: {exec: {command: [sh, -c, 'test -e /disk/five']}, periodSeconds: 1}
  volumes: [{name: disk, emptyDir: {}}]
Y
ready burner; ready holder
# used NAME: of the pod as a whole, whose own numbers come after its containers'.
used() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" /tmp/top | tail -n 1; }
within() { [ "$2" -ge "$1" ] && [ "$2" -le "$3" ]; }
stat_of() { sed -n "s/^$2 //p" "$1"; }
P=$(cgroup_of burner)
before=$(stat_of "$P/cpu.stat" usage_usec)
berth top pod burner --interval 3s -o json >/tmp/top
after=$(stat_of "$P/cpu.stat" usage_usec)
cores=$(used usageNanoCores); window=$(used windowNanoSeconds); last=$(($(used usageCoreNanoSeconds) / 1000))
first=$((last - cores / 1000 * (window / 1000) / 1000000))
echo "burner: $cores billionths of a processor over $window ns"
check "the window is what was asked for, or longer" [ "$window" -ge 3000000000 ]
check "the readings are the cgroup's, one after the other" within "$before" "$last" "$after"
# Rounded to microseconds twice.
check "and the rate is what lies between them" within "$((before - 10))" "$first" "$last"
check "it burns about as much as it may" within 50000000 "$cores" 250000000
check "its container is held back" grep -q '"throttledNanoSeconds": [1-9]' /tmp/top
berth top pods burner --containers
is "one of its containers does it" main "$(berth top pods burner --containers --sort-by cpu --no-headers | awk 'NR == 1 { print $2 }')"
P=$(cgroup_of holder)
berth top pod holder --interval 100ms -o json >/tmp/top
bytes=$(($(cat "$P/memory.current") - $(stat_of "$P/memory.stat" inactive_file)))
set=$(used workingSetBytes)
echo "holder: $set bytes, its cgroup: $bytes"
check "what is held is seen" [ "$set" -ge 20971520 ]
check "and is what the cgroup has" within $((bytes - 1048576)) "$set" $((bytes + 1048576))
check "processes are counted" [ "$(used process_count)" -ge 1 ]
check "so is what lies on the disk" [ "$(used usedBytes)" -ge 4096 ]
check "and what stalls" grep -q '"avg10"' /tmp/top
berth top pods -A -o wide
is "the most memory comes first" holder "$(berth top pods --sort-by memory --no-headers | awk 'NR == 1 { print $1 }' | sed 's/-[^-]*$//')"
berth top node -o wide
berth top node -o json >/tmp/top
total=$(awk '/^MemTotal:/ { print $2 * 1024 }' /proc/meminfo)
check "the node uses some of its memory" within 20971520 "$(used workingSetBytes)" "$total"
check "of so much for pods" grep -q '"allocatable"' /tmp/top
rm $M/busy.yaml; gone burner; gone holder

step "devices"
is "null device works" "" "$(berth exec guaranteed -- sh -c 'echo x >/dev/null')"
berth exec guaranteed -- mknod /tmp/vda b 254 0; is "mknod of a disk is denied" 1 $?
rm $M/*.yaml
gone guaranteed; gone burstable; gone besteffort; gone hungry
nothing_left
