#!/bin/sh
# Pods held to AppArmor profiles: loaded ones, the default one, and one that is loaded only later (apparmor_test.go).
. /put/lib.sh

# load NAME: a profile by which a container may do what it likes, but for one file.
load() { printf 'profile %s flags=(attach_disconnected,mediate_deleted) {\n file,\n network,\n capability,\n signal,\n deny /data/locked w,\n}\n' "$1" | apparmor_parser -Kr; }
# inside POD CONTAINER COMMAND…
inside() { p=$1; c=$2; shift 2; berth exec "$p" -c "$c" -- "$@"; }
label() { inside "$1" "$2" cat /proc/1/attr/apparmor/current; }
# writes POD CONTAINER FILE: its status.
writes() { inside "$1" "$2" sh -c "echo x >/data/$3" 2>/dev/null; echo $?; }
waits_for() { berth get pod "$1" -o yaml | grep -q "AppArmor profile $2: it is not loaded in the kernel"; }

mount -t securityfs securityfs /sys/kernel/security
is "AppArmor" Y "$(cat /sys/module/apparmor/parameters/enabled)"
load edge
check "a profile is loaded" grep -q '^edge (enforce)' /sys/kernel/security/apparmor/profiles

step "what a profile forbids fails: in init containers, containers, probes and commands"
drop held.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: held}
spec:
  terminationGracePeriodSeconds: 60
  securityContext: {appArmorProfile: {type: Localhost, localhostProfile: edge}}
  initContainers:
  - name: early
    image: berth.test/busybox:1
    command: [sh, -c, 'echo x >/data/open; echo x >/data/locked; echo $? >/data/early']
    volumeMounts: [{name: data, mountPath: /data}]
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'echo x >/data/locked; echo $? >/data/main; trap "exit 0" TERM; while :; do usleep 100000; done']
    securityContext: {allowPrivilegeEscalation: false}
    readinessProbe: {exec: {command: [sh, -c, '! echo x >/data/locked']}, periodSeconds: 1}
    volumeMounts: [{name: data, mountPath: /data}]
  - name: free
    image: berth.test/busybox:1
    command: [sh, -c, 'trap "exit 0" TERM; while :; do usleep 100000; done']
    securityContext: {appArmorProfile: {type: Unconfined}}
    volumeMounts: [{name: data, mountPath: /data}]
  - name: other
    image: berth.test/busybox:1
    command: [sh, -c, 'trap "exit 0" TERM; while :; do usleep 100000; done']
    securityContext: {runAsUser: 1000, appArmorProfile: {type: Localhost, localhostProfile: other}}
  volumes: [{name: data, emptyDir: {}}]
---
apiVersion: v1
kind: Pod
metadata: {name: users}
spec:
  terminationGracePeriodSeconds: 60
  hostUsers: false
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'echo x >/data/locked; echo $? >/data/main; trap "exit 0" TERM; while :; do usleep 100000; done']
    securityContext: {appArmorProfile: {type: Localhost, localhostProfile: edge}}
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, emptyDir: {}}]
Y
eventually 60 "a profile that is not loaded is waited for" waits_for held other
load other
ready held 120s; ready users
is "in the init container" 1 "$(inside held main cat /data/early)"
is "in the container" 1 "$(inside held main cat /data/main)"
is "in a command" 1 "$(writes held main locked)"
is "what it does not forbid is done" 0 "$(writes held main open)"
is "its profile" "edge (enforce)" "$(label held main)"
is "the container's own comes before the pod's" "other (enforce)" "$(label held other)"
is "Unconfined" unconfined "$(label held free)"
is "and held to nothing" 0 "$(writes held free locked)"
is "with users of the pod's own" "edge (enforce) 1" "$(label users main) $(inside users main cat /data/main)"
is "and in a command there" 1 "$(writes users main locked)"
rm $M/held.yaml
gone held 20s; gone users 20s

step "the default profile: for who asks for it, and for who asks for none once it is there"
plain() { drop "$1.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 60
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'trap "exit 0" TERM; while :; do usleep 100000; done']
    securityContext: {capabilities: {add: [SYS_ADMIN]}}
  - name: privileged
    image: berth.test/busybox:1
    command: [sh, -c, 'trap "exit 0" TERM; while :; do usleep 100000; done']
    securityContext: {privileged: true}
Y
}
plain before
ready before
is "what is not there is not tried" "" "$(dmesg | grep berth-default)"
drop default.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: default}
spec:
  terminationGracePeriodSeconds: 60
  securityContext: {appArmorProfile: {type: RuntimeDefault}}
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'trap "exit 0" TERM; while :; do usleep 100000; done']
    securityContext: {capabilities: {add: [SYS_ADMIN]}}
Y
# plain NAME
mounts() { inside "$1" "$2" sh -c 'mkdir -p /m; mount -t tmpfs none /m' 2>/dev/null; echo $?; }
eventually 60 "who asks for it waits" waits_for default berth-default
is "without it, nothing is held" "unconfined 0" "$(label before main) $(mounts before main)"
apparmor_parser -Kr /etc/apparmor.d/berth-default
plain after
ready default 120s; ready after
is "who asked for it" "berth-default (enforce)" "$(label default main)"
is "mounts nothing" 255 "$(mounts default main)"
is "who asked for nothing" "berth-default (enforce)" "$(label after main)"
is "mounts nothing" 255 "$(mounts after main)"
is "who is privileged does as it likes" "unconfined 0" "$(label after privileged) $(mounts after privileged)"
is "what ran before stays as it was" unconfined "$(label before main)"
is "and so are commands in it" unconfined "$(inside before main cat /proc/self/attr/apparmor/current)"
is "which may signal it" "" "$(inside before main kill -CONT 1 2>&1)"
is "as others may who are all held to it" "" "$(inside after main kill -CONT 1 2>&1)"
rm $M/*.yaml
gone default 20s; gone before 20s; gone after 20s
nothing_left
