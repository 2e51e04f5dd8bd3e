#!/bin/sh
# Two boots on one disk, the power cut between them: pods come back, emptyDir and restart counts stay, a
# finished job stays finished, users of a pod's own are the same; and so is a pod that got other labels in between.
. /put/lib.sh
if [ "$(cat /put/boot)" = 1 ]; then
    mkdir -p /var/keep
    cat >/var/keep/app.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'echo boot >>/data/boots; wc -l </data/boots; sleep 100000']
    volumeMounts: [{name: data, mountPath: /data}, {name: ram, mountPath: /ram}]
  volumes: [{name: data, emptyDir: {}}, {name: ram, emptyDir: {medium: Memory, sizeLimit: 1Mi}}]
---
apiVersion: v1
kind: Pod
metadata: {name: once}
spec:
  restartPolicy: OnFailure
  containers: [{name: main, image: "berth.test/busybox:1", command: [sh, -c, 'echo ran >>/data/runs'], volumeMounts: [{name: data, mountPath: /data}]}]
  volumes: [{name: data, hostPath: {path: /var/keep/once, type: DirectoryOrCreate}}]
---
apiVersion: v1
kind: Pod
metadata: {name: crash}
spec:
  containers: [{name: main, image: "berth.test/busybox:1", command: [sh, -c, 'exit 3']}]
---
apiVersion: v1
kind: Pod
metadata: {name: own}
spec:
  hostUsers: false
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'cat /proc/self/uid_map >>/data/maps; sleep 100000']
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, emptyDir: {}}]
Y
    cp /var/keep/app.yaml $M/app.yaml
    /etc/init.d/berth start
    serves
    ready app; ready own
    eventually 60 "the job is done" status_is once- Completed
    eventually 60 "the crashing pod backs off" status_is crash- CrashLoopBackOff
    sed -i 's/metadata: {name: app}/metadata: {name: app, labels: {tier: one}}/' /var/keep/app.yaml
    U=$(uid_of app); echo "$U" >/var/keep/app.uid
    cp /var/keep/app.yaml $M/app.yaml
    eventually 20 "a label is applied" sh -c 'berth get pods -l tier=one --no-headers | grep -q "^app-"'
    is "to the pod that runs" "$U" "$(uid_of app)"
    eventually 20 "and that is on the disk" grep -q "\"revision\":\"$(berth get pod app -o yaml | sed -n 's/.*config.hash: *"*\([0-9a-f]*\)"*$/\1/p')\"" "/var/lib/berth/pods/$U/checkpoint"
    # The next revision comes while there is no power.
    sed -i 's/tier: one/tier: two/' /var/keep/app.yaml
    berth get pods
    sync
    exit 0
fi
step "second boot"
layers() { [ "$(ls /var/lib/berth/containers)" = "$(ls /run/berth/containers)" ]; }
check "what containers of the first boot have written is there" sh -c '[ -n "$(ls /var/lib/berth/containers)" ]'
# A real box has its manifests on the disk: they are there before Berth is.
cp /var/keep/app.yaml $M/app.yaml
/etc/init.d/berth start
serves
ready app; ready own
berth get pods
eventually 20 "and is removed beside the pods of this one" layers
is "emptyDir outlived the reboot" 2 "$(berth exec app -- sh -c 'wc -l </data/boots')"
is "a pod whose manifest got other labels is the one that it was" "$(cat /var/keep/app.uid)" "$(uid_of app)"
is "and has them" 1 "$(berth get pods -l tier=two --no-headers | grep -c '^app-')"
is "the container counts as restarted" 1 "$(column app 4)"
is "the finished job did not run again" 1 "$(wc -l </var/keep/once/runs)"
is "it is still shown as done" Completed "$(column once- 3)"
check "the crash counter goes on" test "$(column crash- 4)" -ge 2
is "users of a pod's own are the same" "1 of 2" "$(berth exec own -- sh -c 'echo $(sort -u /data/maps | wc -l) of $(wc -l </data/maps)')"
is "so its files are still its own" 0 "$(berth exec own -- stat -c %u /data/maps)"
