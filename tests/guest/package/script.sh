#!/bin/sh
# The Debian package, by Debian's own dpkg: it installs, upgrades while pods run on, and goes without leaving anything
# that runs; purged, it leaves no file.
. /put/lib.sh

D=/var/lib/dpkg
mkdir -p $D/info $D/updates $D/triggers
touch $D/status $D/available
# By its path, since the shell has a dpkg of its own. No ldconfig is here, and nothing would need it.
packages() { /usr/bin/dpkg --force-bad-path "$@"; }
first_pid() { cat "$(cgroup_of web)"/*/cgroup.procs | head -n 1; }

step "it installs, and Berth serves"
check "dpkg installs it" packages -i /put/package/one.deb
serves
check "its configuration is read" sh -c 'berth config | grep -q "^apiSocketGroup: \"*berth"'
drop web.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'trap "echo bye >/out/end; exit 0" TERM; while :; do sleep 1; done']
    volumeMounts: [{name: out, mountPath: /out}]
  volumes: [{name: out, hostPath: {path: /root/out, type: DirectoryOrCreate}}]
Y
ready web
P=$(first_pid)

step "it upgrades while the pod runs on"
echo '# mine' >>/etc/berth/config.yaml
check "dpkg upgrades it" packages -i /put/package/two.deb
eventually 20 "Berth is back" berth get pods
ready web
is "the same process" "$P" "$(first_pid)"
is "not restarted" 0 "$(column web 4)"
check "the owner's configuration stays" grep -q '^# mine' /etc/berth/config.yaml
is "the version is the later one" 0 "$(grep -q '^Version: .*+later$' $D/status; echo $?)"

step "removed, nothing runs any more"
check "dpkg removes it" packages -r berth
is "the pod had its grace" bye "$(cat /root/out/end)"
eventually 20 "no process of it is left" sh -c '! pidof berth'
is "no pod's cgroup" "" "$(find /sys/fs/cgroup/kubepods -type d -name 'pod*' 2>/dev/null)"
check "the program is gone" test ! -e /usr/bin/berth
check "the owner's files are not" test -e $M/web.yaml -a -e /etc/berth/config.yaml

step "purged, no file is left"
check "dpkg purges it" packages -P berth
is "nothing lies about" "" "$(ls -d /etc/berth /etc/init.d/berth /var/lib/berth /run/berth /var/log/pods /var/log/berth.log /var/log/containers 2>/dev/null)"
