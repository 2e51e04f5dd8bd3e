#!/bin/sh
# A scenario's container (tests/src/scenarios): stays until it is told to end, by a file with its exit status and a signal.
leave() { read -r code </end; [ "$code" = oom ] && exec tail /dev/zero; exit "$code"; }
trap leave USR1
if [ "$1" = stubborn ]; then trap '' TERM; else trap 'exit 0' TERM; fi
if [ "$1" = serves ]; then httpd -p 8080 -h /; nc -ll -p 9090 -e /grpc & fi
if [ "$1" = exits ]; then exit "$2"; fi
# Told before there was a trap.
if [ -e /end ]; then leave; fi
while :; do
    sleep 100000 &
    wait
done
