#!/bin/sh
# Devices without privileges: by path and by CDI name, plugged in and out while pods want them.
. /put/lib.sh
plug() { insmod "/lib/modules/$(grep "^\(.*/\)*$1[.]ko" /lib/modules/order)"; }
link() { mkdir -p /dev/disk/by-id; ln -sfn "$1" /dev/disk/by-id/usb-stick; }
told() { berth get events | grep "$1" | grep -q "$2"; }
condition() { berth get pod "$1" -o yaml | grep -A 8 'type: DevicesPresent' | grep -q "$2" || berth get pod "$1" -o yaml | grep -B 8 'type: DevicesPresent' | grep -q "$2"; }
pid_of() { berth exec "$1" -c "$2" -- cat /proc/1/stat | cut -d' ' -f22; }
rmmod null_blk; rmmod tun
is "nothing is plugged in" "" "$(ls -d /dev/nullb0 /dev/net/tun 2>/dev/null)"

step "a pod waits for its device, and begins when it is plugged in"
drop stick.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata:
  name: stick
  annotations:
    berth/devices: |
      - {path: /dev/disk/by-id/usb-stick, as: /dev/stick, access: r, containers: [main]}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsUser: 1000, runAsGroup: 2000}
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
  - name: other
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    securityContext: {runAsUser: 0, capabilities: {add: [MKNOD]}}
Y
eventually 30 "it waits" status_is stick DeviceUnavailable
check "and says for what" sh -c 'berth get pod stick -o yaml | grep -q "waits for a device: /dev/disk/by-id/usb-stick is not there"'
check "an event says so" told DeviceUnavailable usb-stick
plug null_blk
is "the kernel made its node" "" "$(test -b /dev/nullb0 || echo missing)"
check "without its lasting name it waits on" status_is stick DeviceUnavailable
link ../../nullb0
ready stick
is "owner, group" "1000 2000" "$(berth exec stick -c main -- stat -c '%u %g' /dev/stick)"
check "it can be read" berth exec stick -c main -- dd if=/dev/stick of=/dev/null bs=4096 count=1
berth exec stick -c main -- sh -c 'dd if=/dev/zero of=/dev/stick bs=4096 count=1' >/dev/null 2>&1; is "and not written" 1 $?
is "the other container has no node" "" "$(berth exec stick -c other -- sh -c 'test -e /dev/stick && echo there')"
major=$(stat -c %t /dev/nullb0)
berth exec stick -c other -- sh -c "mknod /tmp/x b $((0x$major)) 0 && dd if=/tmp/x of=/dev/null bs=4096 count=1" >/dev/null 2>&1; is "and cannot make one" 1 $?

step "it goes, and comes back"
before=$(pid_of stick main)
rm /dev/disk/by-id/usb-stick
eventually 30 "an event tells that it is gone" told DeviceGone usb-stick
check "a condition, too" condition stick 'status: "False"'
is "nobody was stopped" "$before" "$(pid_of stick main)"
link ../../nullb0
eventually 30 "it is told that it is back" told DeviceBack usb-stick
check "and the condition is over" sh -c '! berth get pod stick -o yaml | grep -q DevicesPresent'
is "nobody was stopped" "$before" "$(pid_of stick main)"
rm /dev/disk/by-id/usb-stick
kill -9 "$(agent_pid)"; serves
link ../../zero
replaced() { [ "$(berth exec stick -c main -- stat -c '%t:%T' /dev/stick 2>/dev/null)" = 1:5 ]; }
eventually 60 "another device behind the name is given by a restart" replaced
check "it can be read" berth exec stick -c main -- dd if=/dev/stick of=/dev/null bs=4096 count=1
rm $M/stick.yaml; gone stick

step "devices by CDI, as limits: one container's at a time"
for name in one two; do drop $name.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: $name}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsUser: 1000}
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sleep, "100000"]
    resources: {limits: {example.com/tunnel: 1}}
Y
done
eventually 30 "there is no such kind" status_is one DeviceUnavailable
check "and that is said" sh -c 'berth get pod one -o yaml | grep -q "no CDI specification has a device of the kind example.com/tunnel"'
mkdir -p /etc/cdi
cat >/etc/cdi/.new <<'Y'
cdiVersion: 0.6.0
kind: example.com/tunnel
containerEdits: {env: [TUNNEL=yes], hooks: [{hookName: createContainer, path: /put/scenario/hook.sh}]}
devices:
- name: only
  containerEdits:
    deviceNodes: [{path: /dev/net/tun}]
    mounts: [{hostPath: /etc/hostname, containerPath: /opt/node, options: [ro, nosuid]}]
Y
mv /etc/cdi/.new /etc/cdi/tunnel.yaml
said() { berth get pod "$1" -o yaml | grep -q "$2"; }
eventually 30 "the kind is known, its device is not there" said one '/dev/net/tun is not there'
plug tun
eventually 60 "one of them gets it" sh -c '[ "$(berth get pods --no-headers | grep -c Running)" = 1 ]'
first=$(berth get pods --no-headers | awk '/Running/ { sub(/-[^-]*$/, "", $1); print $1 }')
[ "$first" = one ] && second=two || second=one
check "the other one waits" status_is $second DeviceUnavailable
check "and says why" said $second 'requested example.com/tunnel: 1, free: 0, in use: 1'
check "it can be opened" berth exec "$first" -- sh -c ': <>/dev/net/tun'
is "its variable" yes "$(berth exec "$first" -- sh -c 'echo $TUNNEL')"
is "its file" "$(cat /etc/hostname)" "$(berth exec "$first" -- cat /opt/node)"
check "its hook was told the container" grep -q '"bundle"' /run/hooked.json
kill -9 "$(agent_pid)"; serves
check "the next agent knows whose it is" status_is $second DeviceUnavailable
rm $M/$first.yaml; gone "$first"
ready $second
rm $M/$second.yaml; gone $second

step "by a CDI name, for all containers of a pod"
drop named.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: named, annotations: {cdi.k8s.io/tunnel: example.com/tunnel=only}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"]}]
Y
ready named
check "it can be opened" berth exec named -- sh -c ': <>/dev/net/tun'
rm $M/named.yaml; gone named
nothing_left
