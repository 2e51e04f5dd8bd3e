#!/bin/sh
# Pods that have nothing to say put nothing on any wire: what tcpdump hears on all interfaces of the node, its way out, its
# loopback, the bridge and the pods' ends on it.
. /put/lib.sh
V4=10.86 V6=fd62 GATEWAY=10.86.0.1
. /put/pod-network.sh
SECONDS_QUIET=${SECONDS_QUIET:-60}
outside_begins
tcpdump -Z root -l -n -p -i any >/tmp/heard 2>/tmp/tcpdump.log &
sniffer=$!
eventually 20 "somebody listens" grep -q 'listening on any' /tmp/tcpdump.log
# All that is heard, but for two things that are none of pods': what QEMU's router says on its own, and that the node and the
# machine at the other end of its second wire look for a router there.
heard() { sed -n 's/^[0-9:.]* //p' /tmp/heard | grep -v '^eth0 *\(In\|M\|B\) .*10\.0\.2\.[23]\|^eth0 *\(In\|M\|B\) .*fe80::2 \|^out0 .*router solicitation'; }

printf 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: some}\nspec: {podSelector: {}, ingress: [{}]}\n' | drop policy.yaml
step "three pods: they are reached, and ask for names"
server one '{hostPort: 8080, containerPort: 80}' | sed '/readinessProbe/d' | drop one.yaml
server two | sed '/readinessProbe/d' | drop two.yaml
server three | sed '/readinessProbe/d; s/^spec:/&\n  hostNetwork: true/; s/-p 80/-p 81/' | drop three.yaml
ready one; ready two; ready three
eventually 20 "from outside" out wget -qO- http://192.0.2.1:8080/name
eventually 20 "from the other one" fetch two "http://[$(ip6 one)]/name"
eventually 20 "names" sh -c 'berth exec one -- busybox nslookup two | grep -q 10.86'
# Neighbours are looked for, groups are told of (twice, within some seconds), connections end.
last=-1
until [ "$(heard | wc -l)" = "$last" ]; do last=$(heard | wc -l); sleep 15; done
echo "until nothing more came: $last packets"
heard | sed 's/^\([a-z]*\)[0-9a-f]* *\([A-Z][a-z]*\) .*\(ARP\|ICMP6, [a-z ]*\|UDP\|Flags\|NXDomain\|A?\|AAAA?\).*/\1 \2 \3/' | sort | uniq -c | sort -rn | head -n 20

step "nothing for $SECONDS_QUIET seconds"
sleep "$SECONDS_QUIET"
heard | tail -n +$((last + 1)) >/tmp/idle
is "packets" "" "$(cat /tmp/idle)"
kill $sniffer
outside_ends
rm $M/*.yaml
gone one; gone two; gone three
nothing_left
