#!/bin/sh
# Probes: readiness makes ready and not ready, liveness restarts, startup holds both back; commands, HTTP and TCP in
# the pod's own network; nothing written, nothing forgotten by a new agent.
. /put/lib.sh
B=berth.test/busybox:1
events() { berth get events | grep "$1"; }
said() { events "$1" | grep -q "$2"; }
restarts_are() { [ "$(column "$1" 4)" = "$2" ]; }
ready_is() { [ "$(column "$1" 2)" = "$2" ]; }

step "readiness by a command: ready, not ready, and never restarted"
drop ready.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: ready}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: v, emptyDir: {medium: Memory}}]
  containers:
  - name: app
    image: $B
    command: [sleep, "100000"]
    volumeMounts: [{name: v, mountPath: /v}]
    env: [{name: WHICH, value: here}]
    readinessProbe:
      exec: {command: [sh, -c, 'echo x >>/v/asked; cat /v/\$(WHICH)']}
      periodSeconds: 1
      failureThreshold: 2
Y
eventually 20 "it is found unready" said ready "Readiness probe failed: cat: can't open '/v/here'"
is "READY" 0/1 "$(column ready 2)"
berth exec ready -- touch /v/here
ready ready
asked() { berth exec ready -- sh -c 'wc -l </v/asked'; }
more() { [ "$(asked)" -ge "$1" ]; }
touch /tmp/mark
eventually 20 "it is asked again and again" more $(($(asked) + 2))
is "nothing is written for it" "" "$(find /var/lib/berth/pods /var/lib/berth/containers /var/log/pods -newer /tmp/mark -type f)"
kill -9 "$(agent_pid)"; serves
is "a new agent knows that it is ready" 1/1 "$(column ready 2)"
berth exec ready -- rm /v/here
eventually 20 "unready again" ready_is ready 0/1
check "the condition says why" sh -c 'berth get pod ready -o yaml | grep -q "containers with unready status"'
is "no restarts" 0 "$(column ready 4)"

step "liveness over HTTP in the pod's network, by a named port, with a redirect; startup first"
drop live.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: live}
spec:
  terminationGracePeriodSeconds: 30
  containers:
  - name: app
    image: $B
    command: [sh, -c, 'trap "" TERM; mkdir -p /www/live; echo fine >/www/live/index.html; usleep 1500000; httpd -p 8080 -h /www; while :; do usleep 100000; done']
    ports: [{name: web, containerPort: 8080}]
    startupProbe: {tcpSocket: {port: web}, periodSeconds: 1, failureThreshold: 20}
    livenessProbe:
      httpGet: {path: /live, port: web}
      periodSeconds: 1
      failureThreshold: 2
      terminationGracePeriodSeconds: 1
    readinessProbe: {httpGet: {path: /live/index.html, port: 8080}, periodSeconds: 1}
Y
eventually 20 "it has an address" sh -c 'berth get pods -o wide --no-headers | grep -q "^live.* 10\\.86"'
live_ip=$(berth get pods -o wide --no-headers | awk '/^live/ { print $6 }')
eventually 20 "it has not come up at first" said live "Startup probe failed: dial tcp $live_ip:8080: connect: connection refused"
ready live
is "no restarts until then" 0 "$(column live 4)"
check "the node has no such port" sh -c '! nc -z 127.0.0.1 8080 2>/dev/null'
berth exec live -- rm -r /www/live
eventually 20 "it is restarted, before the pod's grace is over" restarts_are live 1
check "why" said live "Liveness probe failed: HTTP probe failed with statuscode: 404"
check "and what follows" said live "Container app failed liveness probe, will be restarted"
ready live
rm $M/live.yaml

step "a command that takes too long is a failure; Never is never"
drop slow.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: slow}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: $B
    command: [sh, -c, 'trap "exit 3" TERM; while :; do usleep 50000; done']
    livenessProbe: {exec: {command: [sleep, "60"]}, periodSeconds: 1, failureThreshold: 1}
Y
eventually 20 "STATUS is Error" status_is slow Error
check "why" said slow 'command timed out: "sleep 60" timed out after 1s'
is "no restarts" 0 "$(column slow 4)"

step "a sidecar that has not come up holds up the others"
drop side.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: side}
spec:
  terminationGracePeriodSeconds: 1
  hostNetwork: true
  volumes: [{name: v, emptyDir: {}}]
  initContainers:
  - name: s
    image: $B
    restartPolicy: Always
    command: [sh, -c, 'while [ ! -e /v/go ]; do usleep 50000; done; date +%s >/v/up; httpd -f -p 8099 -h /v']
    volumeMounts: [{name: v, mountPath: /v}]
    startupProbe: {httpGet: {path: /up, port: 8099}, periodSeconds: 1, failureThreshold: 100}
  containers:
  - {name: main, image: $B, command: [sh, -c, 'test -e /v/up && sleep 100000'], volumeMounts: [{name: v, mountPath: /v}]}
Y
eventually 20 "the sidecar is asked" said side "Startup probe failed"
is "STATUS" Init:0/1 "$(column side 3)"
berth exec side -c s -- touch /v/go
ready side
is "main was not started too early" 0 "$(column side 4)"

