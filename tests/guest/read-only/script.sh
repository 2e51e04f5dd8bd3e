#!/bin/sh
# An appliance whose root is read-only: only /run and the data partition can be written to. Its vendor's pods come up
# by themselves, at the first boot and after each cut of the power (`cargo xtask power-cuts --scenario read-only`), and
# nobody has to lend a hand; what the pods keep is on the data partition.
. /put/lib.sh
B=$(cat /proc/sys/kernel/random/boot_id)
cat >/usr/share/berth/manifests/app.yaml <<'Y'
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'cat /proc/sys/kernel/random/boot_id >>/data/boots; sync; echo started; sleep 100000']
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
Y
mount -o remount,ro / || fail "the root cannot be made read-only"
check "the root is read-only" sh -c '! touch /etc/berth/x 2>/dev/null'
/etc/init.d/berth start
serves
check "the gate opens" berth health --wait --timeout=60s --stable=1s --at-least=1
is "the machine has all it needs" "" "$(berth doctor -q | grep '^FAIL')"
is "its log is there" started "$(berth logs app)"
is "commands run in it" 0 "$(berth exec app -- true; echo $?)"
is "it has begun once in this boot" 1 "$(berth exec app -- grep -c "$B" /data/boots)"
is "and in each boot before, as far as they came to it" "" "$(berth exec app -- cat /data/boots | sort | uniq -d)"
check "the owner cannot drop a manifest into a read-only /etc" sh -c '! echo >/etc/berth/manifests/x.yaml 2>/dev/null'
check "the image store is whole" berth image verify
[ "$(cat /put/boot)" = last ] && exit 0
echo "power-cut: working"
while :; do
    berth import /put/one.tar || fail "import"
    berth exec app -- sh -c 'echo line >>/data/log; echo told >/proc/1/fd/1' || fail "a command"
    berth image rm --force berth.test/churn:1 || fail "removal"
    berth image prune --all
done
