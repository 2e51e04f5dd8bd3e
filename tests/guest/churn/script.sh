#!/bin/sh
# PODS pods with a network, ports of the node, a policy and a bandwidth come and go ROUNDS times, while agent and workers
# are killed; then links, addresses, routes, rules, mounts, namespaces and files are exactly what they were. The whole of it:
# cargo xtask test --only churn --set PODS=50 --set ROUNDS=20
. /put/lib.sh
PODS=${PODS:-12} ROUNDS=${ROUNDS:-3}
V4=10.86 V6=fd62 GATEWAY=10.86.0.1
. /put/pod-network.sh

# light NAME N: a pod with all that a network of ours can have.
light() { cat <<Y
apiVersion: v1
kind: Pod
metadata:
  name: $1
  labels: {app: churn, n: "$2"}
  annotations: {kubernetes.io/ingress-bandwidth: 10M, kubernetes.io/egress-bandwidth: 10M}
spec:
  terminationGracePeriodSeconds: 0
  hostname: $1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    ports: [{name: web, containerPort: 80, hostPort: $((20000 + $2))}]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, emptyDir: {medium: Memory, sizeLimit: 1Mi}}]
Y
}
# What the zygote forked for one operation each, and one that waits for the next. Their program has no name.
workers() {
    zygote=$(grep -l zygote /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3 | head -n 1)
    cat /proc/[0-9]*/stat 2>/dev/null | sed 's/(.*)/x/' | awk -v z="$zygote" '$4 == z { print $1 }'
}
kill_workers() { for p in $(workers); do kill -9 "$p" 2>/dev/null && killed=$((killed + 1)); done; }
kill_agent() { kill -9 "$(agent_pid 2>/dev/null)" 2>/dev/null && agents=$((agents + 1)); }
random() { od -An -N2 -tu2 /dev/urandom | tr -d ' '; }

made_ahead() {
    for thread in /proc/[0-9]*/task/[0-9]*; do
        [ "$(cat $thread/comm 2>/dev/null)" = berth-spare ] || continue
        [ "$(readlink $thread/ns/net)" != "$(readlink /proc/self/ns/net)" ] && return 0
    done
    return 1
}
settled() { ! ip -o addr | grep -q tentative; }

# snapshot FILE: all that pods have to do with, in the kernel and beside it. Numbers that only count are left out.
snapshot() {
    {
        echo "== links"; ip -o link | sed 's/^[0-9]*: //; s/@if[0-9]*//' | sort
        echo "== addresses"; ip -o addr | sed 's/^[0-9]*: *//; s/ *valid_lft.*//' | sort
        echo "== routes"; ip route; ip -6 route | sed 's/ expires [0-9]*sec//' | sort
        echo "== neighbours"; ip neigh show nud permanent
        echo "== rules"; nft -s list ruleset
        echo "== ports of the bridge"; ls /sys/class/net/berth0/brif
        echo "== mounts"; sed 's/ [^ ]* - / - /' /proc/self/mountinfo | cut -d' ' -f4- | sort
        echo "== namespaces pinned"; grep -c nsfs /proc/mounts
        echo "== namespaces held by processes"; ls -l /proc/[0-9]*/ns/net /proc/[0-9]*/task/[0-9]*/ns/net 2>/dev/null | sed 's/.*-> //' | sort -u | wc -l
        echo "== namespaces held by open files"; ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c 'net:\['
        echo "== cgroups"; find /sys/fs/cgroup/kubepods -type d | sort
        echo "== files"; find /run/berth /var/lib/berth/pods /var/lib/berth/containers /var/log/pods /var/log/containers ! -type f ! -name '*.sock' | sort
        find /run/berth /var/lib/berth/pods /var/lib/berth/containers -type f ! -name 'leases.json' | sort
    } >"$1"
}
same() { snapshot /tmp/after; cmp -s /tmp/before /tmp/after; }
# as_before: waits until it is so.
as_before() {
    left=100
    until same; do left=$((left - 1)); [ $left -gt 0 ] || { diff /tmp/before /tmp/after; fail "something is left"; }; usleep 200000; done
}

step "two pods that stay, and a policy for all others; one pod has come and gone"
printf 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: churn}\nspec: {podSelector: {matchLabels: {app: churn}}, ingress: [{from: [{podSelector: {matchLabels: {app: stays}}}], ports: [{port: web}]}], egress: [], policyTypes: [Ingress, Egress]}\n' | drop policy.yaml
server one '{hostPort: 8080, containerPort: 80}' | drop one.yaml
server two | drop two.yaml
ready one; ready two
light first 0 | drop first.yaml; ready first
rm $M/first.yaml; gone first
one=$(ip4 one)
# What comes by itself a moment later is there: the next pod's namespaces, addresses that the kernel has tried.
eventually 30 "the next pod's namespaces are made ahead" made_ahead
eventually 30 "all addresses can be used" settled
snapshot /tmp/before
grep -A1 '^== namespaces' /tmp/before

step "$PODS pods, $ROUNDS rounds"
all=$(n=1; while [ $n -le "$PODS" ]; do echo "pod/churn-$n"; n=$((n + 1)); done)
round=0 agents=0 killed=0
while [ $round -lt "$ROUNDS" ]; do
    round=$((round + 1)) begun=$(date +%s)
    n=1; while [ $n -le "$PODS" ]; do light "churn-$n" $n | drop churn-$n.yaml; n=$((n + 1)); done
    for moment in 1 2 3; do usleep $(($(random) * 8)); kill_workers; done
    kill_agent
    for moment in 1 2 3; do usleep $(($(random) * 8)); kill_workers; done
    kill_agent
    eventually 60 "the agent is back" berth get pods
    berth wait $all --for=condition=Ready --timeout=300s >/dev/null || fail "round $round: not all are ready"
    up=$(date +%s)
    rm $M/churn-*.yaml
    for moment in 1 2; do usleep $(($(random) * 10)); kill_workers; kill_agent; done
    eventually 60 "the agent is back" berth get pods
    berth wait $all --for=delete --timeout=300s >/dev/null || fail "round $round: not all are gone"
    echo "round $round: up in $((up - begun)) s, gone in $(($(date +%s) - up)) s; so far $agents agents and $killed workers killed"
    as_before
done

step "all is as it was"
echo "ok: $((PODS * ROUNDS)) pods have left nothing: $(wc -l </tmp/after) lines compared"
is "one has the address that it had" "$one" "$(ip4 one)"
is "its port leads to it" one-edge "$(fetch - http://127.0.0.1:8080/name)"
is "pod to pod goes on" one-edge "$(fetch two "http://$one/name")"
is "neither began anew" "0 0" "$(column one 4) $(column two 4)"

rm $M/*.yaml
gone one; gone two
nothing_left
