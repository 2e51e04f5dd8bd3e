#!/bin/sh
# `berth logs -f` while the log is rotated again and again by an agent that lives, and by one that is killed:
# the follower gets every line, once, in order.
. /put/lib.sh
LINES=4000

/etc/init.d/berth stop
printf 'containerLogMaxSize: 16Ki\ncontainerLogMaxFiles: 3\n' >/etc/berth/config.yaml
/etc/init.d/berth start
eventually 60 "Berth is back" berth get pods
# Waits for the follower; then writes as fast as that can read, and stays.
drop loud.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: loud}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: berth.test/busybox:1
    command: [sh, -c, 'until [ -e /gate/open ]; do usleep 50000; done; i=0; while [ \$i -lt $LINES ]; do i=\$((i+1)); echo "line \$i"; [ \$((i % 20)) = 0 ] && usleep 20000; done; sleep 1000000']
    volumeMounts: [{name: gate, mountPath: /gate}]
  volumes: [{name: gate, hostPath: {path: /root/gate, type: DirectoryOrCreate}}]
Y
ready loud
berth logs -f loud >/root/followed &
F=$!
touch /root/gate/open
LOGS=/var/log/pods/default_loud*/main
rotated() { [ "$(ls $LOGS 2>/dev/null | wc -l)" -ge 2 ]; }
has() { grep -q "^line $1\$" /root/followed; }
eventually 120 "the log is rotated" rotated
eventually 120 "the follower is half through" has $((LINES / 2))
kill -9 "$(agent_pid)"
eventually 240 "the follower has the last line" has $LINES
kill $F 2>/dev/null
is "every line is there once, in order" "" "$(awk '{ n++; if ($2 != n) { print "line " n " is " $2; exit } }' /root/followed)"
is "and no more than that" $LINES "$(wc -l </root/followed)"
check "no more files than allowed" [ "$(ls $LOGS | wc -l)" -le 3 ]
rm -f $M/loud.yaml
gone loud
nothing_left
