#!/bin/sh
# The node: what it has and keeps back, who is admitted and who waits with Kubernetes' reason, who goes for whom
# (critical_pod_test.go), and who comes back when there is room.
. /put/lib.sh

# pod NAME CPU-REQUEST MORE-OF-THE-SPEC
pod() { cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 1
  $3
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    resources: {requests: {cpu: $2, memory: 1Mi}}
Y
}
amount() { berth get node -o yaml | sed -n "/^  $1:/,/^  [a-z]/s/^    $2: \"*\([0-9a-zA-Z]*\)\"*$/\1/p"; }
reason_of() { berth get pod "$1" -o yaml | sed -n 's/^  reason: //p'; }
waits() { [ "$(reason_of "$1")" = "$2" ]; }

cat >/etc/berth/config.yaml <<'Y'
kubeReserved: {memory: 16Mi}
systemReserved: {memory: 16Mi, ephemeral-storage: 1Mi}
evictionHard: {memory.available: 8Mi, nodefs.available: 2Mi}
Y
echo 4 >/proc/sys/vm/nr_hugepages
LARGE=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
LARGE_KI=$(($(cat $LARGE) * 2048))
/etc/init.d/berth stop
/etc/init.d/berth start
serves
pod first 100m '' | drop first.yaml; ready first
is "CPUs" "$(nproc)" "$(amount capacity cpu)"
M_KI=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)
is "memory" "${M_KI}Ki" "$(amount capacity memory)"
is "pages of 2 MiB" "${LARGE_KI}Ki" "$(amount capacity hugepages-2Mi)"
is "memory for pods: less what is reserved, kept free and in those pages" "$((M_KI - 32768 - 8192 - LARGE_KI))Ki" "$(amount allocatable memory)"
D_KI=$(amount capacity ephemeral-storage | tr -d Ki)
is "disk for pods" "$((D_KI - 1024 - 2048))Ki" "$(amount allocatable ephemeral-storage)"
is "all pods together may use what is not reserved" $(((M_KI - 32768) * 1024)) "$(cat /sys/fs/cgroup/kubepods/memory.max)"
check "describe node sums up" sh -c 'berth describe node | grep -q "all that run.*100m of"'
berth get nodes -o wide

step "admission, tried again when there is room"
HALF=$((1000 * $(nproc) * 6 / 10))m
pod one $HALF '' | drop one.yaml; ready one
pod two $HALF '' | drop two.yaml
eventually 20 "the second one waits" waits two OutOfcpu
check "and says for what" sh -c 'berth get events --for two | grep -q "didn.t have enough resource: cpu, requested: '"${HALF%m}"'"'
check "nothing is made for it" test ! -e "/run/berth/pods/$(uid_of two)"
rm $M/one.yaml
ready two
drop huge.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: huge}
spec:
  containers:
  - {name: main, image: berth.test/busybox:1, command: [sleep, "1"], resources: {requests: {memory: 100Gi}}}
Y
eventually 20 "memory is looked at" waits huge OutOfmemory
rm $M/huge.yaml; gone huge
drop pages.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: pages}
spec:
  containers:
  - {name: main, image: berth.test/busybox:1, command: [sleep, "1"], resources: {limits: {memory: 8Mi, hugepages-2Mi: $((LARGE_KI + 2048))Ki}}}
Y
eventually 20 "so are larger pages" waits pages OutOfhugepages-2Mi
rm $M/pages.yaml; gone pages

step "a critical pod takes the room of another, which comes back"
pod critical $HALF 'priorityClassName: system-node-critical' | drop critical.yaml
ready critical
eventually 20 "the other one waits" waits two OutOfcpu
check "why it went is told" sh -c 'berth get events --for two | grep -q "Preempting.*Preempted in order to admit pod default/critical-"'
C=$(find "$(cgroup_of critical)" -mindepth 1 -maxdepth 1 -type d)
is "its oom_score_adj" -997 "$(cat /proc/$(head -n 1 "$C/cgroup.procs")/oom_score_adj)"
is "who had room for both stays" 0 "$(column first 4)"
pod equal $HALF 'priority: 2000001000' | drop equal.yaml
eventually 20 "an equal one waits" waits equal OutOfcpu
rm $M/equal.yaml; gone equal
kill -9 "$(agent_pid)"; serves
ready critical
rm $M/critical.yaml
ready two
rm $M/two.yaml; gone two

step "order between pods, and the opposite one on the way down"
# follows NAME OTHERS PROBE: says in /tmp/order when it begins and when it is asked to stop.
mkdir -p /tmp/order
follows() { cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1, annotations: {berth/start-after: "$2"}}
spec:
  terminationGracePeriodSeconds: 20
  volumes: [{name: order, hostPath: {path: /tmp/order}}]
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'trap "echo stop $1 >>/order/log; exit 0" TERM; echo start $1 >>/order/log; sleep 2; touch /tmp/up; while :; do sleep 0.1; done']
    readinessProbe: {exec: {command: [sh, -c, "test -e /tmp/up"]}, periodSeconds: 1}
    volumeMounts: [{name: order, mountPath: /order}]
Y
}
follows web 'db, migrate' | drop 1-web.yaml
eventually 20 "it waits for one that is nowhere" sh -c 'berth get pod web -o yaml | grep -q "begins after pod default/db, which no manifest has"'
drop 2-migrate.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: migrate}
spec:
  restartPolicy: OnFailure
  volumes: [{name: order, hostPath: {path: /tmp/order}}]
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'sleep 2; echo migrated >>/order/log']
    volumeMounts: [{name: order, mountPath: /order}]
Y
follows db '' | sed 's/, annotations: {berth.start-after: ""}//' | drop 3-db.yaml
ready web
is "the last to begin" "start web" "$(tail -n 1 /tmp/order/log)"
is "all before it" "migrated start db" "$(head -n 2 /tmp/order/log | sort | tr '\n' ' ' | sed 's/ $//')"
follows ring-a ring-b | drop ring-a.yaml
follows ring-b ring-a | drop ring-b.yaml
eventually 20 "a circle is told" sh -c 'berth get events --for ring-a | grep -q "StartAfterCircle.*default/ring-a-.* after default/ring-b-"'
rm $M/ring-*.yaml; gone ring-a; gone ring-b
berth drain --timeout=60s
is "they went in the opposite order" "stop web stop db" "$(tail -n 2 /tmp/order/log | tr '\n' ' ' | sed 's/ $//')"
nothing_left
