#!/bin/sh
# What the demo does in the appliance. Lines that start with "==" tell what is done, others what came of it.
M=/etc/berth/manifests
ms() { awk '{ printf "%d", $1 * 1000 }' /proc/uptime; }
took() { echo "   … after $(($(ms) - T0)) ms"; }
die() { echo "the demo failed: $*"; berth get pods; berth get events | tail -n 20; exit 1; }
agent_pid() { for p in $(pidof berth); do tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -q ' agent' && echo "$p"; done | head -n 1; }

until berth get pods >/dev/null 2>&1; do usleep 100000; done
echo "== $(uname -m), Linux $(uname -r), $(berth version | head -n 1)"
echo "== three manifests are dropped into $M"
T0=$(ms)
cp /put/demo/*.yaml $M/
berth wait pod/shop --for=condition=Ready --timeout=60s || die "the shop did not open"
took
berth get pods -o wide

echo "== the web page is up"
sleep 3
echo "== what the writer says"
berth logs shop -c writer --tail 2

echo "== its limits are the kernel's"
for file in memory.max cpu.max; do
    echo "   $file: $(cat /sys/fs/cgroup/kubepods/burstable/pod*/*/$file 2>/dev/null | sort | uniq | tr '\n' ';')"
done

echo "== the manifest is edited: another title"
T0=$(ms)
OLD=$(berth get pod shop -o yaml | grep -m1 ' uid:')
sed 's/Open for business/Under new management/' /put/demo/shop.yaml >$M/.new && mv $M/.new $M/shop.yaml
while [ "$(berth get pod shop -o yaml 2>/dev/null | grep -m1 ' uid:')" = "$OLD" ]; do usleep 50000; done
berth wait pod/shop --for=condition=Ready --timeout=60s || die "the shop did not open again"
took

echo "== kill -9 of the agent"
T0=$(ms)
BEFORE=$(berth get pods --no-headers | awk '/^shop/ { print $4 }')
kill -9 "$(agent_pid)"
until berth get pods >/dev/null 2>&1; do usleep 20000; done
took
[ "$BEFORE" = "$(berth get pods --no-headers | awk '/^shop/ { print $4 }')" ] || die "a container restarted"
echo "   no container noticed; lines of the writer so far, each once: $(berth logs shop -c writer | wc -l)"

echo "== the job failed once and was run again; the broken pod backs off"
berth wait pod/report --for=phase=Succeeded --timeout=60s || die "the job did not succeed"
berth get pods
berth get events | tail -n 8

if [ -n "@STAY@" ]; then
    echo "== the appliance stays; Ctrl-C ends it"
    while :; do sleep 3600; done
fi
echo "== all manifests are removed"
T0=$(ms)
rm $M/*.yaml
for pod in shop report broken; do berth wait pod/$pod --for=delete --timeout=60s || die "$pod stayed"; done
took
echo "   processes left in pods: $(cat /sys/fs/cgroup/kubepods/cgroup.procs /sys/fs/cgroup/kubepods/*/pod*/*/cgroup.procs 2>/dev/null | wc -l)"
