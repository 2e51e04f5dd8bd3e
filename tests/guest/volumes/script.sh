#!/bin/sh
# Volumes as the processes in the containers, and on the node, see them: what passes between mounts, what may
# be written, what large pages hold.
. /put/lib.sh

# As a system's first mount usually is; Berth's copies of it are made from here on.
mount --make-rshared /
mkdir -p /srv/share /srv/tree
mount -t tmpfs share /srv/share && mount --make-rshared /srv/share
mount -t tmpfs sub /srv/tree
mkdir -p /srv/tree/below && mount -t tmpfs below /srv/tree/below && chmod 777 /srv/tree/below

step "mountPropagation (node/mount_propagation.go)"
drop share.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: share}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: private
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    volumeMounts: [{name: share, mountPath: /share, mountPropagation: None}]
  - name: slave
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    volumeMounts: [{name: share, mountPath: /share, mountPropagation: HostToContainer}]
  - name: master
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    securityContext: {privileged: true}
    volumeMounts: [{name: share, mountPath: /share, mountPropagation: Bidirectional}]
  volumes: [{name: share, hostPath: {path: /srv/share, type: Directory}}]
Y
ready share
in_share() { c=$1; shift; berth exec share -c "$c" -- "$@"; }
mkdir /srv/share/host /srv/share/master /srv/share/slave
mount -t tmpfs host /srv/share/host && echo host >/srv/share/host/file
in_share master mount -t tmpfs master /share/master
in_share master sh -c 'echo master >/share/master/file'
seen() { in_share "$1" cat "/share/$2/file" 2>/dev/null; }
is "the node's mount does not reach None" "" "$(seen private host)"
is "the node's mount reaches HostToContainer" host "$(seen slave host)"
is "the node's mount reaches Bidirectional" host "$(seen master host)"
is "the container's mount reaches the node" master "$(cat /srv/share/master/file)"
is "and from there HostToContainer" master "$(seen slave master)"
is "and not None" "" "$(seen private master)"
umount /srv/share/master /srv/share/host

step "a volume that can pass no mounts is refused in words"
mount --make-rprivate /srv/tree
drop alone.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: alone}
spec:
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    volumeMounts: [{name: tree, mountPath: /tree, mountPropagation: HostToContainer}]
  volumes: [{name: tree, hostPath: {path: /srv/tree}}]
Y
eventually 30 "it waits with Kubernetes' reason" status_is alone- CreateContainerConfigError
check "and says what to do" sh -c 'berth describe pod alone | grep -q "make-rshared /srv/tree"'

step "recursiveReadOnly (mount_rro_linux_test.go)"
drop rro.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: rro}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    volumeMounts:
    - {name: tree, mountPath: /plain, readOnly: true}
    - {name: tree, mountPath: /off, readOnly: true, recursiveReadOnly: Disabled}
    - {name: tree, mountPath: /if, readOnly: true, recursiveReadOnly: IfPossible}
    - {name: tree, mountPath: /on, readOnly: true, recursiveReadOnly: Enabled}
  volumes: [{name: tree, hostPath: {path: /srv/tree}}]
Y
ready rro
writes() { berth exec rro -- touch "$1/x" 2>/dev/null; echo $?; }
is "read-only" 1 "$(writes /plain)"
is "but not what is mounted below it" 0 "$(writes /plain/below)"
is "nor with Disabled" 0 "$(writes /off/below)"
is "IfPossible: below it too" 1 "$(writes /if/below)"
is "Enabled: below it too" 1 "$(writes /on/below)"

step "emptyDir in large pages (hugepages_test.go)"
echo 8 >/proc/sys/vm/nr_hugepages
drop pages.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: pages}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    resources: {limits: {cpu: 500m, memory: 32Mi, hugepages-2Mi: 4Mi}}
    volumeMounts: [{name: pages, mountPath: /pages}]
  volumes: [{name: pages, emptyDir: {medium: HugePages}}]
Y
ready pages
is "a file system of large pages" hugetlbfs "$(berth exec pages -- sh -c 'grep " /pages " /proc/mounts' | cut -d' ' -f3)"
is "of the size asked for" 1 "$(berth exec pages -- sh -c 'grep " /pages " /proc/mounts' | grep -c pagesize=2M)"
C=$(find "$(cgroup_of pages)" -mindepth 1 -maxdepth 1 -type d)
is "its limit is the kernel's" 4194304 "$(cat $C/hugetlb.2MB.max)"
echo 0 >/proc/sys/vm/nr_hugepages

step "an image as a volume (image_volume.go)"
drop images.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: images}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    volumeMounts:
    - {name: tools, mountPath: /tools}
    - {name: tools, mountPath: /only-bin, subPath: bin}
  - name: other
    image: berth.test/busybox:1
    command: [sleep, "100000"]
  - name: waits
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    volumeMounts: [{name: none, mountPath: /none}]
  volumes:
  - {name: tools, image: {reference: "berth.test/busybox:1"}}
  - {name: none, image: {reference: "berth.test/none:1", pullPolicy: Never}}
  - {name: unused, image: {reference: "berth.test/unused:1"}}
Y
runs() { berth exec images -c "$1" -- true; }
eventually 30 "containers start that need nothing else" runs other
check "its content is there" berth exec images -c main -- sh -c "[ -e /tools/bin/busybox ]"
check "and a part of it by subPath" berth exec images -c main -- sh -c "[ -e /only-bin/busybox ]"
is "read-only" 1 "$(berth exec images -c main -- touch /tools/x 2>/dev/null; echo $?)"
check "an image that is not there: the container that wants it waits with Kubernetes' reason" \
    sh -c 'berth get pod images -o yaml | grep -q "reason: ErrImageNeverPull"'
rm $M/images.yaml; gone images

step "fsGroupChangePolicy, and a subPathExpr that comes to nothing"
owned() {
    cat <<Y
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: kept}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: owned}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {fsGroup: 4242, fsGroupChangePolicy: $1}
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    volumeMounts: [{name: kept, mountPath: /kept}]
  volumes: [{name: kept, persistentVolumeClaim: {claimName: kept}}]
Y
}
K=/var/lib/berth/claims/default/kept
gid_of_file() { stat -c %g $K/file; }
owned OnRootMismatch | drop owned.yaml
ready owned
is "a claim that is new is given to the group" 4242 "$(stat -c %g $K)"
touch $K/file && chown 0:0 $K/file
rm $M/owned.yaml; gone owned
owned OnRootMismatch | drop owned.yaml
ready owned
is "one that has it is not walked with OnRootMismatch" 0 "$(gid_of_file)"
rm $M/owned.yaml; gone owned
owned Always | drop owned.yaml
ready owned
is "and is with Always" 4242 "$(gid_of_file)"
rm $M/owned.yaml; gone owned
drop nothing.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: nothing}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    env: [{name: PART, value: ""}]
    volumeMounts: [{name: all, mountPath: /all, subPathExpr: $(PART)}]
  volumes: [{name: all, emptyDir: {}}]
Y
eventually 30 "an empty variable is an error, and not the whole volume" status_is nothing- CreateContainerConfigError

step "all of it goes"
rm $M/*.yaml
gone share; gone rro; gone pages; gone alone; gone nothing
rm -r $K
umount /srv/share /srv/tree/below /srv/tree
nothing_left
