#!/bin/sh
# The scenarios of tests/scenarios of which the simulator cannot play all: those that ask containers and the node, or boot
# again. One after the other, with real containers.
. /put/lib.sh

step "a node as they want it: with processes, logs and back-offs that have small bounds, with some swap, with mounts that pass"
mount --make-rshared /
dd if=/dev/zero of=/var/swap bs=1M count=16 2>/dev/null
mkswap /var/swap >/dev/null && swapon /var/swap || fail "swap"
cat >/etc/berth/config.yaml <<'Y'
podPidsLimit: 200
containerLogMaxSize: 16Ki
containerLogMaxFiles: 3
memoryQos: true
memorySwap: {swapBehavior: LimitedSwap}
Y

if [ ! -e /var/scenario.json ]; then
    /etc/init.d/berth start
    serves
    step "their image is unpacked before: deadlines of pods do not wait for it"
    unpacked berth.test/actor:1
fi

step "scenarios as data"
/put/scenarios asked /put/files
case $? in
0) nothing_left ;;
3) sync; exit 0 ;;
*) fail "a scenario" ;;
esac
