#!/bin/sh
# An appliance whose root is read-only: only /run and the data partition can be written to. Its vendor's pods come up
# by themselves, at the first boot and after the power was cut; what they keep is on the data partition.
. /put/lib.sh
cat >/usr/share/berth/manifests/app.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'echo boot >>/data/boots; sync; echo started; sleep 100000']
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, emptyDir: {}}]
Y
mount -o remount,ro / || fail "the root cannot be made read-only"
check "the root is read-only" sh -c '! touch /etc/berth/x 2>/dev/null'
/etc/init.d/berth start
serves
check "the gate opens" berth health --wait --timeout=60s --stable=1s --at-least=1
is "the machine has all it needs" "" "$(berth doctor -q | grep '^FAIL')"
is "its log is there" started "$(berth logs app)"
is "commands run in it" 0 "$(berth exec app -- true; echo $?)"
is "it has begun once in each boot" "$(cat /put/boot)" "$(berth exec app -- wc -l /data/boots | cut -d' ' -f1)"
check "the owner cannot drop a manifest into a read-only /etc" sh -c '! echo >/etc/berth/manifests/x.yaml 2>/dev/null'
