# Shared by the guest scenarios (busybox sh): `. /put/lib.sh`. A failing check ends the scenario with 1.

M=/etc/berth/manifests
# What the caller wants otherwise: `cargo xtask test --set NAME=VALUE`.
if [ -e /put/settings ]; then . /put/settings; fi
# Set when Berth is to be up before the script goes on.
serves() { left=200; until berth get pods >/dev/null 2>&1; do left=$((left - 1)); [ $left -gt 0 ] || { echo 'FAILED: Berth does not serve'; exit 1; }; usleep 100000; done; }
step() { echo "-- $*"; }
fail() { echo "FAILED: $*"; echo "--- state"; berth get pods -o wide; berth get events | tail -n 30; exit 1; }
# check DESCRIPTION COMMAND…: the command must succeed.
check() { what=$1; shift; "$@" || fail "$what"; echo "ok: $what"; }
# is DESCRIPTION EXPECTED ACTUAL
is() { [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"; echo "ok: $1 ($3)"; }
# eventually SECONDS DESCRIPTION COMMAND…: polls; only for what nothing can be asked to wait for.
eventually() {
    left=$(($1 * 10)); what=$2; shift 2
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1)); [ $left -gt 0 ] || fail "$what did not come true"
        usleep 100000
    done
    echo "ok: $what"
}
# drop FILE: renames standard input into the manifest directory, as a careful person would.
drop() { cat >"$M/.$1.new" && mv "$M/.$1.new" "$M/$1"; }
ready() { berth wait "pod/$1" --for=condition=Ready --timeout="${2:-60s}" >/dev/null || fail "$1 did not become ready"; echo "ok: $1 is ready"; }
gone() { berth wait "pod/$1" --for=delete --timeout="${2:-60s}" >/dev/null || fail "$1 did not go"; echo "ok: $1 is gone"; }
# unpacked IMAGE: a pod of it has come and gone, so no deadline of a later one waits for its layers.
unpacked() {
    drop warm.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: warm}
spec: {containers: [{name: main, image: "$1"}]}
Y
    ready warm 180s
    rm $M/warm.yaml; gone warm
}
uid_of() { berth get pod "$1" -o yaml | sed -n 's/^  *uid: *"*\([0-9a-zA-Z-]*\)"*$/\1/p' | head -n 1; }
cgroup_of() { find /sys/fs/cgroup/kubepods -type d -name "pod$(uid_of "$1")"; }
# column POD N: the N-th column of `get pods` for the pod.
column() { berth get pods --no-headers | awk -v p="$1" -v n="$2" 'index($1, p) == 1 { print $n }'; }
status_is() { [ "$(column "$1" 3)" = "$2" ]; }
keeper_pid() { pidof berth | tr ' ' '\n' | while read -r p; do tr '\0' ' ' <"/proc/$p/cmdline" | grep -q ' keeper' && echo "$p"; done | head -n 1; }
agent_pid() { for p in $(pidof berth); do tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -q ' agent' && echo "$p"; done | head -n 1; }
# nothing_left: after the last pod is gone, no trace of any of them.
nothing_left() {
    is "no pod cgroups" "" "$(find /sys/fs/cgroup/kubepods -type d -name 'pod*' 2>/dev/null)"
    is "no run-time directories" "" "$(ls /run/berth/pods /run/berth/containers /run/berth/state 2>/dev/null | grep -v : | tr -d '\n')"
    is "no state directories" "" "$(ls /var/lib/berth/pods /var/lib/berth/containers 2>/dev/null | grep -v : | tr -d '\n')"
    is "no log directories" "" "$(ls /var/log/pods /var/log/containers 2>/dev/null | grep -v : | tr -d '\n')"
    is "no interfaces of pods" "" "$(ls /sys/class/net | grep '^bth')"
    is "no mounts" "" "$(grep -E '/run/berth/(pods|containers)|overlay' /proc/mounts)"
}
if [ -e /etc/berth/start ]; then serves; fi
