#!/bin/sh
# All scenarios of tests/scenarios, one after the other, with real containers: the files that the simulator plays too.
. /put/lib.sh
step "scenarios as data"
/put/scenarios /put/files || fail "a scenario"
nothing_left
