#!/bin/sh
# securityContext, host namespaces and volumes as the process in the container sees them.
. /put/lib.sh
drop sec.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: sec}
spec:
  terminationGracePeriodSeconds: 1
  hostname: custom
  hostAliases: [{ip: 10.1.2.3, hostnames: [plc.local]}]
  securityContext: {runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000, supplementalGroups: [4000]}
  containers:
  - name: plain
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    securityContext:
      readOnlyRootFilesystem: true
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL]}
    volumeMounts:
    - {name: data, mountPath: /data}
    - {name: data, mountPath: /sub, subPath: inner/deep}
    - {name: etc, mountPath: /hostetc, readOnly: true}
  - name: root
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    securityContext: {runAsUser: 0, capabilities: {add: [NET_ADMIN], drop: [CHOWN]}}
  - name: priv
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    securityContext: {privileged: true, runAsUser: 0}
  volumes: [{name: data, emptyDir: {}}, {name: etc, hostPath: {path: /etc, type: Directory}}]
Y
ready sec
inside() { c=$1; shift; berth exec sec -c "$c" -- "$@"; }
field() { inside "$1" sed -n "s/^$2:[[:space:]]*//p" /proc/1/status; }
is "uid" 1000 "$(inside plain id -u)"
is "gid" 2000 "$(inside plain id -g)"
check "groups" sh -c 'berth exec sec -c plain -- id -G | grep -q "3000.*4000\|4000.*3000"'
is "no capabilities" 0000000000000000 "$(field plain CapBnd)"
is "no new privileges" 1 "$(field plain NoNewPrivs)"
is "a seccomp filter" 2 "$(field plain Seccomp)"
inside plain touch /x; is "read-only root" 1 $?
is "fsGroup lets it write" "" "$(inside plain touch /data/file)"
is "and owns the file" 3000 "$(inside plain stat -c %g /data/file)"
is "subPath" "" "$(inside plain sh -c 'touch /data/inner/deep/seen 2>&1; ls /sub | grep -v seen')"
inside plain touch /hostetc/x; is "read-only hostPath" 1 $?
is "hostname" custom "$(inside plain hostname)"
check "hostAliases" sh -c 'berth exec sec -c plain -- grep -q "10.1.2.3.*plc.local" /etc/hosts'
is "loopback is up" "" "$(inside plain ping -c1 -W1 127.0.0.1 >/dev/null 2>&1 || inside root sh -c 'ip link show lo | grep -q UP || echo down')"
is "root container: seccomp" 2 "$(field root Seccomp)"
is "root container: filter holds in exec too" 2 "$(inside root sed -n 's/^Seccomp:[[:space:]]*//p' /proc/self/status)"
is "privileged: no filter" 0 "$(field priv Seccomp)"
is "privileged: sees the disk" "" "$(inside priv sh -c 'test -b /dev/vda || echo missing')"
is "not privileged: does not" "" "$(inside root sh -c 'test -b /dev/vda && echo there')"
is "kernel settings are read-only" 1 "$(inside root sh -c 'echo 1 >/proc/sys/kernel/panic 2>/dev/null; echo $?')"

step "runAsNonRoot refuses root"
drop nonroot.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: nonroot}
spec:
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "1"], securityContext: {runAsNonRoot: true}}]
Y
eventually 30 "it waits with Kubernetes' reason" status_is nonroot- CreateContainerConfigError

step "host namespaces"
drop host.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: host}
spec:
  hostNetwork: true
  hostPID: true
  hostIPC: true
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"]}]
Y
ready host
is "host network" "$(readlink /proc/1/ns/net)" "$(berth exec host -- readlink /proc/self/ns/net)"
is "host pids" "$(readlink /proc/1/ns/pid)" "$(berth exec host -- readlink /proc/self/ns/pid)"
rm $M/*.yaml; gone sec; gone host; gone nonroot
nothing_left
