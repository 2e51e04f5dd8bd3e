#!/bin/sh
# Names of pods, and names of the world outside: by both protocols and families, from pods and from the node, without
# any name server outside and with one that comes later; over killed agents; and nothing that listens without pods.
. /put/lib.sh

# pod NAME NAMESPACE MORE-OF-THE-SPEC
pod() { cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: $2}
spec:
  terminationGracePeriodSeconds: 0
  $3
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'mkdir -p /tmp/www; hostname >/tmp/www/name; exec httpd -f -p 80 -h /tmp/www']
    readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
Y
}
there() { berth wait -n "$2" "pod/$1" --for=condition=Ready --timeout=60s >/dev/null || fail "$1 did not become ready"; echo "ok: $1 is ready"; }
ips_of() { berth get pod -n "$2" "$1" -o yaml | sed -n 's/^ *- *"*ip"*: *"*\([0-9a-f.:]*\)"*$/\1/p' | grep -E '^(10\.86|fd62)' | sort | tr '\n' ' '; }
# asked NAME: what nslookup says in the pod `one`; answer NAME: the addresses, or how it failed.
asked() { timeout 30 berth exec one -- busybox nslookup "$@" 2>&1; }
answer() { asked "$@" | sed -n -e '/^Name/,$s/^Address: *//p' -e 's/.*\(NXDOMAIN\|SERVFAIL\|REFUSED\).*/\1/p' | sort -u | tr '\n' ' '; }
# by_tcp QUERY: raw, for printf; the answer in hexadecimal.
by_tcp() { berth exec one -- sh -c "printf '$1' | busybox timeout 20 busybox nc 10.86.0.1 53 | busybox xxd -p" | tr -d '\n'; }
listening() { cat /proc/net/udp /proc/net/udp6 /proc/net/tcp /proc/net/tcp6 | awk '{ print $2 }' | grep -c ':0035$'; }

: >/etc/resolv.conf
is "nothing serves names without pods" 0 "$(listening)"

step "a pod on the node's network that asks for pods' names is served, also when it is the only one"
pod host default 'hostNetwork: true' | sed 's/^  hostNetwork: true/&\n  dnsPolicy: ClusterFirstWithHostNet/; s/-p 80/-p 8080/; /readinessProbe/d' | drop host.yaml
there host default
is "nameserver" "nameserver 10.86.0.1" "$(berth exec host -- grep nameserver /etc/resolv.conf)"
eventually 20 "names are served" sh -c '[ "$(cat /proc/net/udp | awk "{ print \$2 }" | grep -c ":0035\$")" -gt 0 ]'
is "there is no such pod" "NXDOMAIN" "$(berth exec host -- busybox nslookup one.default.svc 2>&1 | sed -n 's/.*\(NXDOMAIN\).*/\1/p' | head -n 1)"
kill -9 "$(agent_pid)"
eventually 30 "the agent is back" berth get pods
eventually 20 "names are served again" sh -c 'berth exec host -- busybox nslookup one.default.svc 2>&1 | grep -q NXDOMAIN'
pod one default '' | drop one.yaml
pod two shop '' | drop two.yaml
pod three default 'hostname: db-0' | sed 's/^  hostname: db-0/&\n  subdomain: db/' | drop three.yaml
pod plain default 'dnsPolicy: Default' | drop plain.yaml
there one default; there two shop; there three default; there plain default
ONE=$(ips_of one default) TWO=$(ips_of two shop) THREE=$(ips_of three default)

step "who asks for a cluster's names is sent here, the others are not"
is "nameserver" "nameserver 10.86.0.1" "$(berth exec one -- grep nameserver /etc/resolv.conf)"
is "search" "search shop.svc svc" "$(berth exec -n shop two -- grep search /etc/resolv.conf)"
is "dnsPolicy Default" "" "$(berth exec plain -- cat /etc/resolv.conf)"
is "nobody is told that there are no such servers" "" "$(berth get events | grep MissingClusterDNS)"

is "by its name, from the node's network" "$ONE" "$(berth exec host -- busybox nslookup one | sed -n '/^Name/,$s/^Address: *//p' | sort -u | tr '\n' ' ')"

step "names of pods, both families"
asked two.shop
for name in one one-edge one.default one-edge.default.svc one.svc; do is "$name" "$ONE" "$(answer $name)"; done
for name in two.shop two-edge.shop two.shop.svc; do is "$name" "$TWO" "$(answer $name)"; done
for name in three db-0.db db-0.db.default db-0.db.default.svc; do is "$name" "$THREE" "$(answer $name)"; done
is "in its own namespace" "$TWO" "$(berth exec -n shop two -- busybox nslookup two | sed -n '/^Name/,$s/^Address: *//p' | sort -u | tr '\n' ' ')"
is "not in another one's" "NXDOMAIN " "$(answer two.svc)"
check "a program finds a pod by its name" sh -c 'timeout 20 berth exec one -- wget -qO- http://two.shop/name | grep -q two-edge'
check "an address has its pod's name" sh -c ". /put/lib.sh; berth exec one -- busybox nslookup $(echo $THREE | cut -d' ' -f1) | grep -q 'db-0.db.default'"
is "the node asks too" "$ONE" "$(busybox nslookup one 10.86.0.1 | sed -n '/^Name/,$s/^Address: *//p' | sort -u | tr '\n' ' ')"
is "and by IPv6" "$ONE" "$(busybox nslookup one fd62:6572:7468::1 | sed -n '/^Name/,$s/^Address: *//p' | sort -u | tr '\n' ' ')"
v4=$(echo $ONE | cut -d' ' -f1)
is "by TCP" "c00c00010001000000050004$(printf '%02x%02x%02x%02x' $(echo $v4 | tr . ' '))" \
    "$(by_tcp '\0\025\022\064\1\0\0\1\0\0\0\0\0\0\3one\0\0\1\0\1' | grep -o 'c00c.*')"

