#!/bin/sh
# A node that runs short of memory, then of disk: who uses most goes, with kubelet's words, and comes back when that has
# been over; critical pods never go (system_node_critical_test.go, eviction_test.go).
. /put/lib.sh

# pod NAME PRIORITY-CLASS MORE-OF-THE-CONTAINER COMMANDS: what it does once /marks/NAME is there; the second time it only is.
pod() { cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 1
  $2
  volumes: [{name: ram, emptyDir: {medium: Memory}}, {name: data, emptyDir: {}}, {name: marks, hostPath: {path: /tmp/marks}}]
  containers:
  - name: main
    image: berth.test/busybox:1
    command:
    - sh
    - -c
    - |
      if [ -e /marks/was-$1 ]; then exec sleep 100000; fi
      until [ -e /marks/$1 ]; do sleep 0.1; done
      touch /marks/was-$1
      $4
      touch /marks/done-$1
      exec sleep 100000
    volumeMounts: [{name: ram, mountPath: /ram}, {name: data, mountPath: /data}, {name: marks, mountPath: /marks}]
    $3
Y
}
condition() { berth get node -o json | tr -d ' \n' | sed -n "s/.*\"status\":\"\([A-Za-z]*\)\",\"type\":\"$1\".*/\1/p"; }
phase() { berth get pod "$1" -o yaml | sed -n 's/^  phase: //p'; }
memory_mib() { awk '/^MemFree:|^Inactive\(file\):/ { sum += $2 } END { print int(sum / 1024) }' /proc/meminfo; }
disk_mib() { df -m /var/lib/berth | awk 'END { print $4 }'; }
# configured: the agent reads its configuration anew; pods do not notice.
configured() { cat >/etc/berth/config.yaml; kill -9 "$(agent_pid)"; serves; }
# Nothing is read anew for an hour: what is seen of memory the kernel tells.
REST='fileCheckFrequency: 1h
evictionPressureTransitionPeriod: 5s'

mkdir -p /tmp/marks
check "the kernel tells when memory runs short" test -e /proc/pressure/memory
pod vital 'priorityClassName: system-node-critical' '' 'head -c 60000000 /dev/zero >/ram/f; head -c 40000000 /dev/zero >/data/f' | drop vital.yaml
pod hungry '' 'resources: {requests: {memory: 1Mi}, limits: {memory: 72Mi}}' \
    'head -c 20000000 /dev/zero >/data/f; head -c 60000000 /dev/zero >/ram/f; while :; do cat /data/f >/dev/null; done' | drop hungry.yaml
pod writer '' '' 'head -c 30000000 /dev/zero >/data/f; sync' | drop writer.yaml
ready vital; ready hungry; ready writer
touch /tmp/marks/vital
eventually 60 "the critical pod has taken its share" test -e /tmp/marks/done-vital
is "no pressure" "False False False" "$(condition MemoryPressure) $(condition DiskPressure) $(condition PIDPressure)"

step "memory"
configured <<Y
$REST
evictionHard: {memory.available: $(($(memory_mib) - 30))Mi}
Y
touch /tmp/marks/hungry
eventually 60 "who eats it is evicted" sh -c 'berth get events --for hungry | grep -q "Evicted.*The node was low on resource: memory. Threshold quantity: [0-9]*Ki, available: [0-9]*Ki. Container main was using [0-9]*Ki, request is 1Mi, has larger consumption of memory."'
pod late '' '' : | drop late.yaml
eventually 20 "a pod that asks for nothing waits" status_is late MemoryPressure
eventually 20 "the evicted one is shown so" status_is hungry Evicted
is "phase" Failed "$(phase hungry)"
is "the node says it" True "$(condition MemoryPressure)"
check "and tells it" sh -c 'berth get events | grep -q NodeHasInsufficientMemory'
check "when it begins anew is said" sh -c 'berth get pod hungry -o yaml | grep -q "begins anew when nothing has caused MemoryPressure for 5 s"'
ready late
is "it is over" False "$(condition MemoryPressure)"
rm $M/hungry.yaml $M/late.yaml; gone hungry; gone late

step "disk"
configured <<Y
fileCheckFrequency: 1s
evictionPressureTransitionPeriod: 5s
evictionHard: {nodefs.available: $(($(disk_mib) - 15))Mi, imagefs.available: 0%}
Y
touch /tmp/marks/writer
eventually 60 "who wrote is evicted" sh -c 'berth get events --for writer | grep -q "Evicted.*The node was low on resource: ephemeral-storage. Threshold quantity"'
eventually 20 "images were to go first" sh -c 'berth get events | grep -q "Attempting to reclaim ephemeral-storage"'
pod late '' 'resources: {requests: {memory: 1Mi}}' : | drop late.yaml
eventually 20 "nobody begins meanwhile who is not critical" status_is late DiskPressure
eventually 20 "the evicted one is shown so" status_is writer Evicted
ready late; ready writer
is "restarts of who is critical" 0 "$(column vital 4)"
is "what it has" 40000000 "$(stat -c %s "/var/lib/berth/pods/$(uid_of vital)/volumes/data/f")"

step "a soft threshold: who wrote has time to end, but no more than is allowed"
rm $M/writer.yaml; gone writer
rm /tmp/marks/*writer
pod writer 'terminationGracePeriodSeconds: 600' '' 'trap "touch /marks/asked" TERM; head -c 30000000 /dev/zero >/data/f & while :; do usleep 100000; done' | sed '/terminationGracePeriodSeconds: 1$/d' | drop writer.yaml
ready writer
configured <<Y
fileCheckFrequency: 1s
evictionPressureTransitionPeriod: 5s
evictionHard: {nodefs.available: 1Mi, imagefs.available: 0%}
evictionSoft: {nodefs.available: $(($(disk_mib) - 15))Mi}
evictionSoftGracePeriod: {nodefs.available: 2s}
evictionMaxPodGracePeriod: 5
Y
touch /tmp/marks/writer
eventually 60 "it is evicted" sh -c 'berth get events --for writer | grep -q "Evicted.*The node was low on resource: ephemeral-storage. Threshold quantity"'
eventually 20 "it was asked to end" test -e /tmp/marks/asked
eventually 20 "and is shown so, long before its own grace is over" status_is writer Evicted
ready writer
sed -i 's/terminationGracePeriodSeconds: 600/terminationGracePeriodSeconds: 1/' $M/writer.yaml
eventually 20 "it has less time now" sh -c 'berth get pod writer -o yaml | grep -q "terminationGracePeriodSeconds: 1$"'
rm $M/*.yaml
gone vital; gone writer; gone late
nothing_left
