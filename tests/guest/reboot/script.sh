#!/bin/sh
# Two boots on one disk, the power cut between them: pods come back, emptyDir and restart counts stay, a
# finished job stays finished.
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
Y
    cp /var/keep/app.yaml $M/app.yaml
    /etc/init.d/berth start
    serves
    ready app
    eventually 60 "the job is done" status_is once- Completed
    eventually 60 "the crashing pod backs off" status_is crash- CrashLoopBackOff
    berth get pods
    sync
    exit 0
fi
step "second boot"
# A real box has its manifests on the disk: they are there before Berth is.
cp /var/keep/app.yaml $M/app.yaml
/etc/init.d/berth start
serves
ready app
berth get pods
is "emptyDir outlived the reboot" 2 "$(berth exec app -- sh -c 'wc -l </data/boots')"
is "the container counts as restarted" 1 "$(column app 4)"
is "the finished job did not run again" 1 "$(wc -l </var/keep/once/runs)"
is "it is still shown as done" Completed "$(column once- 3)"
check "the crash counter goes on" test "$(column crash- 4)" -ge 2
