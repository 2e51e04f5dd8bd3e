#!/bin/sh
# CAN for pods: an interface of the node's in a pod, with frames to and from it, over agents that are killed; it is the
# node's again when the pod has gone, as it was.
. /put/lib.sh

# pod NAME ATTACHMENTS: it writes down what it hears. The programs are the node's.
pod() { cat <<Y
apiVersion: v1
kind: Pod
metadata:
  name: $1
  annotations: {berth/attachments: "$2"}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [/node/bin/candump, -L, any]
    volumeMounts:
    - {name: bin, mountPath: /node/bin, readOnly: true}
    - {name: lib, mountPath: /lib, readOnly: true}
    - {name: lib64, mountPath: /lib64, readOnly: true}
  volumes:
  - {name: bin, hostPath: {path: /usr/bin}}
  - {name: lib, hostPath: {path: /lib}}
  - {name: lib64, hostPath: {path: /lib64, type: DirectoryOrCreate}}
Y
}
sends() { p=$1; shift; berth exec "$p" -- /node/bin/cansend "$@"; }
# pod_hears POD INTERFACE FRAME [AS]: from the pod itself or by the node's end of the pair; what is sent before it listens is lost.
pod_hears() { sends "$1" "$2" "$3" && berth logs "$1" | grep -q " $2 ${4:-$3}"; }
pod_hears_node() { cansend vxcan0 "$2" && berth logs "$1" | grep -qF " plant $2"; }
node_hears() { sends "$1" plant "$2" && grep -qF " vxcan0 $2" /tmp/heard; }
# of INTERFACE COMMAND…: its size of frames, and whether it is up.
of() { name=$1; shift; echo "$("$@" cat "/sys/class/net/$name/mtu") $("$@" ip link show "$name" | grep -o '[<,]UP[,>]' | tr -d '<,>')"; }

step "the node has a bus of its own and one end of a pair, whose other end stands for the plant"
ip link add dev can0 type vcan
ip link set can0 up
ip link add dev plant type vxcan
ip link set plant mtu 16
ip link set plant up
ip link set vxcan0 up
is "CAN FD fits" "72 UP" "$(of can0)"
is "CAN only" "16 UP" "$(of plant)"
candump -L vxcan0 >/tmp/heard &
listener=$!

step "both go to a pod, up and with their size of frames"
pod bus '[{interface: can0, name: field}, {interface: plant}]' | drop bus.yaml
kill -9 "$(agent_pid)"; serves
ready bus
is "in the pod" "eth0 field lo plant " "$(berth exec bus -- ls /sys/class/net | sort | tr '\n' ' ')"
check "the node is without them" sh -c '! test -e /sys/class/net/can0 && ! test -e /sys/class/net/plant'
is "CAN FD fits" "72 UP" "$(of field berth exec bus --)"
is "CAN only" "16 UP" "$(of plant berth exec bus --)"

step "frames"
eventually 20 "the pod hears itself" pod_hears bus field 123#DEADBEEF
eventually 20 "CAN FD, too" pod_hears bus field 213##311223344 "213##[0-9A-F]11223344"
eventually 20 "the pod hears the plant" pod_hears_node bus 321#0102
eventually 20 "the plant hears the pod" node_hears bus 456#77
sends bus plant 213##311223344; is "what is too long is refused" 1 $?
kill -9 "$(agent_pid)"; serves
eventually 20 "the pod hears the plant, over an agent that was killed" pod_hears_node bus 321#0304
is "restarts" 0 "$(column bus 4)"

step "the node has them again, and another pod after it"
rm $M/bus.yaml
kill -9 "$(agent_pid)"; serves
gone bus
is "CAN FD fits" "72 UP" "$(of can0)"
is "CAN only, and up as before" "16 UP" "$(of plant)"
ip link set plant down
pod next '[{interface: plant}]' | drop next.yaml
ready next
eventually 20 "the pod hears the plant" pod_hears_node next 321#0506
rm $M/next.yaml; gone next
is "down, as it was before" "16 " "$(of plant)"
kill $listener
nothing_left
