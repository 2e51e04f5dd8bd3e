#!/bin/sh
# Pods from an address: they come and change with what it says, nothing but an explicit empty list takes them away,
# and after a boot without a server they start from what was kept. The cases of kubelet's own tests of its source by HTTP
# are here under their names; all of them, and more, are in the simulator (`tests/src/sim/address_tests.rs`).
. /put/lib.sh
W=/root/www
mkdir -p $W /etc/berth
cat >/etc/berth/config.yaml <<'Y'
staticPodURL:
- {url: "http://127.0.0.1:8080/pods.yaml", checkFrequency: 1s, timeout: 2s}
- {url: "http://127.0.0.1:8081/never", checkFrequency: 1s}
- {url: "https://127.0.0.1:8082/", caFile: /none.pem}
- {url: "http://127.0.0.1:8080/cgi-bin/box", checkFrequency: 1s, headers: {X-Box: [seven]}}
Y
mkdir -p $W/cgi-bin
# Says what is in box.json, and only to who is box seven.
cat >$W/cgi-bin/box <<'Y'
#!/bin/sh
[ "$HTTP_X_BOX" = seven ] && [ -e ../box.json ] || { printf 'Status: 403 Forbidden\r\nContent-Length: 0\r\n\r\n'; exit; }
printf 'Content-Type: application/json\r\nContent-Length: %s\r\n\r\n' "$(wc -c <../box.json)"
cat ../box.json
Y
chmod +x $W/cgi-bin/box
# item NAME: a pod as JSON.
item() { printf '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "%s"}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "berth.test/busybox:1", "command": ["sleep", "100000"]}]}}' "$1"; }
box() { cat >$W/.box && mv $W/.box $W/box.json; }
B=http://127.0.0.1:8080/cgi-bin/box
serve() { httpd -p 127.0.0.1:8080 -h $W; }
# say: standard input becomes what is served.
say() { cat >$W/.new && mv $W/.new $W/pods.yaml; }
state() { berth get sources --no-headers | awk -v l="$1" '$2 == l { print $4 }'; }
state_is() { [ "$(state "$1")" = "$2" ]; }
U=http://127.0.0.1:8080/pods.yaml
pods() {
    cat <<Y
apiVersion: v1
kind: Secret
metadata: {name: word}
stringData: {word: hush-$1}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'echo \$WORD; sleep 100000']
    env: [{name: WORD, valueFrom: {secretKeyRef: {name: word, key: word}}}]
Y
}
/etc/init.d/berth start
serves

if [ "$(cat /put/boot)" = 1 ]; then
    step "an address that has never answered is told"
    check "as a problem" sh -c "berth get problems | grep -q 'has never answered'"
    check "of one that is misconfigured the line too" sh -c "berth get problems | grep -q 'config.yaml:4:1.*/none.pem'"
    step "pods come and change with what is said"
    pods one | say
    serve
    ready web
    eventually 20 "its word is said" sh -c 'berth logs web | grep -qx hush-one'
    check "what is kept is root's" test "$(stat -c %a /var/lib/berth/urls/* | sort -u)" = 600
    one=$(uid_of web)
    pods two | say
    eventually 60 "the new one is said" sh -c 'berth logs web 2>/dev/null | grep -qx hush-two'
    ready web
    two=$(uid_of web)
    check "another revision" test "$one" != "$two"
    step "TestURLWithHeader, TestExtractPodsFromHTTP"
    item one | box
    ready one
    is "what was asked for with a header is shown without it" "" "$(berth config 2>/dev/null | grep seven)"
    echo "{\"apiVersion\": \"v1\", \"kind\": \"PodList\", \"items\": [$(item one), $(item two)]}" | box
    ready two
    ready one
    echo "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [$(item two)]}" | box
    gone one
    ready two
    echo '{"apiVersion": "v1", "kind": "PodList", "items": []}' | box
    gone two
    step "TestExtractFromHttpBadness, TestExtractInvalidPods"
    wrong() {
        box
        eventually 30 "$1 is refused" state_is $B Refused
        check "it is told" sh -c "berth get problems | grep -q 'cgi-bin/box'"
        ready web
        echo '{"apiVersion": "v1", "kind": "PodList", "items": []}' | box
        eventually 30 "and is well again" state_is $B Current
    }
    echo 'bad json' | wrong "what is no JSON"
    item foo | sed 's/"v1"/"v9"/' | wrong "an invalid version"
    item foo | sed 's/"containers"/"volumes": [{"name": "_INVALID_", "emptyDir": {}}], &/' | wrong "an invalid volume name"
    item foo | sed 's/"containers"/"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}], &/' | wrong "a volume name twice"
    item foo | sed 's/"name": "c"/"name": ""/' | wrong "a container without a name"
    item foo | sed 's/"name": "c"/"name": "_INVALID_"/' | wrong "an invalid container name"
    is "nothing of it ran" "" "$(berth get pods --no-headers | grep foo)"
    step "no error takes it away (TestURLErrorNotExistNoUpdate)"
    : | say
    eventually 20 "an empty answer is refused" state_is $U Refused
    is "it runs on" "$two" "$(uid_of web)"
    rm $W/pods.yaml
    eventually 20 "one that is missing is an error" state_is $U Failing
    kill "$(pidof httpd)"
    eventually 20 "so is a server that is gone" sh -c 'berth get sources | grep -q "pods.yaml.*refused"'
    ready web
    is "the same still" "$two" "$(uid_of web)"
    echo "$two" >/var/uid
    check "events of the node tell of it" sh -c "berth get events | grep -q 'SourceFailed.*node/'"
    check "one that has never answered is no reason to be unwell" sh -c "! berth health | grep -q 'never answered'"
    check "what is kept is shown" sh -c "berth checkpoint show $U | grep -q 'name: web'"
    check "without its secret" sh -c "! berth checkpoint show $U | grep hush"
    berth get sources
    sync
    exit 0
fi
step "a boot without a server"
ready web
is "the same revision" "$(cat /var/uid)" "$(uid_of web)"
eventually 20 "with its secret" sh -c 'berth logs web | grep -qx hush-two'
berth get sources
step "a file with the same pod goes before the address"
pods three | drop web.yaml
eventually 60 "the file's runs" sh -c 'berth logs web 2>/dev/null | grep -qx hush-three'
check "and that is told" sh -c "berth get problems | grep -q 'comes from /etc/berth/manifests/web.yaml already'"
rm $M/web.yaml
eventually 60 "the address's runs again" sh -c 'berth logs web 2>/dev/null | grep -qx hush-two'
step "the server is back and wants nothing"
echo '{apiVersion: v1, kind: PodList, items: []}' | say
serve
gone web 180s
eventually 20 "its state is well" state_is $U Current
nothing_left
