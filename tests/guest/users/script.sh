#!/bin/sh
# hostUsers: false: users of the pod's own, which are nobody on the node and stay the same.
. /put/lib.sh
mkdir -p /var/shared; echo ours >/var/shared/file; chmod 600 /var/shared/file; chmod 755 /var/shared
drop secret.yaml <<'Y'
apiVersion: v1
kind: Secret
metadata: {name: token}
stringData: {key: sesame}
Y
drop own.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata:
  name: own
  annotations: {berth/devices: "[{path: /dev/zero, as: /dev/given, containers: [worker]}]"}
spec:
  hostUsers: false
  terminationGracePeriodSeconds: 1
  securityContext: {fsGroup: 3000}
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    securityContext: {capabilities: {add: [NET_ADMIN, SYS_ADMIN]}}
    volumeMounts:
    - {name: data, mountPath: /data}
    - {name: memory, mountPath: /memory}
    - {name: shared, mountPath: /shared}
    - {name: claim, mountPath: /claim}
    - {name: token, mountPath: /token}
    - {name: files, mountPath: /files}
  - name: worker
    image: berth.test/busybox:1
    command: [sh, -c, 'echo hello >/dev/stdout; exec sleep 100000']
    securityContext: {runAsUser: 1000, runAsGroup: 2000}
    volumeMounts: [{name: data, mountPath: /data}]
  volumes:
  - {name: data, emptyDir: {}}
  - {name: memory, emptyDir: {medium: Memory}}
  - {name: shared, hostPath: {path: /var/shared, type: Directory}}
  - {name: claim, persistentVolumeClaim: {claimName: kept}}
  - {name: token, secret: {secretName: token, defaultMode: 0400}}
  - {name: files, image: {reference: "berth.test/busybox:1"}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: kept}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
Y
ready own
inside() { c=$1; shift; berth exec own -c "$c" -- "$@"; }
base=$(sed 's/.*"base":\([0-9]*\).*/\1/' "/var/lib/berth/pods/$(uid_of own)/users.json")
check "it has a range" test "$base" -ge 1073741824
is "root in the pod" 0 "$(inside main id -u)"
host_uid() { for p in $(cat "$(cgroup_of own)"/*/cgroup.procs); do stat -c %u "/proc/$p"; done | sort -n | tr '\n' ' '; }
is "is nobody on the node" "$base $((base + 1000)) " "$(host_uid)"
is "the kernel's map" "0 $base 65536" "$(inside main cat /proc/self/uid_map | tr -s ' ' | sed 's/^ //; s/ $//')"
is "the image's files are its root's" "0 0" "$(inside main stat -c '%u %g' /bin/busybox)"
is "so are those of an image as a volume" "0 0" "$(inside main stat -c '%u %g' /files/bin/busybox)"
is "of which no layer stays mounted on the node" "" "$(cut -d' ' -f2 /proc/mounts | grep "/run/berth/pods/$(uid_of own)/layers")"
check "it can change the image's files" inside main chown 5:6 /bin/busybox
check "and its network" inside main ip link set lo mtu 1400
inside main sh -c 'echo 1 >/proc/sys/vm/drop_caches' 2>/dev/null; is "not the node's settings" 1 $?
is "what a user writes is its own" "1000 3000" "$(inside worker sh -c 'touch /data/x; stat -c "%u %g" /data/x')"
is "and nobody's on the node" "$((base + 1000)) $((base + 3000))" "$(stat -c '%u %g' "/var/lib/berth/pods/$(uid_of own)/volumes/"*data*/x 2>/dev/null || find "/var/lib/berth/pods/$(uid_of own)" -name x -exec stat -c '%u %g' {} \;)"
check "memory, too" inside main touch /memory/x
is "a secret is its root's" "sesame" "$(inside main cat /token/key)"
is "a file of the node's is owned as it was" "0 ours" "$(inside main sh -c 'echo $(stat -c %u /shared/file) $(cat /shared/file)')"
check "and made there so" sh -c 'berth exec own -c main -- touch /shared/new && [ "$(stat -c %u /var/shared/new)" = 0 ]'
check "a claim outlives it with owners that mean something" sh -c 'berth exec own -c main -- touch /claim/x && [ "$(stat -c %u /var/lib/berth/claims/default/kept/x)" = 0 ]'
check "its output can be opened again" sh -c 'berth logs own -c worker | grep -q hello'
is "a device is its user's" "1000 2000" "$(inside worker stat -c '%u %g' /dev/given)"
check "and can be read" inside worker dd if=/dev/given of=/dev/null bs=1 count=1
check "a terminal works" sh -c 'berth exec own -c main -- sh -c "echo x >/dev/null"'
drop shares.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: shares}
spec:
  hostUsers: false
  shareProcessNamespace: true
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"]}]
Y
ready shares
is "processes are shared" 65535 "$(berth exec shares -- stat -c %u /proc/1)"
check "two pods have two ranges" test "$base" != "$(sed 's/.*"base":\([0-9]*\).*/\1/' "/var/lib/berth/pods/$(uid_of shares)/users.json")"
rm $M/shares.yaml; gone shares

step "/proc is not covered for who asks (proc_mount_test.go)"
drop open.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: open}
spec:
  hostUsers: false
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"], securityContext: {procMount: Unmasked}}]
Y
ready open
is "nothing lies over it" 0 "$(berth exec open -- sh -c 'grep -c " /proc/" /proc/mounts')"
check "as it does over others'" sh -c 'berth exec own -c main -- grep -q " /proc/" /proc/mounts'
rm $M/open.yaml; gone open

step "ids stay: over a restart of the container, of the agent, and of Berth"
kill -9 "$(agent_pid)"; serves
is "as before" "$base $((base + 1000)) " "$(host_uid)"
kill -9 "$(cat "$(cgroup_of own)"/*/cgroup.procs | head -n 1)"
restarted() { [ "$(column own 2) $(column own 4)" = "2/2 1" ]; }
eventually 30 "it is restarted" restarted
is "as before" "$base $((base + 1000)) " "$(host_uid)"
is "and owns what it owned" "1000 3000" "$(inside worker stat -c '%u %g' /data/x)"

step "what cannot be is refused in words"
cat >/tmp/bad.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: bad}
spec:
  hostUsers: false
  hostNetwork: true
  securityContext: {runAsUser: 70000}
  containers: [{name: main, image: "berth.test/busybox:1", securityContext: {privileged: true}}]
Y
said=$(berth check /tmp/bad.yaml 2>&1)
for words in 'spec.hostNetwork: Forbidden: when hostUsers is false' 'runAsUser: Invalid value: "70000": must be less than 65536' 'privileged: Forbidden'; do
    check "$words" sh -c 'echo "$1" | grep -qF "$2"' sh "$said" "$words"
done
drop unmapped.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: unmapped}
spec:
  hostUsers: false
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"], volumeMounts: [{name: v, mountPath: /v}]}]
  volumes: [{name: v, hostPath: {path: /etc/berth, type: Directory}}]
Y
eventually 30 "a file system that cannot map owners is named" sh -c 'berth get events | grep -q "/etc/berth: the kernel cannot map owners on its file system"'
rm $M/unmapped.yaml; gone unmapped
rm $M/own.yaml $M/secret.yaml; gone own
is "the claim's file is root's" 0 "$(stat -c %u /var/lib/berth/claims/default/kept/x)"
nothing_left
