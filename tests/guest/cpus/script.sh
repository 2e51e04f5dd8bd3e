#!/bin/sh
# kubelet's static CPU manager (cpu_manager_test.go): who asks for whole CPUs has them to itself, without a limit of their
# time; all others are moved away and come back; over an agent that is killed and one without the policy.
. /put/lib.sh

# pod NAME RESOURCES
pod() { cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    resources: $2
Y
}
configured() { cat >/etc/berth/config.yaml; kill -9 "$(agent_pid)"; serves; }
# allowed POD: where its first process may run, as the kernel says.
allowed() { berth exec "$1" -- sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/1/status; }
runs_on() { [ "$(allowed "$1")" = "$2" ]; }
container_of() { find "$(cgroup_of "$1")" -mindepth 1 -maxdepth 1 -type d; }
started() { berth get pod "$1" -o yaml | sed -n 's/^[- ]*containerID: //p'; }

is "CPUs" 2 "$(nproc)"
step "without the policy"
pod shared '{}' | drop shared.yaml; ready shared
is "everywhere" 0-1 "$(allowed shared)"
ID=$(started shared)
is "no processors are given to the tree" "" "$(tr ' ' '\n' <"$(cgroup_of shared)/cgroup.subtree_control" | grep cpuset)"

step "with it; what runs already is taken in"
configured <<'Y'
cpuManagerPolicy: static
reservedSystemCPUs: "0"
Y
is "one CPU is for pods" 1 "$(berth get node -o yaml | sed -n '/^  allocatable:/,/^  [a-z]/s/^    cpu: "*\([0-9m]*\)"*$/\1/p')"
eventually 20 "it has the shared ones" sh -c "[ \"\$(cat $(container_of shared)/cpuset.cpus)\" = 0-1 ]"
is "everywhere still" 0-1 "$(allowed shared)"

step "a whole one for a Guaranteed pod"
pod own '{limits: {cpu: "1", memory: 32Mi}}' | drop own.yaml; ready own
is "its own" 1 "$(allowed own)"
is "the others are elsewhere" 0 "$(allowed shared)"
is "so are processes that come to them" 0 "$(berth exec shared -- sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)"
is "no limit of its time" "max 100000" "$(cat "$(container_of own)/cpu.max")"
is "nor of its pod's" "max 100000" "$(cat "$(cgroup_of own)/cpu.max")"
check "it is shown" sh -c 'berth describe pod own | grep -q "CPUs: *1, to itself"'
is "who ran runs on" "$ID" "$(started shared)"
# Best effort: there is no CPU time left to ask for.
pod late '{}' | drop late.yaml; ready late
is "who comes later shares" 0 "$(allowed late)"
pod second '{limits: {cpu: "1", memory: 32Mi}}' | drop second.yaml
eventually 20 "a second one waits" status_is second OutOfcpu

step "an agent that is killed"
OWN=$(started own)
kill -9 "$(agent_pid)"; serves
ready own; ready shared; ready late
is "its own" 1 "$(allowed own)"
is "the others are elsewhere" 0 "$(allowed shared)"
is "and later ones" 0 "$(allowed late)"
is "nothing was started anew" "$ID $OWN" "$(started shared) $(started own)"

step "its CPU time is not changed in place"
pod own '{limits: {cpu: 500m, memory: 32Mi}}' | drop own.yaml
eventually 20 "kubelet's words" sh -c 'berth get events --for own | grep -q "ResizeInfeasible.*Resize is infeasible for Guaranteed Pods alongside CPU Manager policy \"static\""'
is "its own still" 1 "$(allowed own)"

step "it goes, and the next one has it"
rm $M/own.yaml; gone own
ready second
is "its own" 1 "$(allowed second)"
is "the others stay away" 0 "$(allowed shared)"
rm $M/second.yaml; gone second
eventually 20 "the others are back" runs_on shared 0-1
eventually 20 "all of them" runs_on late 0-1
is "who ran runs on" "$ID" "$(started shared)"

step "without the policy again"
pod own '{limits: {cpu: "1", memory: 32Mi}}' | drop own.yaml; ready own
is "the others are elsewhere" 0 "$(allowed shared)"
configured </dev/null
eventually 20 "everywhere" runs_on shared 0-1
eventually 20 "it, too" runs_on own 0-1
eventually 20 "with its limit" sh -c "[ \"\$(cat $(container_of own)/cpu.max)\" = '100000 100000' ]"
is "who ran runs on" "$ID" "$(started shared)"
step "and with it: it gets its own again as it runs"
OWN=$(started own)
configured <<'Y'
cpuManagerPolicy: static
systemReserved: {cpu: 100m}
Y
eventually 20 "its own" runs_on own 1
eventually 20 "the others are elsewhere" runs_on shared 0
is "it runs on" "$OWN" "$(started own)"
rm $M/*.yaml
gone own; gone shared; gone late
nothing_left
