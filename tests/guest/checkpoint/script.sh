#!/bin/sh
# Run over and over on one disk, with the power cut in between (`cargo xtask power-cuts --scenario checkpoint`). Each boot
# has no network and no manifest: what runs runs from checkpoints, and must be whole. Then addresses and files change as fast
# as they can, and with each change a checkpoint is written, until the power goes.
. /put/lib.sh
W=/root/www
mkdir -p $W
cat >/etc/berth/config.yaml <<'Y'
staticPodURL: {url: "http://127.0.0.1:8080/pods.yaml", checkFrequency: 1s, timeout: 20s}
Y
# What a cut write leaves beside the whole file: shows that the power did go in the middle of one.
find /var/lib/berth/kept /var/lib/berth/urls -name '*.new' 2>/dev/null | sed 's/^/power-cut: unfinished write: /'
/etc/init.d/berth start
serves
# pod NAME NUMBER IMAGE: with two maps that have the same number in them, and a Secret.
pod() {
    cat <<Y
apiVersion: v1
kind: ConfigMap
metadata: {name: $1-a}
data: {number: "$2"}
binaryData: {filling: $FILLING}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: $1-b}
data: {number: "$2"}
---
apiVersion: v1
kind: Secret
metadata: {name: $1-word}
stringData: {word: hush}
---
apiVersion: v1
kind: Pod
metadata: {name: $1, annotations: {berth/checkpoint: "$4"}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: $3
    imagePullPolicy: IfNotPresent
    command: [sh, -c, 'sleep 100000']
    envFrom: [{secretRef: {name: $1-word}}]
    volumeMounts: [{name: a, mountPath: /a}, {name: b, mountPath: /b}]
  volumes: [{name: a, configMap: {name: $1-a}}, {name: b, configMap: {name: $1-b}}]
---
Y
}
# Enough that writing it takes a while.
FILLING=$(head -c 150000 /dev/urandom | base64 | tr -d '\n')
head -c 200000 /dev/urandom | base64 | sed 's/^/# /' >/root/comment
number() { berth exec "$1" -- cat "/$2/number"; }
both() {
    pod file "$1" berth.test/churn:1 true | drop file.yaml
    { pod url "$1" berth.test/busybox:1 false; cat /root/comment; } >$W/.new && mv $W/.new $W/pods.yaml
}
if [ -e /var/begun ]; then
    step "a boot with no network and no manifest, after a power cut"
    for pod in file url; do
        ready $pod 120s
        is "$pod: what belongs together is of one moment" "$(number $pod a)" "$(number $pod b)"
        is "$pod: its secret is there" hush "$(berth exec $pod -- sh -c 'echo $word')"
    done
    check "no checkpoint is damaged" sh -c '! berth get events | grep -q CheckpointDamaged'
    is "the very image that it ran" one "$(berth exec file -- cat /version)"
    check "not the one that has its name now" sh -c 'berth image inspect berth.test/churn:1 | grep -q "$(cat /var/two)"'
    check "that is told" sh -c 'berth get events | grep -q CheckpointUsed'
    check "and shown" sh -c 'berth get sources | grep -q "^Checkpoint .*Held"'
    [ "$(cat /put/boot)" = last ] && { step "a person ends it"; berth checkpoint rm file; gone file; exit 0; }
else
    check "the first image comes" berth import /put/one.tar
    both 0
    httpd -p 127.0.0.1:8080 -h $W
    ready file 120s
    ready url 120s
    eventually 20 "the images are known to the checkpoint of the file" sh -c 'berth checkpoint show file | grep -q "digest: sha256:"'
    eventually 20 "and to that of the address" sh -c 'berth checkpoint show http://127.0.0.1:8080/pods.yaml | grep -q "digest: sha256:"'
    check "the second image takes its name" berth import /put/two.tar
    berth image inspect berth.test/churn:1 | grep -o 'sha256:[0-9a-f]*' | head -n 1 >/var/two
    sync
    touch /var/begun
    sync
fi
pidof httpd >/dev/null || { both 1; httpd -p 127.0.0.1:8080 -h $W; }
ready file
is "its manifest is there again, and it is the same pod" one "$(berth exec file -- cat /version)"
# It was asked in vain before, and is asked again after a while.
eventually 90 "the address is heard" sh -c 'berth get sources | grep -q "^URL .*Current"'
echo "power-cut: working"
n=1
while :; do
    n=$((n + 1))
    both $n
    [ $((n % 20)) = 0 ] && { eventually 60 "the newest is there" sh -c "[ \$(berth exec file -- cat /a/number) = $n ]"; berth image verify >/dev/null || fail "the store"; }
    usleep 300000
done
