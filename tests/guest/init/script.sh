#!/bin/sh
# Init containers run in order and hold up the others; sidecars stay, end last and fail nobody; policies and
# rules of single containers.
. /put/lib.sh
B=berth.test/busybox:1
# state POD CONTAINER: running, waiting or terminated, and why.
state() { berth get pod "$1" -o json | tr -d ' \n' | sed 's/{"/\n{"/g' | grep -o "\"name\":\"$2\".*" | head -n 1; }
stays() { echo 'trap "exit 0" TERM; while :; do usleep 100000; done'; }

step "init containers run serially, the next only after exit 0; then the regular ones"
drop serial.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: serial}
spec:
  terminationGracePeriodSeconds: 5
  volumes: [{name: v, emptyDir: {}}]
  initContainers:
  - {name: one, image: "$B", command: [sh, -c, 'while [ ! -e /v/go ]; do usleep 50000; done; echo one >>/v/order'], volumeMounts: [{name: v, mountPath: /v}]}
  - {name: two, image: "$B", command: [sh, -c, 'echo two >>/v/order; echo said by two'], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - {name: main, image: "$B", command: [sh, -c, 'echo main >>/v/order; $(stays)'], volumeMounts: [{name: v, mountPath: /v}]}
Y
eventually 20 "STATUS is Init:0/2" status_is serial Init:0/2
is "READY counts the regular container" 0/1 "$(column serial 2)"
check "not initialised" sh -c 'berth get pod serial -o yaml | grep -q ContainersNotInitialized'
check "the others are PodInitializing" sh -c 'berth get pod serial -o yaml | grep -q PodInitializing'
eventually 20 "exec -c of an init container" berth exec serial -c one -- touch /v/go
ready serial
is "order" "one two main" "$(berth exec serial -- cat /v/order | tr '\n' ' ' | sed 's/ $//')"
is "logs -c of an init container" "said by two" "$(berth logs serial -c two)"
check "describe shows them" sh -c 'berth describe pod serial | grep -q "Init Containers"'

step "init containers are not run again when a container or the agent restarts"
berth exec serial -- sh -c 'kill -TERM 1'
eventually 20 "main has restarted" sh -c '[ "$(berth get pods --no-headers | awk "index(\$1, \"serial\") == 1 { print \$4 }")" = 1 ]'
ready serial
kill -9 "$(agent_pid)"; serves; ready serial
is "order" "one two main main" "$(berth exec serial -- cat /v/order | tr '\n' ' ' | sed 's/ $//')"
rm $M/serial.yaml; gone serial

step "a failing init container blocks: back-off under Always, a failed pod under Never"
drop fails.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: fails}
spec:
  initContainers: [{name: bad, image: "$B", command: [sh, -c, 'exit 3']}]
  containers: [{name: main, image: "$B", command: [sleep, "100000"]}]
Y
drop never.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: never}
spec:
  restartPolicy: Never
  initContainers: [{name: bad, image: "$B", command: [sh, -c, 'exit 3']}]
  containers: [{name: main, image: "$B", command: [sleep, "100000"]}]
Y
eventually 20 "STATUS is Init:Error" status_is never Init:Error
check "phase Failed" sh -c 'berth get pod never -o yaml | grep -q "phase: .*Failed"'
eventually 30 "STATUS is Init:CrashLoopBackOff" status_is fails Init:CrashLoopBackOff
rm $M/fails.yaml $M/never.yaml; gone fails; gone never

