#!/bin/sh
# The gate for updates: who is required, what a pod that fails, a refused manifest and a silent Berth mean for it;
# and what the boot took.
. /put/lib.sh

pod() { # NAME COMMAND [ANNOTATIONS]
    drop "$1.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1, annotations: {$3}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "berth.test/busybox:1", command: [sh, -c, '$2']}]
Y
}
status() { "$@" >/root/said 2>&1; echo $?; }

step "a Berth without pods, and with one that runs"
is "nothing is required" 0 "$(status berth health)"
is "unless a number is" 1 "$(status berth health --at-least=1)"
pod good 'sleep 100000'
is "it waits until all is well, and stays so" 0 "$(status berth health --wait --timeout=60s --stable=1s --at-least=1)"

step "a pod that keeps failing"
pod bad 'exit 3' 'berth/required: "false"'
eventually 20 "it crashes" sh -c 'berth get pods --no-headers | grep -q "bad.*CrashLoopBackOff"'
is "it is not required" 0 "$(status berth health)"
pod bad 'exit 4'
eventually 20 "the next revision crashes too" sh -c 'berth get pods --no-headers | grep -q "bad.*CrashLoopBackOff"'
is "it is required" 1 "$(status berth health --wait --timeout=1s)"
check "and named with its reason" grep -q 'bad-edge.*CrashLoopBackOff' /root/said
rm $M/bad.yaml; gone bad
is "without it all is well" 0 "$(status berth health)"

step "a manifest that is refused"
echo 'kind: Nonsense' >$M/wrong.yaml
eventually 20 "it is seen" sh -c 'berth get problems --no-headers 2>&1 | grep -q wrong.yaml'
is "nobody knows what it was to be" 1 "$(status berth health)"
(sleep 1; rm $M/wrong.yaml) &
is "until it is mended" 0 "$(status berth health --wait --timeout=60s)"

step "the boot"
check "its report" berth doctor --boot-report
berth doctor --boot-report >/root/report
for what in 'hands over to init' 'the keeper begins' 'the agent begins' 'good-edge: container main runs' 'to the last container'; do
    check "$what" grep -q "$what" /root/report
done

step "a Berth that does not run"
/etc/init.d/berth stop
eventually 20 "the agent is gone" sh -c '! berth get pods'
is "has a status of its own" 3 "$(status berth health)"
(sleep 1; /etc/init.d/berth start) &
is "and is waited for" 0 "$(status berth health --wait --timeout=60s)"
rm $M/good.yaml; gone good
nothing_left
