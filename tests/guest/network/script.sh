#!/bin/sh
# Pods on the built-in network, over two boots of one disk: addresses by name, both families, from pod to pod and
# from the node; killed agents and removals leave nothing.
. /put/lib.sh
mkdir -p /var/keep

V4=10.86 V6=fd62 GATEWAY=10.86.0.1 LOOPBACK6=yes
. /put/pod-network.sh
links() { ip -o link | sed -n 's/^[0-9]*: \(bth[0-9a-f]*\)@.*/\1/p' | sort | tr '\n' ' '; }

if [ "$(cat /put/boot)" = 1 ]; then
    server one >/var/keep/one.yaml
    server two >/var/keep/two.yaml
fi
cp /var/keep/*.yaml $M
ip -o link >/tmp/links-before
/etc/init.d/berth start
serves
ready one
ready two

if [ "$(cat /put/boot)" = 2 ]; then
    step "after a reboot each pod has the address that it had"
    is "one" "$(cat /var/keep/one.ips)" "$(ips_of one)"
    is "two" "$(cat /var/keep/two.ips)" "$(ips_of two)"
    exit 0
fi

addresses_are_shown
check "in the wide list, too" sh -c 'berth get pods -o wide --no-headers | grep -qE "^one.* eth0 +[1-9][0-9.kM]*B/[1-9][0-9]* +[1-9][0-9.kM]*B/[1-9][0-9]*"'
check "and in the pod itself" sh -c "berth get pod one -o yaml | grep -q 'k8s.v1.cni.cncf.io/network-status:.*eth0'"
check "and what went over its interface" sh -c "berth describe pod one | grep -qE '^Interface: +eth0, on the bridge berth0 as bth'"

pods_reach_each_other

step "a pod keeps its address over revisions, and agents that are killed"
was="$(ips_of one)"
sed 's/^spec:/&\n  activeDeadlineSeconds: 86400/' /var/keep/one.yaml | drop one.yaml
old=$(uid_of one)
eventually 60 "the new revision is there" sh -c ". /put/lib.sh; [ \"\$(uid_of one)\" != $old ]"
ready one
is "the same address" "$was" "$(ips_of one)"
kill -9 "$(agent_pid)"
eventually 30 "the agent is back" berth get pods
is "the same address over a killed agent" "$was" "$(ips_of one)"
is "pod to pod goes on" one-edge "$(fetch two "http://$(ip4 one)/name")"

churn_leaves_nothing
is "one interface for each pod" 2 "$(links | wc -w)"

outside_begins
ports_lead_to_pods
pods_go_out

step "a port of SCTP leads to its pod, too: from outside, from another pod, from the node"
check "the kernel speaks it" grep -q ^SCTP /proc/net/protocols
server assoc '{hostPort: 9000, containerPort: 9, protocol: SCTP}' | drop assoc.yaml
ready assoc
# The test's image has no program that speaks it: the node's, in the pods' networks.
in_pod() { pod=$1; shift; timeout 20 nsenter --net="/run/berth/pods/$(uid_of "$pod")/ns/net" "$@"; }
nsenter --net="/run/berth/pods/$(uid_of assoc)/ns/net" socat SCTP6-LISTEN:9,fork,reuseaddr 'SYSTEM:echo associated' & serving=$!
eventually 20 "somebody serves" in_pod assoc grep -q ' 9 ' /proc/net/sctp/eps
for at in "SCTP4:$(ip4 assoc):9" "SCTP4:192.0.2.1:9000" "SCTP6:[$(ip6 assoc)]:9" 'SCTP6:[2001:db8::1]:9000'; do
    is "from another pod, $at" associated "$(in_pod one socat -u "$at" -)"
    is "from the node, $at" associated "$(timeout 20 socat -u "$at" -)"
done
for at in SCTP4:192.0.2.1:9000 'SCTP6:[2001:db8::1]:9000'; do is "from outside, $at" associated "$(out socat -u "$at" -)"; done
kill $serving
rm $M/assoc.yaml; gone assoc

step "a pod keeps to its own addresses"
check "the kernel sees to it" sh -c 'berth doctor | grep -q "pods keep to their own addresses.*the kernel sees to it"'
outside_ends

step "pods that are removed take their interfaces along"
ips_of one >/var/keep/one.ips; ips_of two >/var/keep/two.ips
rm $M/*.yaml
gone one; gone two
nothing_left
sync