step "a sidecar starts first, counts in READY, is restarted under Never, and ends when the pod has finished"
drop side.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: side}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 20
  volumes: [{name: v, emptyDir: {}}]
  initContainers:
  - {name: s, image: "$B", restartPolicy: Always, command: [sh, -c, 'echo s >>/v/order; trap "echo s-ends >>/v/order; exit 0" TERM; while [ ! -e /v/crash ]; do usleep 50000; done; rm /v/crash; exit 1'], volumeMounts: [{name: v, mountPath: /v}]}
  - {name: t, image: "$B", restartPolicy: Always, command: [sh, -c, 'trap "usleep 300000; echo t-ends >>/v/order; exit 0" TERM; while :; do usleep 50000; done'], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - {name: main, image: "$B", command: [sh, -c, 'echo main >>/v/order; while [ ! -e /v/end ]; do usleep 50000; done'], volumeMounts: [{name: v, mountPath: /v}]}
Y
ready side
is "READY" 3/3 "$(column side 2)"
berth exec side -c main -- touch /v/crash
eventually 20 "the sidecar has restarted" sh -c '[ "$(berth get pods --no-headers | awk "index(\$1, \"side\") == 1 { print \$4 }")" = 1 ]'
order=$(find /var/lib/berth/pods -name order)
berth exec side -c main -- touch /v/end
eventually 20 "STATUS is Completed" status_is side Completed
eventually 20 "phase Succeeded, when the sidecars have ended too" sh -c 'berth get pod side -o yaml | grep -q "phase: .*Succeeded"'
is "termination in reverse order" "s main s t-ends s-ends" "$(tr '\n' ' ' <"$order" | sed 's/ $//')"
rm $M/side.yaml; gone side

step "a pod that is removed: regular containers first, then sidecars from the last to the first"
mkdir -p /tmp/out
drop out.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: out}
spec:
  terminationGracePeriodSeconds: 20
  volumes: [{name: v, hostPath: {path: /tmp/out}}]
  initContainers:
  - {name: s, image: "$B", restartPolicy: Always, command: [sh, -c, 'trap "echo s >>/v/order; exit 0" TERM; while :; do usleep 50000; done'], volumeMounts: [{name: v, mountPath: /v}]}
  - {name: t, image: "$B", restartPolicy: Always, command: [sh, -c, 'trap "echo t >>/v/order; exit 0" TERM; while :; do usleep 50000; done'], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - {name: main, image: "$B", command: [sh, -c, 'trap "usleep 500000; echo main >>/v/order; exit 0" TERM; touch /v/traps; while :; do usleep 50000; done'], volumeMounts: [{name: v, mountPath: /v}]}
Y
ready out
# Ready is started, not yet listening to signals.
eventually 20 "its main container has its trap" test -e /tmp/out/traps
rm $M/out.yaml; gone out
is "order of the ends" "main t s" "$(tr '\n' ' ' </tmp/out/order | sed 's/ $//')"

step "container restart policy and rules: a matching exit code restarts, another does not"
drop rules.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: rules}
spec:
  restartPolicy: Never
  volumes: [{name: v, emptyDir: {}}]
  containers:
  - name: main
    image: $B
    restartPolicy: Never
    restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42]}}]
    command: [sh, -c, 'if [ -e /v/again ]; then exit 7; fi; touch /v/again; exit 42']
    volumeMounts: [{name: v, mountPath: /v}]
Y
# The first end shows `Error` too, until the restart.
restarts_are() { [ "$(column "$1" 4)" = "$2" ]; }
eventually 20 "restarted once, by the rule" restarts_are rules 1
eventually 30 "STATUS is Error" status_is rules Error
is "restarted once" 1 "$(column rules 4)"
rm $M/rules.yaml; gone rules

