#!/bin/sh
# ConfigMaps and Secrets as files beside the pods: what a pod waits for, what its variables have, what a
# change does, and that no secret is to be found where it does not belong.
. /put/lib.sh
config_map() { # VALUE
    cat <<Y
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {colour: "$1", unused: "$2"}
Y
}
secret() {
    cat <<Y
apiVersion: v1
kind: Secret
metadata: {name: word}
stringData: {pass: open-sesame-$1}
Y
}
value() { berth exec "$1" -- sh -c "echo \"\$$2\""; }
# Whatever was dropped before it has been read when this pod is ready.
read_all() {
    drop zz.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: zz}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"]}]}
Y
    ready zz; rm $M/zz.yaml; gone zz
}
said() { berth get pod "$1" -o yaml | grep -q "$2"; }

step "a pod waits, visibly, for its objects (configmap.go, secrets.go)"
drop web.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: shop}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'echo "colour $(COLOUR)"; exec sleep 100000']
    resources: {limits: {memory: 32Mi}}
    envFrom:
    - {prefix: C_, configMapRef: {name: conf}}
    - {secretRef: {name: none, optional: true}}
    env:
    - {name: COLOUR, valueFrom: {configMapKeyRef: {name: conf, key: colour}}}
    - {name: PASS, valueFrom: {secretKeyRef: {name: word, key: pass}}}
    - {name: BOTH, value: "$(COLOUR) and $(PASS)"}
    - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: APP, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
    - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
Y
eventually 20 "it waits with Kubernetes' reason" status_is web- CreateContainerConfigError
check "and says for what" said web 'configmap "conf" not found'
config_map red 1 | drop conf.yaml
eventually 20 "then for the next" said web 'secret "word" not found'
secret 1 | drop word.yaml
ready web
is "a key's value" red "$(value web COLOUR)"
is "all keys, with a prefix" red "$(value web C_colour)"
is "a secret, and variables in variables" "red and open-sesame-1" "$(value web BOTH)"
is "the pod's name" web-edge "$(value web POD)"
is "a label" shop "$(value web APP)"
is "its memory" 32 "$(value web MEMORY)"
check "variables in arguments" sh -c 'berth logs web | grep -q "colour red"'

step "an object that other pods use, or that goes, restarts nothing; another value does"
U=$(uid_of web); P=$(berth exec web -- cat /proc/1/stat | cut -d' ' -f22)
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {a: b}\n' | drop other.yaml
rm $M/word.yaml
read_all
is "the pod is the same" "$U $P" "$(uid_of web) $(berth exec web -- cat /proc/1/stat | cut -d' ' -f22)"
secret 1 | drop word.yaml
read_all
is "and is when the object is back" "$U" "$(uid_of web)"
secret 2 | drop word.yaml
eventually 20 "a new secret is a new revision" sh -c '[ "$(berth exec web -- sh -c "echo \$PASS" 2>/dev/null)" = open-sesame-2 ]'

step "a broken edit of an object leaves it as it was; a second file of the same object is reported"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: [blue]\n' | drop conf.yaml
eventually 20 "the problem has file, line and column" sh -c "berth get problems | grep -q 'conf.yaml:4:7'"
is "the value holds" red "$(value web COLOUR)"
config_map red 1 | drop conf.yaml
config_map blue 1 | drop zconf.yaml
eventually 20 "the second file is reported" sh -c "berth get problems | grep -q 'zconf.yaml.*comes from'"
is "the first holds" red "$(value web COLOUR)"
rm $M/zconf.yaml

