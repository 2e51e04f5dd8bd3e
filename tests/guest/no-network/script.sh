#!/bin/sh
# A kernel without bridges and nf_tables: doctor and pods say what it lacks, and pods on the node's network run. With a
# bridge and without nf_tables pods run, and those wait that cannot do without.
. /put/lib.sh

# pod NAME MORE-OF-THE-SPEC MORE-OF-THE-CONTAINER
pod() { cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 0
  $2
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    $3
Y
}
# says POD WORDS: why it waits; told POD WORDS: what it goes without.
says() { eventually 60 "$1 says: $2" sh -c "berth get pod $1 -o yaml | grep -q 'network is not ready: .*$2'"; }
told() { eventually 30 "$1 is told: $2" sh -c "berth get events --for $1 | grep NetworkLimited | grep -q '$2'"; }
# finds FINDING WORDS
finds() { check "doctor finds $1: $2" sh -c "berth doctor -o json | tr -d '\n' | tr '{' '\n' | grep '\"$1\"' | grep '\"warn\"' | grep -q '$2'"; }

check "there is no bridge" sh -c '! ip link add b0 type bridge 2>/dev/null'
finds network CONFIG_BRIDGE
finds packet-rules CONFIG_NF_TABLES_INET
finds own-addresses CONFIG_NF_TABLES_BRIDGE

step "without bridges"
pod host 'hostNetwork: true' | drop host.yaml
pod own '' | drop own.yaml
pod port '' 'ports: [{containerPort: 80, hostPort: 8080}]' | drop port.yaml
ready host
says own 'no bridge: load the module, or build the kernel with CONFIG_BRIDGE;'
says port CONFIG_BRIDGE
P=$(berth get pod host -o json | grep -o '"containerID": *"[^"]*"')

step "with a bridge, and without nf_tables"
insmod /lib/modules/bridge.ko
check "it can be made now" sh -c 'ip link add b0 type bridge && ip link del b0'
ready own 120s
told own CONFIG_NF_TABLES_INET
says port 'no hostPort: .*CONFIG_NF_TABLES_INET'
check "the pod reaches the node" berth exec own -- ping -c 1 -W 5 10.86.0.1
is "the one on the node's network is the same" "$P" "$(berth get pod host -o json | grep -o '"containerID": *"[^"]*"')"
rm $M/*.yaml; gone own; gone port; gone host
nothing_left
