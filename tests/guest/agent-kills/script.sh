#!/bin/sh
# kill -9 of the agent, a hundred times at random moments while ten pods are started, changed and removed, and some
# get other labels and probes: no container restarts, no log line is lost or doubled, no exit code is lost.
. /put/lib.sh
KILLS=${KILLS:-100}

pod() { # NAME VERSION [LABEL]
    drop "$1.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {label: "${3:-none}"}}
spec:
  terminationGracePeriodSeconds: 2
  containers:
  - name: main
    image: berth.test/busybox:1
    env: [{name: VERSION, value: "$2"}]
    livenessProbe: {exec: {command: ["true"]}, periodSeconds: 20, timeoutSeconds: 30, failureThreshold: ${3:-9}}
    command: [sh, -c, 'i=0; while :; do i=\$((i+1)); echo "line \$i"; usleep 20000; done']
Y
}
job() { # NAME CODE
    drop "$1.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  restartPolicy: Never
  containers: [{name: main, image: "berth.test/busybox:1", command: [sh, -c, 'usleep ${3:-300000}; exit $2']}]
Y
}

step "seven pods that stay, three that are changed and removed again and again"
for n in 1 2 3 4 5 6 7; do pod "stay$n" 1; done
for n in 1 2 3 4 5 6 7; do ready "stay$n" 120s; uid_of "stay$n" >/run/stay$n.uid; done
step "$KILLS kills"
k=0
while [ $k -lt "$KILLS" ]; do
    case $((k % 4)) in
    0) pod "go$((k / 4 % 3))" "$k" ;;
    1) pod "stay$((k / 4 % 7 + 1))" 1 "$((k + 9))" ;;
    2) rm -f $M/go$((k / 4 % 3)).yaml ;;
    3) job "job$((k / 4))" $((k / 4 % 50 + 1)) ;;
    esac
    usleep $((($(od -An -N2 -tu2 /dev/urandom)) * 5))
    kill -9 "$(agent_pid)" 2>/dev/null && k=$((k + 1))
done
eventually 60 "the agent is back" berth get pods
for n in 1 2 3 4 5 6 7; do ready "stay$n" 120s; done
berth get pods

step "nothing was lost"
for n in 1 2 3 4 5 6 7; do
    is "stay$n never restarted" 0 "$(column stay$n 4)"
    is "and was never replaced" "$(cat /run/stay$n.uid)" "$(uid_of stay$n)"
    is "it has its last label" 1 "$(berth get pods -l "$(sed -n 's/.*{label: "\(.*\)"}}$/label=\1/p' $M/stay$n.yaml)" --no-headers | grep -c "^stay$n-")"
    last=$(berth logs stay$n | awk '{ n++; if ($2 != n) { print "line " n " is " $2; exit } } END { print "end " n }' | tail -n 2 | tr '\n' ' ')
    case "$last" in end*) echo "ok: stay$n has every line once, in order ($last)" ;; *) fail "stay$n: $last" ;; esac
done
j=0
while [ $j -lt $((KILLS / 4)) ]; do
    code=$((j % 50 + 1))
    eventually 60 "job$j has ended" status_is "job$j-" Error
    check "job$j's exit code $code" sh -c "berth get pod job$j -o yaml | grep -q 'exitCode: $code\$'"
    j=$((j + 1))
done
rm -f $M/*.yaml
for n in 1 2 3 4 5 6 7; do gone "stay$n"; done
eventually 120 "all pods are gone" sh -c '[ -z "$(berth get pods --no-headers 2>/dev/null)" ]'
nothing_left
