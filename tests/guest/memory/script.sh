#!/bin/sh
# What the configuration has the kernel do with pods' memory and processes, in effect: throttled at memory.high, kept by
# memory.min and memory.low, swapped as far as they may, no more processes than podPidsLimit (swap_test.go,
# memory_qos_test.go, pids_test.go).
. /put/lib.sh

MIB=1048576
PAGE=4096
# pod NAME RESOURCES COMMAND…
pod() { name=$1; resources=$2; shift 2; drop "$name.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: $name}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, "$*"]
    resources: $resources
Y
}
# holds MIB: a command that fills so much memory and keeps it; what it would write nobody reads.
holds() { echo "mkfifo /f; sleep 100000 </f & exec dd if=/dev/zero of=/f bs=${1}M count=1"; }
container_of() { find "$(cgroup_of "$1")" -mindepth 1 -maxdepth 1 -type d; }
events() { sed -n "s/^$2 //p" "$1/$3.events"; }
happened() { [ "$(events "$1" "$2" "$3")" -gt 0 ]; }
configured() { cat >/etc/berth/config.yaml; if [ -n "$(agent_pid)" ]; then kill -9 "$(agent_pid)"; else /etc/init.d/berth start; fi; serves; }

dd if=/dev/zero of=/var/swap bs=1M count=384 2>/dev/null
mkswap /var/swap >/dev/null
check "the node has swap" swapon /var/swap
total=$(awk '/^MemTotal:/ { print $2 * 1024 }' /proc/meminfo); swap=$(awk '/^SwapTotal:/ { print $2 * 1024 }' /proc/meminfo)

