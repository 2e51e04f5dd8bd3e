#!/bin/sh
# Under systemd: the unit as it is shipped, what a stop and a restart mean for pods, and the gate of updates.
. /put/lib.sh
ended() { [ $? = 0 ] || journalctl -u berth.service --no-pager -n 40; }
trap ended EXIT
pod() { # NAME COMMAND
    drop "$1.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "berth.test/busybox:1", command: [sh, -c, '$2']}]
Y
}
state() { systemctl show -P ActiveState "$1"; }
first_pid() { cat "$(cgroup_of web)"/*/cgroup.procs | head -n 1; }

step "the service"
eventually 60 "it has told systemd that it serves" systemctl is-active --quiet berth.service
serves
is "its type" notify "$(systemctl show -P Type berth.service)"
is "the log directories are made" 0 "$(test -d /var/log/pods -a -d /var/log/containers; echo $?)"

step "the gate: boot-complete.target"
systemctl start --no-block boot-complete.target
eventually 20 "it waits for a pod" sh -c '[ "$(systemctl show -P ActiveState berth-health.service)" = activating ]'
is "and is not reached" inactive "$(state boot-complete.target)"
pod web 'sleep 100000'
ready web
eventually 30 "it is reached" systemctl is-active --quiet boot-complete.target
check "so is berth-healthy.target" systemctl start berth-healthy.target

step "systemd-networkd leaves the interfaces of pods alone, also where a file of the box's matches them"
mkdir -p /run/systemd/network
printf '[Match]\nName=b*\n[Network]\nLinkLocalAddressing=no\n' >/run/systemd/network/80-all.network
systemctl restart systemd-networkd.service
setups() { for link in /sys/class/net/b*; do sed -n 's/^ADMIN_STATE=//p' "/run/systemd/netif/links/$(cat $link/ifindex)"; done | sort | uniq -c | tr -s ' \n' ' '; }
both() { [ "$(setups)" = " 2 $1 " ]; }
eventually 20 "bridge and pod's end of it are not its own" both unmanaged
rm /run/systemd/network/80-all.network

step "services of updaters behind it"
S=/etc/systemd/system E=/usr/share/doc/berth/examples
mkdir -p /usr/libexec/berth $S/rauc-mark-good.service.d
cp $E/swupdate /usr/libexec/berth/ && cp $E/swupdate.service $S/berth-swupdate.service
cp $E/rauc.conf $S/rauc-mark-good.service.d/berth.conf
printf '[Service]\nType=oneshot\nExecStart=/bin/touch /var/slot-is-good\n' >$S/rauc-mark-good.service
printf '#!/bin/sh\necho "$1=$2" >>/var/environment\n' >/usr/bin/fw_setenv
chmod +x /usr/bin/fw_setenv
systemctl daemon-reload
check "they start" systemctl start berth-swupdate.service rauc-mark-good.service
is "SWUpdate's update is confirmed" upgrade_available=0 "$(tail -n 1 /var/environment)"
check "RAUC's slot is marked good" test -e /var/slot-is-good
systemctl stop berth-swupdate.service
rm /var/environment /var/slot-is-good

step "a restart and a stop of the service"
P=$(first_pid)
check "systemd restarts it" systemctl restart berth.service
ready web
is "the same process" "$P" "$(first_pid)"
check "systemd stops it" systemctl stop berth.service
check "the pod runs on" kill -0 "$P"
check "systemd starts it" systemctl start berth.service
ready web
is "still the same process" "$P" "$(first_pid)"

step "the machine goes down"
ends_well() { # NAME AFTER
    drop "$1.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1, annotations: {berth/start-after: "$2"}}
spec:
  volumes: [{name: order, hostPath: {path: /var/order, type: DirectoryOrCreate}}, {name: kept, emptyDir: {}}]
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'trap "echo $1 >>/order/log; exit 0" TERM; echo $1 >>/kept/$1; while :; do sleep 1 & wait; done']
    volumeMounts: [{name: order, mountPath: /order}, {name: kept, mountPath: /kept}]
Y
}
ends_well first web
ends_well second first
ready second
check "what systemd does then" systemctl stop berth-halt.service
is "they end in the opposite order" "second first" "$(cat /var/order/log | tr '\n' ' ' | sed 's/ $//')"
is "no process of theirs is left" "" "$(find /sys/fs/cgroup/kubepods -name cgroup.procs -exec cat {} +)"
is "their volumes are" 2 "$(find /var/lib/berth/pods -name first -o -name second | wc -l)"
check "Berth is there again" systemctl restart berth.service
systemctl start berth-halt.service
ready second
P=$(first_pid)
rm $M/first.yaml $M/second.yaml
gone first
gone second

step "a system whose pods do not come up"
systemctl stop berth-healthy.target boot-complete.target berth-health.service
pod bad 'exit 3'
eventually 20 "the pod fails" sh -c 'berth get pods --no-headers | grep -q "bad.*CrashLoopBackOff"'
is "the gate stays shut" 1 "$(systemctl start boot-complete.target 2>/dev/null; echo $?)"
is "its service has failed" failed "$(state berth-health.service)"
is "the target is not reached" inactive "$(state boot-complete.target)"
is "nor do the updaters' services start" 1 "$(systemctl start berth-swupdate.service rauc-mark-good.service 2>/dev/null; echo $?)"
is "nothing is confirmed" "" "$(ls /var/environment /var/slot-is-good 2>/dev/null)"

step "a configuration that Berth cannot run with"
echo 'nonsense: true' >/etc/berth/config.yaml
systemctl restart berth.service 2>/dev/null
eventually 20 "systemd gives up at once" sh -c '[ "$(systemctl show -P ActiveState berth.service)" = failed ]'
is "with the reason's status" 78 "$(systemctl show -P ExecMainStatus berth.service)"
check "the pod runs on" kill -0 "$P"