step "without a name server outside other names fail at once; they are forwarded when there is one, by the file as it is then"
is "no server" "SERVFAIL " "$(answer example.test.)"
echo 'nameserver 10.86.0.1' >/etc/resolv.conf
is "not in a circle" "SERVFAIL " "$(answer example.test.)"
unshare -n sleep 100000 & world=$!
ip link add out0 type veth
peer=$(ip -o link | sed -n 's/^[0-9]*: \(veth[0-9]*\)@out0.*/\1/p')
eventually 10 "there is an outside" sh -c "[ \"\$(readlink /proc/$world/ns/net)\" != \"\$(readlink /proc/self/ns/net)\" ]"
ip link set "$peer" netns $world
out() { nsenter -t $world -n "$@"; }
ip addr add 192.0.2.1/24 dev out0; ip link set out0 up
out ip link set lo up; out ip link set "$peer" up; out ip addr add 192.0.2.2/24 dev "$peer"
cat >/tmp/upstream <<'U'
#!/bin/sh
# Answers one question of 32 bytes with 192.0.2.99.
q=$(dd bs=1 count=32 2>/dev/null | xxd -p | tr -d '\n')
echo "002e$(echo "$q" | cut -c5-8)81800001000100000000$(echo "$q" | cut -c29-)c00c000100010000003c0004c0000263" | xxd -r -p
U
chmod +x /tmp/upstream
out nc -ll -p 53 -e /tmp/upstream & upstream=$!
echo 'nameserver 192.0.2.2' >/etc/resolv.conf
outside='\0\036\022\064\1\0\0\1\0\0\0\0\0\0\7outside\4test\0\0\1\0\1'
eventually 20 "the server outside listens" out sh -c 'grep -q ":0035 " /proc/net/tcp /proc/net/tcp6'
is "what it says is what the pod hears" "002e12348180000100010000" "$(by_tcp "$outside" | cut -c1-24)"
is "its address" "c0000263" "$(by_tcp "$outside" | grep -o '........$')"
is "names of pods are ours still" "$ONE" "$(answer one)"
is "a pod on the node's network hears it, too" "c0000263" "$(berth exec host -- sh -c "printf '$outside' | busybox timeout 20 busybox nc 10.86.0.1 53 | busybox xxd -p" | tr -d '\n' | grep -o '........$')"
rm $M/host.yaml; gone host
is "not for the node, when no pod on its network asks" "REFUSED " "$(busybox nslookup example.test. 10.86.0.1 2>&1 | sed -n 's/.*\(REFUSED\).*/\1/p' | sort -u | tr '\n' ' ')"
kill $upstream $world; ip link del out0

step "an agent that comes after a killed one goes on"
kill -9 "$(agent_pid)"
eventually 30 "the agent is back" berth get pods
eventually 10 "names are there" sh -c 'berth exec one -- busybox nslookup two.shop | grep -q 10.86'
is "the same" "$TWO" "$(answer two.shop)"

step "a bridge that somebody removes comes back, with its pods and its name server"
ip link del berth0
eventually 20 "the pods are reached" timeout 5 wget -qO- "http://$v4/name"
eventually 20 "names are there" sh -c 'berth exec one -- busybox nslookup two.shop | grep -q 10.86'
is "the same" "$TWO" "$(answer two.shop)"

step "a pod that goes takes its names along; without pods nothing listens"
rm $M/two.yaml
berth wait -n shop pod/two --for=delete --timeout=60s >/dev/null || fail "two did not go"
is "no such name" "NXDOMAIN " "$(answer two.shop.svc)"
rm $M/*.yaml
gone one; gone three; gone plain

step "a port that another program has is told of, and served when it is free"
nc -ll -p 53 -e true & holder=$!
eventually 10 "somebody else has the port" sh -c 'cat /proc/net/tcp /proc/net/tcp6 | grep -q ":0035 "'
pod one default '' | drop one.yaml
there one default
eventually 10 "the pod is told" sh -c 'berth describe pod one | grep -q NamesNotServed'
check "doctor says so, too" sh -c 'berth doctor | grep -A3 "name server" | grep -q "port 53"'
kill $holder
eventually 70 "names are there" sh -c 'berth exec one -- busybox nslookup one | grep -q 10.86'
rm $M/one.yaml; gone one
eventually 10 "nothing serves names" sh -c '! cat /proc/net/udp /proc/net/udp6 /proc/net/tcp /proc/net/tcp6 | awk "{ print \$2 }" | grep -q ":0035\$"'
nothing_left
