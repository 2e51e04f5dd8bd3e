#!/bin/sh
# Stop, start and upgrade of the service: the pods run on and are adopted; what happened to the manifests in
# between is acted on with full grace.
. /put/lib.sh

pod() {
    drop "$1.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'trap "echo bye; usleep 500000; echo done >/out/$1; exit 0" TERM; i=0; while :; do i=\$((i+1)); echo "line \$i"; usleep 50000; done']
    volumeMounts: [{name: out, mountPath: /out}]
  volumes: [{name: out, hostPath: {path: /root/out, type: DirectoryOrCreate}}]
Y
}
first_pid() { cat "$(cgroup_of "$1")"/*/cgroup.procs | head -n 1; }
pod one; pod two; ready one; ready two
P1=$(first_pid one); P2=$(first_pid two)

step "stop and start"
/etc/init.d/berth stop
eventually 20 "the agent is gone" sh -c '! berth get pods'
check "the pods run on" kill -0 "$P1"
rm $M/two.yaml
/etc/init.d/berth start
eventually 20 "Berth is back" berth get pods
ready one
gone two
is "the removed pod had its grace" done "$(cat /root/out/two)"
is "the other one was adopted" "$P1" "$(first_pid one)"
is "and not restarted" 0 "$(column one 4)"

step "upgrade in place"
cp /usr/bin/berth /usr/bin/berth.new && mv /usr/bin/berth.new /usr/bin/berth
K=$(keeper_pid) A=$(agent_pid)
check "the keeper takes the new program" berth upgrade /usr/bin/berth
check "another agent serves" berth get pods
check "its predecessor is gone" test ! -e "/proc/$A"
is "same keeper process" "$K" "$(keeper_pid)"
is "same container" "$P1" "$(first_pid one)"
is "every line is there once" "" "$(berth logs one | awk '{ n++; if ($2 != n) { print "line " n " is " $2; exit } }')"

step "grace goes on over a new agent"
drop slow.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: slow}
spec:
  terminationGracePeriodSeconds: 8
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'trap "echo asked >>/out/asked" TERM; touch /out/traps; while :; do usleep 50000; done']
    volumeMounts: [{name: out, mountPath: /out}]
  volumes: [{name: out, hostPath: {path: /root/out, type: DirectoryOrCreate}}]
Y
ready slow
eventually 10 "its handler is in place" test -e /root/out/traps
since() { berth get pod slow -o yaml | sed -n 's/^ *deletionTimestamp: *//p'; }
rm $M/slow.yaml
eventually 10 "it is asked to stop" test -s /root/out/asked
eventually 10 "the stop is remembered" sh -c 'cat /var/lib/berth/pods/*/checkpoint* | grep -q "\"terminating\":{"'
S=$(since)
kill -9 "$(agent_pid)"
eventually 20 "Berth is back" berth get pods
is "its grace is the one that began before" "$S" "$(since)"
gone slow
is "it was asked once" asked "$(cat /root/out/asked)"

step "a configuration that no agent can run with"
service_ended() { ! kill -0 "$(cat /run/berth-service.pid)"; }
said() { grep -c 'nonsense' /var/log/berth.log; }
echo 'nonsense: true' >/etc/berth/config.yaml
kill -9 "$(agent_pid)"
eventually 30 "the service ends" service_ended
is "the reason is said once" 1 "$(said)"
check "the pod runs on" kill -0 "$P1"
is "berth keeper ends with EX_CONFIG" 78 "$(berth keeper >/dev/null 2>/root/why; echo $?)"
check "and says the reason" grep -q nonsense /root/why
rm /etc/berth/config.yaml
/etc/init.d/berth start
eventually 20 "Berth is back" berth get pods
is "same container" "$P1" "$(first_pid one)"

step "the keeper's children die and come back"
for p in $(pidof berth); do tr '\0' ' ' <"/proc/$p/cmdline" | grep -q zygote && kill -9 "$p"; done
pod three; ready three
rm $M/*.yaml; gone one; gone three
nothing_left
