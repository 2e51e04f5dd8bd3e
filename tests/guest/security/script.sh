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

step "kernel settings (sysctl.go)"
drop sysctl.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: tuned}
spec:
  terminationGracePeriodSeconds: 1
  securityContext:
    sysctls:
    - {name: kernel.shm_rmid_forced, value: "1"}
    - {name: net/ipv4/ip_unprivileged_port_start, value: "0"}
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  securityContext: {sysctls: [{name: kernel.msgmax, value: "1000"}]}
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"]}]
Y
ready tuned
is "of the pod's IPC" 1 "$(berth exec tuned -- cat /proc/sys/kernel/shm_rmid_forced)"
is "and not the node's" 0 "$(cat /proc/sys/kernel/shm_rmid_forced)"
is "of the pod's network" 0 "$(berth exec tuned -- cat /proc/sys/net/ipv4/ip_unprivileged_port_start)"
is "and not the node's" 1024 "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)"
reason_is() { [ "$(berth get pod "$1" -o yaml | sed -n 's/^  reason: //p')" = "$2" ]; }
eventually 30 "what is not safe is refused with Kubernetes' reason" reason_is greedy SysctlForbidden
rm $M/sysctl.yaml; gone tuned; gone greedy

step "the image's groups (supplementalGroupsPolicy)"
drop groups.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: merge}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsUser: 0, supplementalGroups: [4000]}
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: strict}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsUser: 0, supplementalGroups: [4000], supplementalGroupsPolicy: Strict}
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"]}]
Y
ready merge; ready strict
groups() { berth exec "$1" -- sed -n 's/^Groups:[[:space:]]*//p' /proc/1/status | sed 's/ *$//'; }
is "Strict: what the pod says and no more" "0 4000" "$(groups strict)"
check "Merge: the pod's are among them" sh -c 'echo "$1" | grep -q 4000' sh "$(groups merge)"
rm $M/groups.yaml; gone merge; gone strict

step "names and name servers (pod_hostnamefqdn_test.go, pod_hostnameoverride.go, dns.go)"
drop dns.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: fqdn}
spec:
  terminationGracePeriodSeconds: 1
  hostname: db
  subdomain: shop
  setHostnameAsFQDN: true
  dnsPolicy: None
  dnsConfig: {nameservers: [192.0.2.53], searches: [example.com], options: [{name: ndots, value: "2"}]}
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: override}
spec:
  terminationGracePeriodSeconds: 1
  hostnameOverride: plc.line4
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: outside}
spec:
  terminationGracePeriodSeconds: 1
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"]}]
Y
ready fqdn; ready override; ready outside
is "the full name" db.shop.default.svc "$(berth exec fqdn -- hostname)"
check "and both in hosts" sh -c 'berth exec fqdn -- grep -q "db.shop.default.svc.*db$" /etc/hosts'
is "dnsPolicy None: dnsConfig only" "search example.com nameserver 192.0.2.53 options ndots:2" \
    "$(berth exec fqdn -- cat /etc/resolv.conf | tr '\n' ' ' | sed 's/ $//')"
is "hostnameOverride" plc.line4 "$(berth exec override -- hostname)"
is "ClusterFirstWithHostNet: the name server of pods" "nameserver 10.86.0.1" "$(berth exec outside -- grep nameserver /etc/resolv.conf)"
rm $M/dns.yaml; gone fqdn; gone override; gone outside

step "pods that want another node"
drop elsewhere.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: elsewhere}
spec:
  nodeSelector: {disk: ssd}
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: here}
spec:
  terminationGracePeriodSeconds: 1
  nodeSelector: {kubernetes.io/os: linux}
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"]}]
Y
ready here
eventually 30 "a nodeSelector that does not fit" reason_is elsewhere NodeAffinity
rm $M/elsewhere.yaml; gone here; gone elsewhere

step "one set of process numbers (security_context_test.go)"
drop share.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: share}
spec:
  terminationGracePeriodSeconds: 1
  shareProcessNamespace: true
  containers:
  - {name: one, image: "berth.test/busybox:1", command: [sleep, "100001"]}
  - name: two
    image: berth.test/busybox:1
    command: [sh, -c, "sleep 100002 & sleep 100003"]
    securityContext: {capabilities: {add: [SYS_PTRACE]}}
Y
ready share
two() { berth exec share -c two -- "$@"; }
check "one container sees the other's processes" sh -c 'berth exec share -c two -- ps | grep -q "sleep 10000[1]"'
is "the first process is nobody's" 65535 "$(two stat -c %u /proc/1)"
is "it may do nothing" 0000000000000000 "$(two sed -n 's/^CapPrm:[[:space:]]*//p' /proc/1/status)"
is "and shows nothing of the node" "" "$(two ls /proc/1/root/ 2>/dev/null)"
is "it is in the pod's network" "$(two readlink /proc/self/ns/net)" "$(two readlink /proc/1/ns/net)"
two sh -c '(sleep 0.1 &) ; exit 0'
eventually 10 "it reaps what is left behind" sh -c '! berth exec share -c two -- ps | grep -q "[s]leep 0.1"'
two sh -c 'kill -9 1' 2>/dev/null
check "it cannot be killed from inside" two true
kill -9 "$(agent_pid)"; serves
check "it outlives the agent" two true
FIRST=$(for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline 2>/dev/null | grep -q '^/proc/self/exe pod-init' && grep -q '^NSpid:.*[[:space:]]1$' $p/status && echo ${p#/proc/}; done)
kill -9 "$FIRST"
restarted() { [ "$(column share 4)" -ge 2 ]; }
eventually 60 "without it all containers end, and start again with another" restarted
ready share
check "and share again" sh -c 'berth exec share -c two -- ps | grep -q "sleep 10000[1]"'
rm $M/share.yaml; gone share

step "security modules of the kernel (apparmor_test.go)"
drop modules.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: labelled}
spec:
  securityContext: {seLinuxOptions: {level: "s0:c1,c2"}}
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: profiled}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    securityContext: {appArmorProfile: {type: Localhost, localhostProfile: no-such-profile}}
Y
eventually 30 "SELinux, which this kernel has not on" reason_is labelled SELinux
if [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ]; then
    eventually 30 "a profile that is not loaded" sh -c 'berth get pod profiled -o yaml | grep -q "AppArmor profile no-such-profile: it is not loaded"'
else
    eventually 30 "AppArmor, which this kernel has not on" reason_is profiled AppArmor
fi
rm $M/modules.yaml; gone labelled; gone profiled

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
