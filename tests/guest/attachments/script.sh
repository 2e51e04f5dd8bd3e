#!/bin/sh
# Interfaces of the node for pods: the interface itself, which comes back; macvlan, ipvlan and VLAN on top of one; over
# agents that are killed.
. /put/lib.sh

# pod NAME ATTACHMENTS
pod() { cat <<Y
apiVersion: v1
kind: Pod
metadata:
  name: $1
  annotations:
    berth/attachments: "$2"
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
Y
}
pings() { berth exec "$1" -- ping -c 1 -W 5 "$2" >/dev/null; }
eth_of() { berth exec "$1" -- ls /sys/class/net | sort | tr '\n' ' '; }
says() { eventually 60 "$1 says: $2" sh -c "berth get pod $1 -o yaml | grep -qF '$2'"; }

# The factory: two wires, whose other ends are in a namespace of their own, with a machine each; on the second wire is a
# virtual network with one more.
unshare -n sleep 100000 & world=$!
eventually 10 "there is a factory" sh -c "[ \"\$(readlink /proc/$world/ns/net)\" != \"\$(readlink /proc/self/ns/net)\" ]"
out() { nsenter -t $world -n "$@"; }
out ip link set lo up
for n in 1 2; do
    ip link add nic$n type veth
    peer=$(ip -o link | sed -n "s/^[0-9]*: \(veth[0-9]*\)@nic$n.*/\1/p")
    ip link set "$peer" netns $world
    ip link set nic$n up
    out ip link set "$peer" name far$n
    out ip link set far$n up
    out ip addr add 192.0.$n.1/24 dev far$n
done
out ip link add link far2 name plc type vlan id 5
out ip link set plc up; out ip addr add 192.0.5.1/24 dev plc

step "the interface itself goes to a pod, and the node is without it"
pod bus '[{interface: nic1, name: field, addresses: [192.0.1.7/24]}]' | drop bus.yaml
ready bus
is "in the pod" "eth0 field lo " "$(eth_of bus)"
check "the node is without it" test ! -e /sys/class/net/nic1
check "the machine is reached" pings bus 192.0.1.1

step "others on top of one"
pod top '[{interface: nic2, type: macvlan, addresses: [192.0.2.7/24]}, {interface: nic2, type: vlan, id: 5, name: plc, addresses: [192.0.5.7/24]}]' | drop top.yaml
ready top
is "in the pod" "eth0 lo net1 plc " "$(eth_of top)"
check "macvlan" pings top 192.0.2.1
check "VLAN" pings top 192.0.5.1
check "the list shows them" sh -c 'berth get pods -o wide --no-headers | grep -q "^top.* eth0,net1,plc "'
check "the page, with addresses" sh -c 'berth describe pod top | grep -q "net1, on the node.s nic2, 192.0.2.7/24"'
check "and the pod itself" sh -c "berth get pod top -o yaml | grep -q 'k8s.v1.cni.cncf.io/network-status:.*plc.*192.0.5.7'"
check "and its own network is there" pings top 10.86.0.1

step "what is not there or taken is told, and had when it is there"
pod late '[{interface: nic1}]' | drop late.yaml
says late 'the node has no interface nic1 for nic1 (or another pod has it)'
kill -9 "$(agent_pid)"
eventually 30 "the agent is back" berth get pods
check "the machine is reached, over an agent that was killed" pings bus 192.0.1.1
rm $M/bus.yaml; gone bus
ready late 120s
is "it has it now" "eth0 lo nic1 " "$(eth_of late)"
rm $M/late.yaml; gone late
check "the node has it again" test -e /sys/class/net/nic1

step "ipvlan, when nobody has macvlan on the wire"
rm $M/top.yaml; gone top
pod ip '[{interface: nic2, type: ipvlan, addresses: [192.0.2.8/24]}]' | drop ip.yaml
ready ip
check "the machine is reached" pings ip 192.0.2.1
rm $M/ip.yaml; gone ip
check "a wrong one is refused by its place" sh -c ". /put/lib.sh; pod() { :; }; printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: x, annotations: {berth/attachments: \"[{interface: nic1, type: vlan}]\"}}\nspec: {containers: [{name: c, image: i}]}\n' >/tmp/x.yaml; berth check /tmp/x.yaml 2>&1 | grep -q 'x.yaml:3:.*a vlan needs an id'"
kill $world
nothing_left
