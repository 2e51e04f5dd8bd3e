#!/bin/sh
# What may happen to a directory of manifests.
. /put/lib.sh
pod() { # NAME VALUE
    cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: "berth.test/busybox:1", command: [sleep, "100000"], env: [{name: V, value: "$2"}]}]
Y
}
value() { berth exec "$1" -- sh -c 'echo $V'; }

step "a broken edit leaves the last good revision running"
pod a 1 | drop a.yaml; ready a
U=$(uid_of a)
printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containerz: []\n' | drop a.yaml
eventually 20 "the problem is shown with file, line and column" sh -c "berth get problems | grep -q 'a.yaml:5:'"
is "the last good revision runs" "$U" "$(uid_of a)"
is "and works" 1 "$(value a)"

step "a good edit replaces it"
pod a 2 | drop a.yaml
eventually 30 "the new revision runs" sh -c '[ "$(berth exec a -- sh -c "echo \$V" 2>/dev/null)" = 2 ]'
is "no problem is left" "" "$(berth get problems --no-headers 2>/dev/null)"

step "unchanged bytes change nothing"
U=$(uid_of a); pod a 2 | drop a.yaml; cp $M/a.yaml /root/a && cat /root/a >$M/a.yaml; touch $M/a.yaml
is "same revision" "$U" "$(uid_of a)"

step "files that are no manifests, and worse"
pod x 1 >$M/x.yaml.bak; pod x 1 >$M/.x.yaml; pod x 1 >$M/x.yaml~; mkfifo $M/pipe.yaml; mkdir $M/dir.yaml
pod b 1 | drop b.yaml; ready b
is "x did not start" "" "$(column x 1)"

step "two files name one pod: the first by name wins"
pod b 9 | drop c.yaml
eventually 20 "the other is reported" sh -c "berth get problems | grep -q c.yaml"
is "the first runs on" 1 "$(value b)"
rm $M/c.yaml

step "the directory is moved away and made again"
mv $M /etc/berth/away; gone a; gone b
mkdir $M; pod d 1 | drop d.yaml; ready d

step "ConfigMap-style links"
mkdir $M/..1; pod e 1 >$M/..1/e.yaml; ln -s ..1 $M/..data; ln -s ..data/e.yaml $M/e.yaml
ready e
mkdir $M/..2; pod e 2 >$M/..2/e.yaml; ln -s ..2 $M/..tmp; mv -T $M/..tmp $M/..data
eventually 30 "the swap is seen" sh -c '[ "$(berth exec e -- sh -c "echo \$V" 2>/dev/null)" = 2 ]'

step "vendor's manifest, overridden, then masked"
pod v 1 >/usr/share/berth/manifests/v.yaml; ready v
pod v 2 | drop v.yaml
eventually 30 "the owner's file overrides the vendor's" sh -c '[ "$(berth exec v -- sh -c "echo \$V" 2>/dev/null)" = 2 ]'
rm $M/v.yaml; ln -s /dev/null $M/v.yaml
gone v

step "300 updates in 30 s: the last one wins"
n=0; while [ $n -lt 300 ]; do n=$((n + 1)); pod d $n | drop d.yaml; usleep 50000; done
eventually 60 "the last one runs" sh -c '[ "$(berth exec d -- sh -c "echo \$V" 2>/dev/null)" = 300 ]'
is "one container of it" 1 "$(find "$(cgroup_of d)" -mindepth 1 -maxdepth 1 -type d | wc -l)"

step "check, off the device's path"
printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: A_}\nspec:\n  containers:\n  - name: x\n    imagee: y\n' >/root/bad.yaml
berth check /root/bad.yaml; is "check says no" 1 $?
check "check says yes" berth check $M/d.yaml
rm -rf ${M:?}/* $M/..*
gone d; gone e
