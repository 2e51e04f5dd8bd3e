#!/bin/sh
# `berth exec -it` at a real terminal (telnetd makes one): it is one in the container too, with the same size; a
# resize and Ctrl-C get through, the exit status comes back, and the terminal is as it was.
. /put/lib.sh

drop term.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: term}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: "berth.test/busybox:1", command: [sleep, "1000000"]}
Y
ready term
cat >/root/inner <<'S'
trap 'echo "resized to $(stty size)"' WINCH
trap 'echo "interrupted"; exit 7' INT
[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo "a terminal of $(stty size)"
while :; do usleep 50000; done
S
cat >/root/outer <<'S'
#!/bin/sh
tty >/root/tty
stty rows 33 cols 111
stty -g >/root/before
berth exec -it term -- sh -c "$(cat /root/inner)"
echo $? >/root/status
stty -g >/root/after
S
chmod +x /root/outer
seen() { grep -aq "$1" /root/typescript; }

step "a session"
mkfifo /root/keys
telnetd -F -b 127.0.0.1 -p 2323 -l /root/outer &
T=$!
listens() { grep -q ':0913 ' /proc/net/tcp; }
eventually 20 "there is a terminal to be had" listens
nc 127.0.0.1 2323 </root/keys >/root/typescript &
exec 3>/root/keys
eventually 60 "it is a terminal with the size of ours" seen 'a terminal of 33 111'
check "ours is in raw mode meanwhile" sh -c 'stty -F "$(cat /root/tty)" -a | grep -q -- "-icanon"'
step "a resize"
stty -F "$(cat /root/tty)" rows 44 cols 122
eventually 60 "the process hears of it" seen 'resized to 44 122'
step "Ctrl-C"
printf '\003' >&3
eventually 60 "the process is interrupted" seen interrupted
eventually 60 "the session ends" test -s /root/after
is "exit status" 7 "$(cat /root/status)"
is "the terminal is as it was" "$(cat /root/before)" "$(cat /root/after)"
exec 3>&-
kill $T
rm -f $M/term.yaml
gone term
nothing_left
