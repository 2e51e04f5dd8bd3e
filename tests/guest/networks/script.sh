#!/bin/sh
# Several networks: pods of one reach each other by both families, pods of others only by ports of the node, and of an
# internal one nothing gets out; names, addresses and policies within each; networks that come and go with the
# configuration, over agents that are killed; and in the end links, addresses, routes and rules are what they were.
. /put/lib.sh
V4='10\.(8[6-9]|9[0-9])' V6='fd(62|0[1-9])' GATEWAY=10.86.0.1
. /put/pod-network.sh
# A machine that does much else, too.
ready() { berth wait "pod/$1" --for=condition=Ready --timeout=300s >/dev/null || fail "$1 did not become ready"; echo "ok: $1 is ready"; }
ip4() { ips_of "$1" | grep -E "^$V4"; }
ip6() { ips_of "$1" | grep -E "^$V6"; }

PLANT='plant: {podCIDR: "10.87.0.0/16,fd01::/64"}'
LAB='a-long-name-of-a-lab: {podCIDR: "10.88.0.0/24,fd02::/64", mtu: 1400}'
VAULT='vault: {podCIDR: "10.89.0.0/16,fd03::/64", internal: true}'
# configured NETWORK…: and a new agent.
configured() {
    { [ $# = 0 ] || echo 'networks:'; for n in "$@"; do echo "  $n"; done; } >/etc/berth/config.yaml
    kill -9 "$(agent_pid)"; eventually 90 "the agent is back" berth get pods
}
# pod NAME NETWORK [PORT-FIELDS]
pod() { server "$1" "$3" "berth/network: $2" | sed "s/metadata: {name: $1,/metadata: {name: $1, labels: {app: $1},/" | drop "$1.yaml"; }
reaches() { timeout 20 berth exec "$1" -- busybox timeout 3 busybox wget -qO- "$2" >/dev/null 2>&1; }
# cannot POD URL…: none of them.
cannot() { from=$1; shift; for url in "$@"; do ! reaches "$from" "$url" || return 1; done; }
may() { reaches "$1" "http://$(ip4 "$2")/name" && reaches "$1" "http://[$(ip6 "$2")]/name"; }
may_not() { ! reaches "$1" "http://$(ip4 "$2")/name" && ! reaches "$1" "http://[$(ip6 "$2")]/name"; }
# answer POD NAME: the addresses, or how it failed.
answer() { timeout 30 berth exec "$1" -- busybox nslookup "$2" 2>&1 | sed -n -e '/^Name/,$s/^Address: *//p' -e 's/.*\(NXDOMAIN\|SERVFAIL\|REFUSED\).*/\1/p' | sort -u | tr '\n' ' '; }
both() { ips_of "$1" | sort | tr '\n' ' '; }
snapshot() {
    {
        echo "== links"; ip -o link | sed 's/^[0-9]*: //; s/@if[0-9]*//' | sort
        echo "== addresses"; ip -o addr | sed 's/^[0-9]*: *//; s/ *valid_lft.*//' | sort
        echo "== routes"; ip route; ip -6 route show table all | sed 's/ expires [0-9]*sec//' | sort
        echo "== rules"; nft -s list ruleset
        echo "== mounts"; sed 's/ [^ ]* - / - /' /proc/self/mountinfo | cut -d' ' -f4- | sort
        echo "== namespaces pinned"; grep -c nsfs /proc/mounts
        echo "== files"; find /run/berth /var/lib/berth/pods /var/lib/berth/containers ! -name '*.sock' ! -name leases.json ! -name policies.json | sort
    } >"$1"
}

: >/etc/resolv.conf
/etc/init.d/berth start
serves
outside_begins
mkdir -p /tmp/www && echo outside >/tmp/www/name
nsenter -t $world -n httpd -p 80 -h /tmp/www
server home '{hostPort: 8080, containerPort: 80}' | drop home.yaml
ready home
server first | drop first.yaml; ready first; rm $M/first.yaml; gone first
usleep 500000
snapshot /tmp/before

step "a pod on a network that there is not says so, and runs when there is"
pod press plant '{hostPort: 8081, containerPort: 80}'
eventually 90 "its reason is shown" sh -c 'berth get pod press -o yaml | grep -q "the configuration has no network plant"'
check "with what to do" sh -c 'berth describe pod press | grep -q "it has default: describe it below networks and start the agent anew"'
is "it has no interface" 1 "$(ls /sys/class/net | grep -c '^bth')"
configured "$PLANT" "$LAB" "$VAULT"
ready press
is "home went on" 0 "$(column home 4)"

step "each network has a bridge and addresses of its own"
pod robot plant; pod oven a-long-name-of-a-lab; pod safe vault '{hostPort: 8082, containerPort: 80}'; pod key vault
ready robot; ready oven; ready safe; ready key
berth get pods -o wide
for name in press:10.87,fd01 oven:10.88,fd02 safe:10.89,fd03 home:10.86,fd62; do
    at=${name#*:}
    check "${name%:*} is in ${at}" sh -c "echo '$(both "${name%:*}" | tr '\n' ' ')' | grep -q '^${at%,*}\..* ${at#*,}:'"
done
is "bridges" "berth-a-l_4654c berth-plant berth-vault berth0 " "$(ls /sys/class/net | grep '^berth' | sort | tr '\n' ' ')"
is "packets of its size" 1400 "$(berth exec oven -- cat /sys/class/net/eth0/mtu)"
check "the list names the network" sh -c 'berth get pods -o wide --no-headers | grep -qE "^press-edge .* plant/eth0 "'
check "describe does" sh -c "berth describe pod press | grep -q 'eth0, in the network plant, on the bridge berth-plant as bth'"
check "and the pod itself" sh -c "berth get pod press -o yaml | grep -q 'k8s.v1.cni.cncf.io/network-status:.*\"name.*plant'"
is "the node's address is none of theirs" 10.0.2.15 "$(berth get pod press -o yaml | sed -n 's/^ *hostIP: *"*\([0-9.]*\)"*$/\1/p')"

step "pods of one network reach each other, those of others do not"
check "press and robot" may press robot
check "robot and press" may robot press
check "safe and key" may safe key
for pair in home:press press:home press:oven oven:safe safe:press key:home; do
    check "not $pair" may_not "${pair%:*}" "${pair#*:}"
done
for n in home press oven safe; do is "the node reaches $n" "$n-edge $n-edge" "$(fetch - "http://$(ip4 $n)/name") $(fetch - "http://[$(ip6 $n)]/name")"; done
check "the node's address in another network is not there" sh -c "! berth exec press -- ping -c 1 -W 2 10.86.0.1 && ! berth exec press -- ping -c 1 -W 2 fd02::1"
check "its own one is" berth exec press -- ping -c 1 -W 5 10.87.0.1
check "by IPv6, too" berth exec press -- ping -c 1 -W 5 fd01::1

step "the way out"
for n in press oven; do is "$n gets out" "outside outside" "$(fetch $n http://192.0.2.2/name) $(fetch $n 'http://[2001:db8::2]/name')"; done
check "nothing of an internal network does" cannot safe http://192.0.2.2/name 'http://[2001:db8::2]/name'
check "nor to another network by the node" cannot safe http://192.0.2.1:8080/name 'http://[2001:db8::1]:8080/name'

step "ports of the node lead to pods across networks, what others translate does not"
for url in 'http://192.0.2.1' 'http://[2001:db8::1]'; do
    is "from another network, $url" press-edge "$(fetch home "$url:8081/name")"
    is "the other way, $url" home-edge "$(fetch oven "$url:8080/name")"
    is "from the pod itself, $url" press-edge "$(fetch press "$url:8081/name")"
    is "from outside, $url" press-edge "$(out wget -qO- "$url:8081/name")"
    is "into what is internal, from outside, $url" safe-edge "$(out wget -qO- "$url:8082/name")"
    is "from another network, $url" safe-edge "$(fetch home "$url:8082/name")"
done
is "by the node's loopback" "press-edge press-edge" "$(fetch - http://127.0.0.1:8081/name) $(fetch - 'http://[::1]:8081/name')"
nft add table ip other
nft add chain ip other in '{ type nat hook prerouting priority -90; }'
nft add rule ip other in tcp dport 9000 dnat to "$(ip4 robot):80"
is "somebody else's translation leads there from outside" robot-edge "$(out wget -qO- http://192.0.2.1:9000/name)"
check "and not from network to network" cannot home http://192.0.2.1:9000/name
nft delete table ip other

step "names are each network's own"
is "its server is the network's" "nameserver 10.87.0.1" "$(berth exec press -- grep nameserver /etc/resolv.conf)"
is "robot" "$(both robot)" "$(answer press robot)"
is "by its address" "robot-edge.default" "$(berth exec press -- busybox nslookup "$(ip4 robot)" | sed -n 's/.*name = //p')"
is "home is nobody here" "NXDOMAIN " "$(answer press home.svc)"
is "robot is nobody there" "NXDOMAIN " "$(answer home robot.svc)"
is "home is somebody there" "$(both home)" "$(answer home home)"
is "in the internal one" "$(both key)" "$(answer safe key)"
is "from which no name gets out" "REFUSED " "$(answer safe example.test.)"
is "from the others it would" "SERVFAIL " "$(answer press example.test.)"
check "another network's server is not there" sh -c "! timeout 20 berth exec home -- busybox timeout 3 busybox nslookup robot 10.87.0.1"

step "policies hold in a network that has a name"
printf 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: press}\nspec: {podSelector: {matchLabels: {app: press}}, ingress: []}\n' | drop policy.yaml
eventually 90 "robot does not reach press any more" may_not robot press
is "the node does" press-edge "$(fetch - "http://$(ip4 press)/name")"
rm $M/policy.yaml
eventually 90 "robot reaches press again" may robot press

step "addresses stay, over agents and pods that come and go; nothing opens meanwhile"
PRESS=$(both press) OVEN=$(both oven)
kill -9 "$(agent_pid)"
eventually 90 "the agent is back" berth get pods
is "press" "$PRESS" "$(both press)"
check "press and robot" may press robot
check "not home and press" may_not home press
eventually 90 "names are there" sh -c "berth exec press -- busybox nslookup robot | grep -q 10.87"
rm $M/press.yaml; gone press
pod press plant '{hostPort: 8081, containerPort: 80}'
ready press
is "press again" "$PRESS" "$(both press)"
is "its port leads to it" press-edge "$(fetch home http://192.0.2.1:8081/name)"

step "a bridge that somebody removes comes back, with its pods and its name server"
ip link del berth-plant
eventually 90 "press is reached" timeout 5 wget -qO- "http://$(ip4 press)/name"
eventually 90 "by IPv6, too" timeout 5 wget -qO- "http://[$(ip6 press)]/name"
check "press and robot" may press robot
check "not home and press" may_not home press
eventually 90 "names are there" sh -c "berth exec press -- busybox nslookup robot | grep -q 10.87"

step "another range is that of a network on which nobody is; who is on one goes on"
rm $M/oven.yaml; gone oven
configured 'plant: {podCIDR: "10.97.0.0/16,fd07::/64"}' 'a-long-name-of-a-lab: {podCIDR: "10.98.0.0/16,fd08::/64"}' "$VAULT"
is "nobody is on the lab's bridge" "berth-plant berth-vault berth0 " "$(ls /sys/class/net | grep '^berth' | sort | tr '\n' ' ')"
pod oven a-long-name-of-a-lab; ready oven
check "it is in the new range" sh -c "echo '$(both oven | tr '\n' ' ')' | grep -q '^10\.98\..* fd08:'"
is "press has what it had" "$PRESS" "$(both press)"
check "press and robot" may press robot
check "not oven and press" may_not oven press
is "press gets out" outside "$(fetch press http://192.0.2.2/name)"

step "a network that is no longer configured is there as long as its pods are"
configured "$VAULT"
check "press and robot" may press robot
check "not home and press" may_not home press
is "its port leads to it" press-edge "$(fetch home http://192.0.2.1:8081/name)"
pod late plant
eventually 90 "nobody comes to it" sh -c 'berth get pod late -o yaml | grep -q "the configuration has no network plant"'
rm $M/late.yaml; gone late
rm $M/press.yaml; gone press
check "one is still there" test -e /sys/class/net/berth-plant
rm $M/robot.yaml; gone robot
check "its bridge goes with the last one" test ! -e /sys/class/net/berth-plant

step "what cannot be is refused by its place"
cat >/tmp/odd.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata:
  name: odd
  annotations:
    berth/network: plant
spec:
  hostNetwork: true
  containers: [{name: c, image: "berth.test/busybox:1"}]
Y
check "with hostNetwork" sh -c 'berth check /tmp/odd.yaml 2>&1 | grep -q "odd.yaml:6:.*is on no other"'
printf 'networks:\n  plant: {podCIDR: 10.86.5.0/24}\n' >/tmp/bad.yaml
check "addresses twice" sh -c 'berth config --file /tmp/bad.yaml 2>&1 | grep -q "bad.yaml:2:3: networks.plant: podCIDR 10.86.5.0/24 overlaps 10.86.0.0/16 of network default"'

step "nothing is left of any of it"
rm -f $M/oven.yaml $M/safe.yaml $M/key.yaml
gone oven; gone safe; gone key
configured
same() { snapshot /tmp/after; cmp -s /tmp/before /tmp/after; }
left=100
until same; do left=$((left - 1)); [ $left -gt 0 ] || { diff /tmp/before /tmp/after; fail "something is left"; }; usleep 200000; done
echo "ok: all is as it was: $(wc -l </tmp/after) lines compared"
is "home did not begin anew" "0 home-edge" "$(column home 4) $(fetch - http://127.0.0.1:8080/name)"
outside_ends
rm $M/home.yaml; gone home
nothing_left
