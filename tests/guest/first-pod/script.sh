#!/bin/sh
# A manifest that was there at boot runs; one that is dropped in runs; it is shown, logged, entered; removed,
# it leaves nothing.
. /put/lib.sh

step "a manifest dropped into the directory becomes a running pod"
drop hello.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata:
  name: hello
  labels: {app: hello}
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'echo "hello from $(hostname)"; echo oops >&2; trap "exit 0" TERM; while :; do sleep 1; done']
    env: [{name: COLOUR, value: blue}]
  - name: side
    image: berth.test/busybox:1
    command: [sleep, "100000"]
Y
ready hello
berth get pods -o wide
is "two containers are ready" 2/2 "$(column hello 2)"
is "status" Running "$(column hello 3)"
is "name carries the node" "hello-$(hostname)" "$(column hello 1)"

step "logs, exec, describe, events"
# Two pipes: which of the two lines is read first is nobody's promise.
is "stdout is logged" "hello from hello-edge" "$(berth logs hello -c main | grep -v oops)"
check "CRI log format" grep -qE '^[0-9T:.-]+Z stderr F oops$' /var/log/pods/default_hello-edge_*/main/0.log
is "exec sees the environment" blue "$(berth exec hello -c main -- sh -c 'echo $COLOUR')"
berth exec hello -c main -- sh -c 'exit 7'; is "exec returns the command's status" 7 $?
is "own pid namespace" 1 "$(berth exec hello -c main -- sh -c 'cat /proc/1/stat | cut -d" " -f1')"
is "pod's hostname" hello-edge "$(berth exec hello -c side -- cat /etc/hostname)"
check "describe works" sh -c 'berth describe pod hello | grep -q COLOUR'
check "events tell of the start" sh -c 'berth get events | grep -q Started'
check "images are listed" sh -c 'berth get images | grep -q berth.test/busybox'
check "no overlay in the host's mounts" sh -c '! grep -q "^overlay" /proc/mounts'

step "the test suite that a board gets"
BERTH_PTEST_IMAGE=berth.test/busybox:1 BERTH_PTEST_COMMAND='[sleep, "100000"]' sh /put/run-ptest >/root/ptest || { cat /root/ptest; fail "it"; }
is "it told of each thing that it is well" 9 "$(grep -c '^PASS: ' /root/ptest)"
is "and of nothing else" "" "$(grep -v '^PASS: ' /root/ptest)"

step "a manifest that is removed takes its pod along"
rm $M/hello.yaml
gone hello
nothing_left
