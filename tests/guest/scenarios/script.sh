#!/bin/sh
# The scenarios of tests/scenarios that the simulator plays whole, one after the other, with real containers.
. /put/lib.sh

step "of the node's two CPUs the first is reserved: exclusive-cpus.yaml is about the other; what lasts is short; manifests have an address"
is "CPUs" 2 "$(nproc)"
cat >/etc/berth/config.yaml <<'Y'
cpuManagerPolicy: static
reservedSystemCPUs: "0"
evictionPressureTransitionPeriod: 5s
crashLoopBackOff: {maxContainerRestartPeriod: 10s}
staticPodURL: [{url: "http://127.0.0.1:8088/", checkFrequency: 1s, timeout: 5s, headers: {X-Box: [seven]}}]
Y
/etc/init.d/berth stop
/etc/init.d/berth start
serves

step "their image is unpacked before: deadlines of pods do not wait for it"
unpacked berth.test/actor:1

step "scenarios as data"
/put/scenarios all-simulated /put/files || fail "a scenario"
nothing_left
