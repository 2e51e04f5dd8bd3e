#!/bin/sh
# All scenarios of tests/scenarios, one after the other, with real containers: the files that the simulator plays too.
. /put/lib.sh

step "their image is unpacked before: deadlines of pods do not wait for it"
drop warm.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: warm}
spec: {containers: [{name: main, image: "berth.test/actor:1"}]}
Y
ready warm 180s
rm $M/warm.yaml; gone warm

step "scenarios as data"
/put/scenarios /put/files || fail "a scenario"
nothing_left
