#!/bin/sh
# Run by `cargo xtask power-cuts` over and over on one disk. First: is all well after the last cut? Then: import,
# start, replace, remove and collect images until the power goes. On the last boot: end here.
LOG=/var/log/berth.log
[ -e $LOG ] && mv $LOG /var/log/berth.before.log
. /put/lib.sh
/etc/init.d/berth start
serves
# What opening the store found: leftovers are to be expected, whatever is half and has a name is not.
grep -c 'left in the image store is removed' $LOG | sed 's/^/power-cut: openings that removed leftovers: /'
grep 'left in the image store is removed' $LOG
if grep 'is set aside' $LOG; then fail "something half had a name"; fi
stays() {
    drop stays.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: stays}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: "berth.test/busybox:1", command: [sh, -c, 'sleep 100000']}]
Y
}
churn() {
    drop churn.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: churn}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "berth.test/churn:1", imagePullPolicy: IfNotPresent, command: [sh, -c, 'sleep 100000']}]
Y
}
whole() { berth image verify || fail "a part of the store is damaged"; echo "ok: the store is whole"; }
stays
ready stays 120s
whole
# The other image is as it was, or is imported again.
check "the image is imported again" berth import /put/one.tar
churn
ready churn 120s
is "it is the one that was imported" one "$(berth exec churn -- cat /version)"
is "all of its files are there" 400 "$(berth exec churn -- sh -c 'cat /data/* | wc -l' | awk '{print $1 / 50}')"
whole
[ "$(cat /put/boot)" = last ] && exit 0
echo "power-cut: working"
while :; do
    berth import /put/two.tar || fail "import of the second image"
    rm $M/churn.yaml
    berth wait pod/churn --for=delete --timeout=60s >/dev/null || fail "churn does not go"
    churn
    ready churn 120s
    rm $M/churn.yaml
    berth wait pod/churn --for=delete --timeout=60s >/dev/null || fail "churn does not go"
    berth image rm --force berth.test/churn:1 || fail "removal"
    berth image prune --all
    berth import /put/one.tar || fail "import of the first image"
    churn
    ready churn 120s
done