step "hooks: after the start before anything else, before the stop within the grace, by its own stop signal"
mkdir -p /tmp/out
drop hooks.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: hooks}
spec:
  terminationGracePeriodSeconds: 20
  volumes: [{name: v, hostPath: {path: /tmp/out}}]
  containers:
  - name: app
    image: $B
    command: [sh, -c, 'trap "echo int >>/v/order; exit 0" INT; trap "" TERM; echo begun >>/v/order; while :; do usleep 50000; done']
    volumeMounts: [{name: v, mountPath: /v}]
    lifecycle:
      postStart: {exec: {command: [sh, -c, 'while [ ! -e /v/go ]; do usleep 50000; done; echo post >>/v/order']}}
      preStop: {exec: {command: [sh, -c, 'usleep 300000; echo pre >>/v/order']}}
      stopSignal: SIGINT
  - {name: second, image: $B, command: [sh, -c, 'echo second >>/v/order; sleep 100000'], volumeMounts: [{name: v, mountPath: /v}], lifecycle: {preStop: {sleep: {seconds: 1}}}}
Y
eventually 20 "the first container has begun" test -e /tmp/out/order
is "STATUS" ContainerCreating "$(column hooks 3)"
touch /tmp/out/go
ready hooks
kill -9 "$(agent_pid)"; serves
rm $M/hooks.yaml; gone hooks
is "order" "begun post second pre int" "$(tr '\n' ' ' </tmp/out/order | sed 's/ $//')"

step "a hook after the start that fails costs the run"
drop hook.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: hook}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: app, image: $B, command: [sleep, "100000"], lifecycle: {postStart: {exec: {command: ["false"]}}}}
Y
eventually 20 "it is restarted" restarts_are hook 1
check "why" said hook FailedPostStartHook
rm $M/hook.yaml

step "HTTPS speaks TLS, and says so of a server that does not"
drop tls.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: tls}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: $B
    command: [sh, -c, 'while :; do printf "HTTP/1.0 400 Bad Request\\r\\n\\r\\n" | nc -l -p 8443; done']
    readinessProbe: {httpGet: {port: 8443, scheme: HTTPS}, periodSeconds: 1, timeoutSeconds: 5}
Y
eventually 20 "it has an address" sh -c 'berth get pods -o wide --no-headers | grep -q "^tls.* 10\\.86"'
tls_ip=$(berth get pods -o wide --no-headers | awk '/^tls/ { print $6 }')
eventually 30 "why" said tls "Readiness probe failed: Get \"https://$tls_ip:8443/\": http: server gave HTTP response to HTTPS client"
rm $M/tls.yaml; gone tls

step "many containers, three probes each, every second (probe_stress_test.go)"
N=25
{
    cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: stress}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: v, emptyDir: {medium: Memory}}]
  containers:
Y
    i=0
    while [ $i -lt $N ]; do
        port=$((9000 + i)); mark="exec: {command: [sh, -c, 'echo x >>/v/$i']}"
        http="httpGet: {path: /, port: $port}"; tcp="tcpSocket: {port: $port}"
        # A command costs a process each time: every fifth container has one for its liveness.
        case $((i % 5)) in
        0) live=$mark start=$tcp ready=$http ;;
        1 | 2) live=$http start=$tcp ready=$http ;;
        *) live=$tcp start=$http ready=$http ;;
        esac
        cat <<Y
  - name: c$i
    image: $B
    command: [sh, -c, 'mkdir -p /www; echo fine >/www/index.html; exec httpd -f -v -p $port -h /www']
    volumeMounts: [{name: v, mountPath: /v}]
    startupProbe: {$start, periodSeconds: 1, failureThreshold: 60}
    livenessProbe: {$live, periodSeconds: 1, timeoutSeconds: 20}
    readinessProbe: {$ready, periodSeconds: 1, timeoutSeconds: 20}
Y
        i=$((i + 1))
    done
} | drop stress.yaml
ready stress 240s
# By each probe that there is no other trace of than what the server says ten times, and as often by the commands.
asked_all() {
    i=0
    while [ $i -lt $N ]; do
        case $((i % 5)) in 1 | 2) both=20 ;; *) both=10 ;; esac
        [ "$(berth logs stress -c c$i | grep -c 'response:200')" -ge $both ] || return 1
        [ $((i % 5)) -ne 0 ] || [ "$(berth exec stress -c c0 -- sh -c "wc -l </v/$i")" -ge 10 ] || return 1
        i=$((i + 1))
    done
}
eventually 180 "each is asked ten times" asked_all
is "all are ready" $N/$N "$(column stress 2)"
is "no restarts" 0 "$(column stress 4)"
check "and nothing was found unwell" sh -c '! berth get events --for stress | grep -q -e "Liveness probe failed" -e Killing'
rm $M/stress.yaml; gone stress

step "what is wrong is refused by path"
drop bad.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: bad}
spec:
  containers:
  - {name: app, image: $B, livenessProbe: {httpGet: {port: web, scheme: SHTTP}, successThreshold: 2}}
Y
problem() { berth get problems | grep -q "$1"; }
eventually 20 "a scheme" problem "livenessProbe.httpGet.scheme"
check "a port without a name" problem "livenessProbe.httpGet.port .*Invalid value"
check "a threshold" problem "livenessProbe.successThreshold .*must be 1"
rm $M/*.yaml; for pod in ready live slow side hook; do gone $pod; done
nothing_left
