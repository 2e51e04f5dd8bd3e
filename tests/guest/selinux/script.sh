#!/bin/sh
# SELinux with a policy loaded and enforced: containers run under the label of their seLinuxOptions, have files of that
# level, and are held to them.
. /put/lib.sh

inside() { p=$1; c=$2; shift 2; berth exec "$p" -c "$c" -- "$@"; }
label() { inside "$1" "$2" cat /proc/1/attr/current | tr -d '\0'; }
# writes POD CONTAINER FILE: its status.
writes() { inside "$1" "$2" sh -c "echo x >>$3" 2>/dev/null; echo $?; }
says() { berth get pod "$1" -o yaml | grep -q "$2"; }

secilc -c 33 -o /tmp/policy -f /dev/null /put/scenario/policy.cil || fail "the policy"
mount -t selinuxfs selinuxfs /sys/fs/selinux
dd if=/tmp/policy of=/sys/fs/selinux/load bs=1M 2>/dev/null || { dmesg | grep -i selinux | tail; fail "the policy is not loaded"; }
# What was there before the policy has no label.
echo 1 >/sys/fs/selinux/enforce
is "it is enforced" 1 "$(cat /sys/fs/selinux/enforce)"
/etc/init.d/berth start; serves
is "the node's processes" system_u:system_r:node_t:s0-s0:c0.c3 "$(tr -d '\0' </proc/self/attr/current)"

mkdir /tmp/nodes
drop web.yaml <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {port: "80"}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 60
  securityContext: {seLinuxOptions: {level: "s0:c1,c2"}}
  initContainers:
  - name: early
    image: berth.test/busybox:1
    command: [sh, -c, 'echo x >/data/early && tr -d "\0" </proc/self/attr/current >>/data/early']
    volumeMounts: [{name: data, mountPath: /data}]
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'trap "exit 0" TERM; while :; do usleep 100000; done']
    securityContext: {allowPrivilegeEscalation: false}
    volumeMounts: [{name: data, mountPath: /data}, {name: ram, mountPath: /ram}, {name: part, mountPath: /part, subPath: a/b}, {name: settings, mountPath: /settings}, {name: others, mountPath: /others}, {name: nodes, mountPath: /nodes}]
  - name: other
    image: berth.test/busybox:1
    command: [sh, -c, 'trap "exit 0" TERM; while :; do usleep 100000; done']
    securityContext: {seLinuxOptions: {level: "s0:c3"}}
    volumeMounts: [{name: others, mountPath: /others}, {name: nodes, mountPath: /nodes}]
  - name: free
    image: berth.test/busybox:1
    command: [sh, -c, 'trap "exit 0" TERM; while :; do usleep 100000; done']
    securityContext: {seLinuxOptions: {type: node_t}}
    volumeMounts: [{name: nodes, mountPath: /nodes}]
  volumes:
  - {name: data, emptyDir: {}}
  - {name: ram, emptyDir: {medium: Memory}}
  - {name: part, emptyDir: {}}
  - {name: others, emptyDir: {}}
  - {name: settings, configMap: {name: settings}}
  - {name: nodes, hostPath: {path: /tmp/nodes}}
---
apiVersion: v1
kind: Pod
metadata: {name: wrong}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    securityContext: {seLinuxOptions: {type: nobody_knows_t}}
---
apiVersion: v1
kind: Pod
metadata: {name: plain}
spec:
  terminationGracePeriodSeconds: 60
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'trap "exit 0" TERM; while :; do usleep 100000; done']
    volumeMounts: [{name: nodes, mountPath: /nodes}]
  volumes: [{name: nodes, hostPath: {path: /tmp/nodes}}]
Y
ready web 120s; ready plain
step "processes"
is "the pod's options" system_u:system_r:container_t:s0:c1,c2 "$(label web main)"
is "the container's own" system_u:system_r:container_t:s0:c3 "$(label web other)"
is "another type" system_u:system_r:node_t:s0 "$(label web free)"
is "a command" system_u:system_r:container_t:s0:c1,c2 "$(inside web main cat /proc/self/attr/current | tr -d '\0')"
is "an init container" system_u:system_r:container_t:s0:c1,c2 "$(inside web main sed -n 2p /data/early)"
is "who has no options stays as the node is" system_u:system_r:node_t:s0-s0:c0.c3 "$(label plain main)"
eventually 30 "a label that the policy does not have is told" says wrong "SELinux label system_u:system_r:nobody_knows_t:s0: the kernel does not know it"

step "files: what is theirs they may write"
for file in /mine /data/file /ram/file /part/file /dev/shm/file /dev/termination-log /etc/hosts; do
    is "$file" 0 "$(writes web main $file)"
done
is "settings are read" 80 "$(inside web main cat /settings/port)"
is "another level has its own" 0 "$(writes web other /others/file)"

step "and what is not theirs they may not"
: >/tmp/nodes/file
is "a file of another level" 1 "$(writes web main /others/file)"
is "a file of the node's" 1 "$(writes web main /nodes/file)"
is "which is not given another label" 0 "$(writes web free /nodes/file)"
echo x >/var/lib/berth/pods/"$(uid_of web)"/volumes/data/nodes
is "a file that the node puts there is theirs" 0 "$(writes web main /data/nodes)"
rm $M/web.yaml
gone web 20s; gone plain 20s; gone wrong 20s
nothing_left
