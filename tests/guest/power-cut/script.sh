#!/bin/sh
# Run by `cargo xtask power-cuts` over and over on one disk. First: is all well after the last cut? Then: import, pull,
# start, replace, remove and collect images until the power goes. On the last boot: end here.
LOG=/var/log/berth.log
[ -e $LOG ] && mv $LOG /var/log/berth.before.log
. /put/lib.sh
mkdir -p /etc/berth
echo 'imageFsVerity: true' >>/etc/berth/config.yaml
printf '[[registry]]\nlocation = "hub.test:5000"\ninsecure = true\n' >/etc/berth/registries.conf
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
# A registry of files in memory: the second image, by another name.
registry() {
    W=/run/www/v2/shop/pulled
    mkdir -p $W/manifests $W/blobs /run/layout
    tar -xf /put/two.tar -C /run/layout
    for blob in /run/layout/blobs/sha256/*; do mv "$blob" "$W/blobs/sha256:$(basename "$blob")"; done
    D=$(sed 's/.*"digest":"\(sha256:[0-9a-f]*\)".*/\1/' /run/layout/index.json)
    cp "$W/blobs/$D" $W/manifests/1; cp "$W/blobs/$D" "$W/manifests/$D"
    grep -q hub.test /etc/hosts || echo "127.0.0.1 hub.test" >>/etc/hosts
    httpd -p 127.0.0.1:5000 -h /run/www
}
pull() { berth image pull hub.test:5000/shop/pulled:1; }
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
registry
check "the image of the registry is pulled, or is there" pull
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
    pull || fail "pull"
    berth image rm --force hub.test:5000/shop/pulled:1 || fail "removal of what was pulled"
    pull || fail "pull again"
    berth import /put/one.tar || fail "import of the first image"
    churn
    ready churn 120s
done