step "variables from a file that an init container has written (standalone_test.go, file_key.go)"
drop file.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: file}
spec:
  restartPolicy: Never
  volumes: [{name: v, emptyDir: {}}]
  initContainers:
  - {name: writes, image: "$B", command: [sh, -c, "printf \"# said\\\\nWORD='open sesame'\\\\n\" >/v/env"], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - name: main
    image: $B
    command: [sh, -c, 'echo "\$WORD, \$AGAIN, \${NONE-nothing}"']
    env:
    - {name: WORD, valueFrom: {fileKeyRef: {volumeName: v, path: env, key: WORD}}}
    - {name: AGAIN, value: \$(WORD) again}
    - {name: NONE, valueFrom: {fileKeyRef: {volumeName: v, path: none, key: WORD, optional: true}}}
Y
eventually 20 "STATUS is Completed" status_is file Completed
is "what it read" "open sesame, open sesame again, nothing" "$(berth logs file)"
rm $M/file.yaml; gone file

step "termination messages: the file, or the end of the log of one that failed (runtime.go)"
drop words.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: words}
spec:
  restartPolicy: Never
  containers:
  - {name: file, image: "$B", command: [sh, -c, 'echo noise; printf DONE >/dev/termination-log'], terminationMessagePolicy: FallbackToLogsOnError}
  - {name: own, image: "$B", command: [sh, -c, 'printf OWN >/tmp/said'], terminationMessagePath: /tmp/said, securityContext: {runAsUser: 1000}}
  - {name: long, image: "$B", command: [sh, -c, 'head -c 5000 /dev/zero | tr "\\0" m >/dev/termination-log']}
  - {name: log, image: "$B", command: [sh, -c, 'for i in 1 2 3; do echo line \$i; done; printf unended >&2; exit 3'], terminationMessagePolicy: FallbackToLogsOnError}
  - {name: well, image: "$B", command: [sh, -c, 'echo noise'], terminationMessagePolicy: FallbackToLogsOnError}
Y
eventually 30 "phase Failed" sh -c 'berth get pod words -o yaml | grep -q "phase: .*Failed"'
# messages: of all containers, in the order of the spec.
messages() { berth describe pod words | sed -n 's/^ *Message: *//p'; }
is "the file" DONE "$(messages | sed -n 1p)"
is "at a path of its own, by another user" OWN "$(messages | sed -n 2p)"
is "no more than the pod's containers share" 2457 "$(messages | sed -n 3p | tr -cd m | wc -c)"
check "the log of one that failed" sh -c "echo '$(messages | sed -n 4p)' | grep -q 'line 1.*line 3'"
check "its unended line too" sh -c "echo '$(messages | sed -n 4p)' | grep -q unended"
is "and of no other" "" "$(messages | sed -n 5p)"
check "get pod -o yaml has them" sh -c 'berth get pod words -o yaml | grep -q "message: .*DONE"'
rm $M/words.yaml; gone words

step "a rule starts all containers anew (standalone_test.go, container_restart_policy.go: RestartAllContainers)"
drop anew.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: anew}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 2
  volumes: [{name: data, emptyDir: {}}]
  initContainers:
  - {name: setup, image: "$B", command: [sh, -c, 'echo setup >>/data/log'], volumeMounts: [{name: data, mountPath: /data}]}
  - {name: beside, image: "$B", restartPolicy: Always, command: [sh, -c, 'trap "" TERM; echo beside >>/data/log; while :; do sleep 1; done'], volumeMounts: [{name: data, mountPath: /data}]}
  containers:
  - name: main
    image: "$B"
    command: [sh, -c, 'if [ -e /data/second ]; then exec sleep 100000; fi; touch /data/second; sleep 1; exit 42']
    restartPolicy: Never
    restartPolicyRules: [{action: RestartAllContainers, exitCodes: {operator: In, values: [42]}}]
    volumeMounts: [{name: data, mountPath: /data}]
  - {name: job, image: "$B", command: ['true']}
Y
eventually 60 "all were started anew" sh -c 'berth get events --for anew | grep -q RestartAllContainers'
eventually 60 "what was started before is started again, in its order" sh -c '[ "$(berth exec anew -c main -- cat /data/log | tr "\n" " ")" = "setup beside setup beside " ]'
is "each with one restart more" 4 "$(berth get pod anew -o yaml | grep -c 'restartCount: 1')"
is "in the same sandbox" 0 "$(berth get events --for anew | grep -c FailedCreatePodSandBox)"
rm $M/anew.yaml; gone anew 90s
nothing_left
