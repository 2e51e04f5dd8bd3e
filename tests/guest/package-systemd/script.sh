#!/bin/sh
# The Debian package where systemd is, with Debian's own helpers: in a root that is only being built it is switched on and
# not started; an upgrade leaves pods running and a stopped service stopped; purged, it takes nothing of others. Then the
# system extension.
. /put/lib.sh
ended() { [ $? = 0 ] || journalctl -u berth.service --no-pager -n 40; }
trap ended EXIT
packages() { /usr/bin/dpkg --force-bad-path "$@"; }
database() { mkdir -p "$1/info" "$1/updates" "$1/triggers" && touch "$1/status" "$1/available"; }
state() { systemctl is-active berth.service; }
first_pid() { cat "$(cgroup_of web)"/*/cgroup.procs | head -n 1; }
forbid() { printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d; }
web() {
    drop web.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'trap "echo bye >/out/end; exit 0" TERM; while :; do sleep 1 & wait; done']
    volumeMounts: [{name: out, mountPath: /out}]
  volumes: [{name: out, hostPath: {path: /root/out, type: DirectoryOrCreate}}]
Y
}
WANTED=/etc/systemd/system/multi-user.target.wants
for level in 0 1 2 3 4 5 6 S; do mkdir -p /etc/rc$level.d; done

step "in a root that is not running"
ROOT=/root/image
mkdir -p $ROOT && mount --bind / $ROOT && mount -t tmpfs tmpfs $ROOT/run && mount -t proc proc $ROOT/proc
database $ROOT/var/lib/dpkg
forbid
check "dpkg installs it" chroot $ROOT /usr/bin/dpkg --force-bad-path -i /put/package/one.deb
check "the service is switched on" test -e $WANTED/berth.service -a -e $WANTED/berth-halt.service
is "and not started" "" "$(pidof berth)"
check "dpkg purges it" chroot $ROOT /usr/bin/dpkg --force-bad-path -P berth
is "nothing is left of it" "" "$(ls -d /etc/berth /usr/bin/berth $WANTED/berth* 2>/dev/null)"
rm /usr/sbin/policy-rc.d
umount $ROOT/proc $ROOT/run $ROOT

step "installed, it runs"
database /var/lib/dpkg
# A data partition.
mkdir -p /var/data /var/lib/berth
mount --bind /var/data /var/lib/berth
check "dpkg installs it" packages -i /put/package/one.deb
is "it serves" active "$(state)"
serves
web
ready web
P=$(first_pid)

step "an upgrade leaves the pod running"
A=$(agent_pid)
check "dpkg upgrades it" packages -i /put/package/two.deb
is "it serves" active "$(state)"
ready web
check "by another agent" test "$A" != "$(agent_pid)"
is "the same process" "$P" "$(first_pid)"
is "which was not asked to end" "" "$(cat /root/out/end 2>/dev/null)"

step "an upgrade does as it is told"
forbid
A=$(agent_pid)
check "dpkg installs another version" packages -i /put/package/one.deb
is "who must not be restarted is not" "$A" "$(agent_pid)"
rm /usr/sbin/policy-rc.d
systemctl stop berth.service
check "dpkg upgrades it" packages -i /put/package/two.deb
is "who was stopped stays so" inactive "$(state)"
check "the pod runs on" kill -0 "$P"
systemctl disable berth.service 2>/dev/null
check "dpkg installs another version" packages -i /put/package/one.deb
is "who was switched off stays so" "disabled inactive" "$(systemctl is-enabled berth.service) $(state)"
check "its owner switches it on" systemctl enable --now berth.service
ready web
is "still the same process" "$P" "$(first_pid)"

step "removed and purged"
check "dpkg removes it" packages -r berth
is "the pod had its grace" bye "$(cat /root/out/end)"
eventually 20 "no process of it is left" sh -c '! pidof berth'
# Another runtime takes its place; and one pod's logs could not be removed with it.
mkdir -p /var/log/pods/a_other_uid/main /var/log/pods/a_left_4711/main /var/log/containers /var/lib/berth/pods/4711
touch /var/log/pods/a_other_uid/main/0.log /var/log/pods/a_left_4711/main/0.log
for pod in other_uid left_4711; do ln -s /var/log/pods/a_$pod/main/0.log /var/log/containers/$pod.log; done
check "dpkg purges it" packages -P berth
is "nothing lies about" "" "$(ls -d /etc/berth /etc/init.d/berth /run/berth $WANTED/berth* /etc/rc?.d/*berth 2>/dev/null)"
is "the data partition is there, empty" "1 " "$(grep -c " /var/lib/berth " /proc/mounts) $(ls -A /var/lib/berth)"
is "another runtime's logs stay, alone" "a_other_uid other_uid.log" "$(ls /var/log/pods) $(ls /var/log/containers)"
check "with what is in them" test -f /var/log/containers/other_uid.log

step "the system extension"
[ -e /etc/os-release ] || [ -e /usr/lib/os-release ] || printf 'ID=edge\nVERSION_ID=1\n' >/usr/lib/os-release
mkdir -p /var/lib/extensions $M
cp /put/package/berth.raw /var/lib/extensions/
check "systemd lays it over /usr" systemd-sysext merge
check "the program is there" /usr/bin/berth version
systemctl daemon-reload
check "the target wants the service" sh -c 'systemctl show -P Wants multi-user.target | grep -qw berth.service'
check "it starts" systemctl start multi-user.target berth.service
serves
web
ready web
rm $M/web.yaml
gone web
systemctl stop berth-halt.service berth.service
check "systemd takes it away" systemd-sysext unmerge
check "the program is gone" test ! -e /usr/bin/berth