step "volumes of objects (configmap_volume.go, secrets_volume.go, projected_combined.go, downwardapi_volume.go)"
drop files.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: files, labels: {app: shop, tier: one}}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {fsGroup: 2000}
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'echo $(POD) >>/data/log; exec sleep 100000']
    securityContext: {runAsUser: 1000}
    env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
    volumeMounts:
    - {name: conf, mountPath: /conf}
    - {name: conf, mountPath: /one, subPath: colour}
    - {name: word, mountPath: /word}
    - {name: all, mountPath: /all}
    - {name: data, mountPath: /data, subPathExpr: "of/$(POD)"}
  volumes:
  - {name: conf, configMap: {name: live}}
  - {name: word, secret: {secretName: word, defaultMode: 0400}}
  - name: all
    projected:
      sources:
      - {configMap: {name: live, items: [{key: colour, path: deep/colour, mode: 0640}]}}
      - {secret: {name: none, optional: true}}
      - {downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
  - {name: data, persistentVolumeClaim: {claimName: data}}
Y
live() { config_map "$1" 1 | sed s/conf/live/ | drop live.yaml; }
eventually 20 "it waits with Kubernetes' reason" status_is files- ContainerCreating
check "and says for what" said files 'MountVolume.SetUp failed for volume .*conf.*: configmap .*live.* not found'
live red
eventually 20 "then for its claim" said files 'persistentvolumeclaim .*data.* not found'
drop data.yaml <<'Y'
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
Y
ready files
in_files() { berth exec files -- "$@"; }
is "a file" red "$(in_files cat /conf/colour)"
is "read-only" 1 "$(in_files touch /conf/x 2>/dev/null; echo $?)"
is "by a link through ..data" ..data/colour "$(in_files readlink /conf/colour)"
is "a secret, with its mode and what fsGroup needs" "open-sesame-2 440" "$(in_files cat /word/pass) $(in_files stat -Lc %a /word/pass)"
check "in memory" sh -c 'grep -q "^tmpfs /run/berth/pods/.*/volumes/word tmpfs" /proc/mounts'
is "projected, with its own mode" "red 640" "$(in_files cat /all/deep/colour) $(in_files stat -Lc %a /all/deep/colour)"
is "labels" 'app="shop" tier="one" ' "$(in_files cat /all/labels | tr '\n' ' ' | sed 's/ *$/ /')"
U=$(uid_of files)
live blue
eventually 20 "another value reaches the file" sh -c '[ "$(berth exec files -- cat /conf/colour)" = blue ]'
is "and the projected one" blue "$(in_files cat /all/deep/colour)"
is "and not a subPath, as in Kubernetes" red "$(in_files cat /one)"
is "and no pod was replaced" "$U 0" "$(uid_of files) $(column files- 4)"
sed -i 's/tier: one/tier: two/' $M/files.yaml
eventually 20 "another label reaches its file" sh -c 'berth exec files -- cat /all/labels | grep -q two'
is "and that has replaced no pod either" "$U 0" "$(uid_of files) $(column files- 4)"
check "it is told" sh -c 'berth get events --for files | grep -q "Updated.*Applied without a restart: metadata.labels"'
rm $M/live.yaml; read_all
is "an object that goes leaves the files" blue "$(in_files cat /conf/colour)"
kill -9 "$(agent_pid)"; serves
live green
eventually 20 "an agent that is new brings them up to date" sh -c '[ "$(berth exec files -- cat /conf/colour)" = green ]'
rm $M/files.yaml; gone files
rm $M/data.yaml; read_all
is "a claim outlives its pod and itself" files-edge "$(cat /var/lib/berth/claims/default/data/of/files-edge/log)"

step "secrets are where they belong and nowhere else"
eventually 20 "copies of the manifests are kept" sh -c 'cd /var/lib/berth/lastgood && grep -q "kind: Pod" web.yaml && ls word.yaml'
is "not in Berth's state" "" "$(grep -rl open-sesame /var/lib/berth /var/log 2>/dev/null)"
is "only root reads what has them" "" "$(find /run/berth -type f -perm /077 -exec grep -l open-sesame {} + 2>/dev/null)"
is "no command shows them" "" "$({ berth get pods -o yaml; berth describe pod web; berth get events; berth get problems; berth check $M; } 2>&1 | grep open-sesame)"

step "an agent that is killed finds all of it again"
U=$(uid_of web); kill -9 "$(agent_pid)"; serves
is "the pod is the same" "$U" "$(uid_of web)"
is "and has its secret" open-sesame-2 "$(value web PASS)"

step "all of it goes"
rm $M/*.yaml
gone web
nothing_left