step "processes (podPidsLimit)"
configured <<'Y'
podPidsLimit: 40
memoryQos: true
memoryThrottlingFactor: 0.5
memoryReservationPolicy: TieredReservation
memorySwap: {swapBehavior: LimitedSwap}
evictionHard: {memory.available: 0%}
Y
# The one that cannot fork any more ends; the first process stays, with all the others.
pod bomb '{}' '(while :; do sleep 100000 & done) 2>/dev/null; echo held; exec sleep 100000'
ready bomb
P=$(cgroup_of bomb)
is "pids.max" 40 "$(cat "$P/pids.max")"
# Kernels before 6.11 count it where the process was, not where the limit is.
held() { cat "$1"/pids.events "$1"/*/pids.events | grep -q '^max [1-9]'; }
eventually 30 "it is held there" held "$P"
eventually 10 "and lives" sh -c 'berth logs bomb | grep -q held'
check "it has no more" [ "$(cat "$P/pids.current")" -le 40 ]
is "the pod runs" Running "$(column bomb 3)"
pod next '{}' 'exec sleep 100000'
ready next
rm $M/bomb.yaml $M/next.yaml; gone bomb; gone next

step "who asks for memory has it kept: the pod, its class and all above (memory.min, memory.low)"
pod whole '{limits: {cpu: 100m, memory: 48Mi}}' "$(holds 40)"
pod part '{requests: {memory: 32Mi}, limits: {memory: 48Mi}}' "$(holds 24)"
ready whole; ready part
K=/sys/fs/cgroup/kubepods
is "guaranteed" "$((48 * MIB)) 0" "$(cat "$(cgroup_of whole)/memory.min" "$(cgroup_of whole)/memory.low" | tr '\n' ' ' | sed 's/ $//')"
is "its container" $((48 * MIB)) "$(cat "$(container_of whole)/memory.min")"
is "burstable" "0 $((32 * MIB))" "$(cat "$(cgroup_of part)/memory.min" "$(cgroup_of part)/memory.low" | tr '\n' ' ' | sed 's/ $//')"
is "its container" $((32 * MIB)) "$(cat "$(container_of part)/memory.low")"
is "the burstable ones" $((32 * MIB)) "$(cat $K/burstable/memory.low)"
is "all pods" "$((48 * MIB)) $((32 * MIB))" "$(cat $K/memory.min $K/memory.low | tr '\n' ' ' | sed 's/ $//')"
full() { [ "$(cat "$(container_of "$1")/memory.current")" -ge $(($2 * MIB)) ]; }
eventually 30 "both have theirs" full whole 40
eventually 30 "both have theirs" full part 24

step "swap for who may have some, and only a share (LimitedSwap)"
is "guaranteed: none" 0 "$(cat "$(container_of whole)/memory.swap.max")"
share=$((32 * MIB * swap / total / PAGE * PAGE))
is "burstable: the share of the node's swap that its request is of the memory" $share "$(cat "$(container_of part)/memory.swap.max")"
# 2 MiB more than its limit, the last ones one by one: what is still being written to a slow disk counts for both, and who
# asks for much at once is killed before it is there.
FILLS='n=0; while [ $n -lt 50 ]; do dd if=/dev/zero bs=1M count=1 2>/dev/null; [ $n -lt 38 ] || usleep 200000; n=$((n + 1)); done'
pod swaps '{requests: {memory: 47Mi}, limits: {memory: 48Mi}}' "($FILLS; exec sleep 100000) | dd of=/dev/null bs=60M iflag=fullblock count=1"
ready swaps
C=$(container_of swaps)
has_beyond() { [ $(($(cat "$1/memory.current") + $(cat "$1/memory.swap.current"))) -ge "$2" ]; }
eventually 60 "it has more than its limit" has_beyond "$C" $((50 * MIB))
is "and nobody was killed" 0 "$(events "$C" oom_kill memory)"
pod dies '{limits: {cpu: 100m, memory: 48Mi}}' "$(holds 52)"
eventually 60 "guaranteed: it is killed" status_is dies OOMKilled
is "it runs" Running "$(column swaps 3)"

step "the node as a whole runs short: what is kept for a pod stays its own, and another one's goes"
swapoff /var/swap
for name in swaps dies part; do rm $M/$name.yaml; gone $name; done
READS='head -c 25000000 /dev/zero >/f; exec sleep 100000'
pod kept '{limits: {cpu: 500m, memory: 40Mi}}' "$READS"
pod loses '{}' "$READS"
ready kept; ready loses
cached_mib() { echo $(($(sed -n 's/^file //p' "$1/memory.stat") / MIB)); }
has() { [ "$(cached_mib "$1")" -ge "$2" ]; }
ONE=$(container_of kept); OTHER=$(container_of loses)
eventually 30 "one has its file in memory" has "$ONE" 23
eventually 30 "so has the other" has "$OTHER" 23
sync
mkdir /tmp/hog; mount -t tmpfs -o size=100% hog /tmp/hog
# What is free first, then step by step what others have.
head -c "$(awk '/^MemFree:/ { print $2 * 1024 }' /proc/meminfo)" /dev/zero >/tmp/hog/free
steps=0
while has "$OTHER" 12 && [ $steps -lt 60 ] && head -c $((4 * MIB)) /dev/zero >>/tmp/hog/more; do steps=$((steps + 1)); done
echo "in memory: kept $(cached_mib "$ONE") MiB, loses $(cached_mib "$OTHER") MiB, after $steps times 4 MiB"
check "for the one nothing is kept" [ "$(cached_mib "$OTHER")" -lt 12 ]
check "for the other it is" [ "$(cached_mib "$ONE")" -ge 20 ]
umount /tmp/hog; rm $M/kept.yaml $M/loses.yaml
gone kept; gone loses

step "who comes near its limit is slowed down, and lives (memory.high)"
configured <<'Y'
memoryQos: true
memoryThrottlingFactor: 0.5
Y
pod slow '{requests: {memory: 16Mi}, limits: {memory: 48Mi}}' "$(holds 40)"
ready slow
C=$(container_of slow)
is "half of the way" $((32 * MIB)) "$(cat "$C/memory.high")"
eventually 60 "it is above" happened "$C" high memory
is "nobody was killed" 0 "$(events "$C" oom_kill memory)"
is "it runs" Running "$(column slow 3)"
is "guaranteed ones are left alone" max "$(cat "$(container_of whole)/memory.high")"
rm $M/slow.yaml; gone slow
is "without a reservation nothing is kept for who comes now" 0 "$(cat $K/memory.min)"
rm $M/*.yaml
gone whole
nothing_left
