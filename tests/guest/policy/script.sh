#!/bin/sh
# NetworkPolicies as files beside the pods: who may call whom, by labels, namespaces, ports and addresses, in both
# families; over agents that are killed; and pods that are held to a bandwidth.
. /put/lib.sh
V4=10.86 V6=fd62 GATEWAY=10.86.0.1
. /put/pod-network.sh

# labelled NAME NAMESPACE
labelled() { server "$1" "{name: web, containerPort: 80}" | sed "s/metadata: {name: $1,/metadata: {name: $1, namespace: $2, labels: {app: $1},/"; }
there() { berth wait -n "$2" "pod/$1" --for=condition=Ready --timeout=60s >/dev/null || fail "$1 did not become ready"; echo "ok: $1 is ready"; }
at4() { berth get pod -n "$2" "$1" -o yaml | sed -n 's/^ *- *"*ip"*: *"*\([0-9a-f.:]*\)"*$/\1/p' | grep "^$V4" | head -n 1; }
at6() { berth get pod -n "$2" "$1" -o yaml | sed -n 's/^ *- *"*ip"*: *"*\([0-9a-f.:]*\)"*$/\1/p' | grep "^$V6" | head -n 1; }
# policy NAME SPEC: of the namespace shop.
policy() { printf 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: %s, namespace: shop}\nspec: %s\n' "$1" "$2" | drop "policy-$1.yaml"; }
# reaches NAMESPACE POD URL
reaches() { timeout 20 berth exec -n "$1" "$2" -- busybox timeout 4 busybox wget -qO- "$3" >/dev/null 2>&1; }
# may|may_not NAMESPACE POD ADDRESS-4 ADDRESS-6: by both families.
may() { reaches "$1" "$2" "http://$3/name" && reaches "$1" "$2" "http://[$4]/name"; }
may_not() { ! reaches "$1" "$2" "http://$3/name" && ! reaches "$1" "$2" "http://[$4]/name"; }

labelled web shop | drop web.yaml; labelled db shop | drop db.yaml; labelled spy lab | drop spy.yaml
there web shop; there db shop; there spy lab
WEB4=$(at4 web shop) WEB6=$(at6 web shop) DB4=$(at4 db shop) DB6=$(at6 db shop)

step "without a policy everybody calls everybody"
check "web calls db" may shop web "$DB4" "$DB6"
check "spy calls db" may lab spy "$DB4" "$DB6"

step "who may call is said by labels and names of ports"
policy db '{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: web}]}]}'
eventually 20 "spy does not call db any more" may_not lab spy "$DB4" "$DB6"
check "web does" may shop web "$DB4" "$DB6"
check "spy calls web" may lab spy "$WEB4" "$WEB6"
check "the node reaches all" timeout 5 wget -qO- "http://$DB4/name"
berth get networkpolicies -A
is "it is listed" "shop db app=db" "$(berth get netpol -A --no-headers | awk '{ print $1, $2, $3 }')"

step "by namespaces"
policy db '{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: lab}}}]}]}'
eventually 20 "the other namespace calls db" may lab spy "$DB4" "$DB6"
check "web does not" may_not shop web "$DB4" "$DB6"

step "other labels count at once, for the pod that runs"
policy db '{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}'
eventually 20 "web calls db" may shop web "$DB4" "$DB6"
U=$(berth get pod -n shop web -o yaml | sed -n 's/^  uid: *"*\([^"]*\)"*$/\1/p')
labelled web shop | sed 's/labels: {app: web}/labels: {app: guest}/' | drop web.yaml
eventually 20 "it does not any more" may_not shop web "$DB4" "$DB6"
kill -9 "$(agent_pid)"
eventually 30 "the agent is back" berth get pods
check "nor with a new agent" may_not shop web "$DB4" "$DB6"
labelled web shop | drop web.yaml
eventually 20 "it does again" may shop web "$DB4" "$DB6"
is "it is the same pod" "$U" "$(berth get pod -n shop web -o yaml | sed -n 's/^  uid: *"*\([^"]*\)"*$/\1/p')"
is "and nothing of it was restarted" 0 "$(berth get pods -n shop --no-headers | awk '/^web-/ { print $4 }')"
policy db '{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: lab}}}]}]}'
eventually 20 "web calls db no more" may_not shop web "$DB4" "$DB6"

step "an agent that is killed leaves no gap"
kill -9 "$(agent_pid)"
eventually 30 "the agent is back" berth get pods
check "web does not call db" may_not shop web "$DB4" "$DB6"
check "spy does" may lab spy "$DB4" "$DB6"

step "whom a pod may call: addresses with exceptions; names are answered anyway"
outside_begins
out ip addr add 192.0.2.130/24 dev "$peer"
mkdir -p /tmp/www && echo outside >/tmp/www/name
nsenter -t $world -n httpd -p 80 -h /tmp/www
policy web '{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.128/25]}}], ports: [{port: 80}]}]}'
eventually 20 "web does not call outside the block" sh -c "! timeout 20 berth exec -n shop web -- busybox timeout 4 busybox wget -qO- http://192.0.2.130/name"
is "it does inside" outside "$(berth exec -n shop web -- busybox timeout 8 busybox wget -qO- http://192.0.2.2/name)"
check "not by IPv6, of which nothing is said" sh -c "! timeout 20 berth exec -n shop web -- busybox timeout 4 busybox wget -qO- 'http://[2001:db8::2]/name'"
check "not the node" sh -c "! timeout 20 berth exec -n shop web -- ping -c 1 -W 2 $GATEWAY"
is "names" "$DB4" "$(berth exec -n shop web -- busybox nslookup db | sed -n '/^Name/,$s/^Address: *//p' | grep "^$V4" | sort -u)"
check "others are free" reaches lab spy 'http://[2001:db8::2]/name'
outside_ends

step "a wrong policy changes nothing, and is told"
policy web '{podSelector: {}, egress: [{to: [{ipBlock: {cidr: nowhere}}]}]}'
eventually 20 "it is a problem" sh -c 'berth get problems | grep -q "spec.egress\[0\].to\[0\].ipBlock.cidr"'
check "web is held as before" may_not shop web "$DB4" "$DB6"

step "without policies everybody calls everybody again"
rm $M/policy-*.yaml
eventually 20 "web calls db" may shop web "$DB4" "$DB6"
eventually 20 "spy calls db" may lab spy "$DB4" "$DB6"

step "a pod is held to its bandwidth"
server slow '' 'kubernetes.io/ingress-bandwidth: 8k, kubernetes.io/egress-bandwidth: 8k' | drop slow.yaml
ready slow
berth exec slow -- dd if=/dev/zero of=/tmp/www/large bs=1k count=2000 2>/dev/null
berth exec -n shop db -- dd if=/dev/zero of=/tmp/www/large bs=1k count=2000 2>/dev/null
check "a megabyte takes half an hour to come from it" sh -c "! timeout 10 wget -qO /dev/null http://$(ip4 slow)/large"
check "and to go to it" sh -c "! timeout 10 berth exec slow -- wget -qO /dev/null http://$DB4/large"
check "and no time without it" timeout 60 wget -qO /dev/null "http://$DB4/large"

rm $M/*.yaml
gone slow; berth wait -n shop pod/web pod/db --for=delete --timeout=60s >/dev/null; berth wait -n lab pod/spy --for=delete --timeout=60s >/dev/null
nothing_left
