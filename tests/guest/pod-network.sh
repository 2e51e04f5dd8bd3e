# What every network of pods must do, shared by the scenarios that have one: `. /put/pod-network.sh` behind lib.sh, with
# V4 and V6 set to how pods' addresses begin, GATEWAY to the node's address beside them, and LOOPBACK6 if ports lead to pods
# from ::1, too.

# A pod that tells whoever asks its name on port 80: NAME [PORT-FIELDS [ANNOTATIONS]].
server() { cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1, annotations: {$3}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'mkdir -p /tmp/www; hostname >/tmp/www/name; exec httpd -f -p 80 -h /tmp/www']
    ports: [$2]
    readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
Y
}
ips_of() { berth get pod "$1" -o yaml | sed -n 's/^ *- *"*ip"*: *"*\([0-9a-f.:]*\)"*$/\1/p' | grep -E "^($V4|$V6)"; }
ip4() { ips_of "$1" | grep "^$V4"; }
ip6() { ips_of "$1" | grep "^$V6"; }
# fetch FROM-POD URL: from within a pod, or from the node with `-`.
fetch() {
    if [ "$1" = - ]; then timeout 10 wget -qO- "$2"; else timeout 20 berth exec "$1" -- wget -qO- "$2"; fi
}

# The pods one and two are there.
addresses_are_shown() {
    step "each pod has an address of both families, and they are shown"
    berth get pods -o wide
    check "IPv4" test -n "$(ip4 one)" -a -n "$(ip4 two)" -a "$(ip4 one)" != "$(ip4 two)"
    check "IPv6" test -n "$(ip6 one)" -a -n "$(ip6 two)"
    is "the wide list shows the first" "$(ip4 one)" "$(berth get pods -o wide --no-headers | awk '/^one/ { print $6 }')"
    check "/etc/hosts names the pod" berth exec one -- grep -qE "^$(ip4 one)[[:space:]]one-edge$" /etc/hosts
    check "describe shows it" sh -c "berth describe pod one | grep -q '$(ip4 one)'"
    is "the node's own address is not the gateway's" 10.0.2.15 "$(berth get pod one -o yaml | sed -n 's/^ *hostIP: *"*\([0-9.]*\)"*$/\1/p')"
    check "and its other one" sh -c "berth describe pod one | grep -q '$(ip6 one)'"
}

pods_reach_each_other() {
    step "pods and the node reach each other"
    is "pod to pod" two-edge "$(fetch one "http://$(ip4 two)/name")"
    is "pod to pod, IPv6" two-edge "$(fetch one "http://[$(ip6 two)]/name")"
    is "node to pod" one-edge "$(fetch - "http://$(ip4 one)/name")"
    is "node to pod, IPv6" one-edge "$(fetch - "http://[$(ip6 one)]/name")"
    check "pod to gateway" berth exec one -- ping -c 1 -W 5 "$GATEWAY"
}

# An outside at 192.0.2.2 and 2001:db8::2; the node is there 192.0.2.1 and 2001:db8::1.
out() { timeout 10 nsenter -t $world -n "$@"; }
outside_begins() {
    unshare -n sleep 100000 & world=$!
    ip link add out0 type veth
    peer=$(ip -o link | sed -n 's/^[0-9]*: \(veth[0-9]*\)@out0.*/\1/p')
    eventually 10 "there is an outside" sh -c "[ \"\$(readlink /proc/$world/ns/net)\" != \"\$(readlink /proc/self/ns/net)\" ]"
    ip link set "$peer" netns $world
    ip addr add 192.0.2.1/24 dev out0; ip -6 addr add 2001:db8::1/64 dev out0; ip link set out0 up
    out ip link set lo up; out ip link set "$peer" up
    out ip addr add 192.0.2.2/24 dev "$peer"; out ip -6 addr add 2001:db8::2/64 dev "$peer"
    eventually 30 "it is there by IPv6 too" ping -6 -c 1 -W 1 2001:db8::2
}
outside_ends() { ip link del out0; kill $world; }

with_port() { server "$1" '{hostPort: 8080, containerPort: 80}' | drop "$1.yaml"; }
ports_lead_to_pods() {
    step "a port of the node leads to its pod: from outside, from other pods, from the node; nobody else may have it"
    with_port web
    ready web
    for url in 'http://192.0.2.1:8080' 'http://[2001:db8::1]:8080'; do
        is "from outside, $url" web-edge "$(out wget -qO- "$url/name")"
        is "from another pod, $url" web-edge "$(fetch one "$url/name")"
        is "from the pod itself, $url" web-edge "$(fetch web "$url/name")"
        is "from the node, $url" web-edge "$(fetch - "$url/name")"
    done
    is "by the node's loopback" web-edge "$(fetch - http://127.0.0.1:8080/name)"
    [ -z "$LOOPBACK6" ] || is "by that of IPv6" web-edge "$(fetch - 'http://[::1]:8080/name')"
    with_port rival
    eventually 30 "a second pod with the port is refused" sh -c 'berth get pod rival -o yaml | grep -q "taken by pod default/web-edge"'
    rm $M/web.yaml; gone web
    ready rival
    is "it begins when the port is free" rival-edge "$(fetch - http://127.0.0.1:8080/name)"
    kill -9 "$(agent_pid)"
    eventually 30 "the agent is back" berth get pods
    is "the port leads there still" rival-edge "$(out wget -qO- http://192.0.2.1:8080/name)"
    rm $M/rival.yaml; gone rival
    check "nothing answers there any more" sh -c '! timeout 10 wget -qO- http://127.0.0.1:8080/name'
}

pods_go_out() {
    step "pods go out under the node's address"
    mkdir -p /tmp/www && echo outside >/tmp/www/name
    nsenter -t $world -n httpd -p 80 -h /tmp/www
    is "IPv4" outside "$(fetch one http://192.0.2.2/name)"
    is "IPv6" outside "$(fetch one 'http://[2001:db8::2]/name')"
}

# Many come and go, over agents that are killed.
churn_leaves_nothing() {
    step "an agent that is killed while pods come and go leaves nothing"
    for round in 1 2 3 4 5 6; do
        for n in a b c; do server "churn-$n" | drop churn-$n.yaml; done
        usleep $((round * 150000)); kill -9 "$(agent_pid)"
        eventually 30 "the agent is back" berth get pods
        rm $M/churn-*.yaml
        usleep $((round * 90000)); kill -9 "$(agent_pid)"
        eventually 30 "the agent is back" berth get pods
        for n in a b c; do gone churn-$n; done
    done
}
