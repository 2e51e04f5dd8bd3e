#!/bin/sh
# What pods may write to the disk: sizeLimit of volumes, ephemeral-storage of containers and pods (quota_lsci_test.go).
# A pod that writes more goes, with kubelet's reason, and comes back with an empty volume.
. /put/lib.sh

step "limits that are kept"
drop modest.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: modest}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: data, emptyDir: {sizeLimit: 4Mi}}]
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'dd if=/dev/zero of=/data/f bs=1024 count=512; dd if=/dev/zero of=/f bs=1024 count=512; exec sleep 100000']
    resources: {limits: {ephemeral-storage: 8Mi}}
    volumeMounts: [{name: data, mountPath: /data}]
Y
ready modest
is "nothing is said to be without its limit" "" "$(berth get events | grep NotEnforced)"

step "a volume"
mkdir -p /tmp/marks
drop greedy.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  terminationGracePeriodSeconds: 30
  volumes:
  - {name: data, emptyDir: {sizeLimit: 1Mi}}
  - {name: marks, hostPath: {path: /tmp/marks}}
  containers:
  - name: main
    image: berth.test/busybox:1
    # The first run writes too much and does not hear its stop signal; the second finds an empty volume.
    command:
    - sh
    - -c
    - |
      if [ -e /marks/greedy ]; then ls /data >/marks/found; exec sleep 100000; fi
      touch /marks/greedy; dd if=/dev/zero of=/data/f bs=1024 count=2048
      trap '' TERM; while :; do sleep 1; done
    volumeMounts: [{name: data, mountPath: /data}, {name: marks, mountPath: /marks}]
Y
eventually 60 "it is evicted" sh -c 'berth get events | grep -q "Evicted.*Usage of EmptyDir volume \"data\" exceeds the limit \"1Mi\""'
eventually 60 "it is shown so" status_is greedy Evicted
is "phase" Failed "$(berth get pod greedy -o yaml | sed -n 's/^  phase: //p')"
ready greedy 90s
eventually 20 "it has looked" test -e /tmp/marks/found
is "its volume was made anew" "" "$(cat /tmp/marks/found)"
is "restarts" 0 "$(column greedy 4)"

step "a container's root file system, of a pod that is never to be restarted"
drop layer.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: layer}
spec:
  terminationGracePeriodSeconds: 1
  restartPolicy: Never
  containers:
  - name: other
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    resources: {limits: {ephemeral-storage: 100Mi}}
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'dd if=/dev/zero of=/f bs=1024 count=2048; exec sleep 100000']
    resources: {limits: {ephemeral-storage: 1Mi}}
Y
eventually 60 "it is evicted" sh -c 'berth get events | grep -q "Evicted.*Container main exceeded its local ephemeral storage limit \"1Mi\""'
eventually 60 "nothing of it runs" sh -c '! find /sys/fs/cgroup/kubepods -type d -name "pod*" | grep -q "$(berth get pod layer -o yaml | sed -n "s/^  *uid: *//p" | head -n 1)"'
kill -9 "$(agent_pid)"
serves
eventually 20 "another agent knows" status_is layer Evicted
is "phase" Failed "$(berth get pod layer -o yaml | sed -n 's/^  phase: //p')"

step "logs count, and the pod as a whole"
drop chatty.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: chatty}
spec:
  terminationGracePeriodSeconds: 1
  restartPolicy: Never
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'yes 0123456789012345678901234567890123456789 | head -n 30000; exec sleep 100000']
    resources: {limits: {ephemeral-storage: 1Mi}}
Y
eventually 90 "it is evicted" sh -c 'berth get events | grep -q "Evicted.*Pod ephemeral local storage usage exceeds the total limit of containers 1Mi"'
status_is modest Running || fail "modest does not run"
is "restarts of the modest one" 0 "$(column modest 4)"
rm $M/*.yaml
gone modest; gone greedy; gone layer; gone chatty
nothing_left
