#!/bin/sh
# Pods on a network of Debian's CNI plugins, over two boots of one disk: all that the built-in network does; plugins
# that misbehave in every way; nothing left of pods that are gone, on the node or with the plugins.
. /put/lib.sh
V4=10.88 V6=fd88 GATEWAY=10.88.0.1
. /put/pod-network.sh
NET=/etc/cni/net.d
BIN=/opt/cni/bin
ln -sf xtables-nft-multi /usr/sbin/iptables; ln -sf xtables-nft-multi /usr/sbin/ip6tables
mkdir -p /var/keep $NET $BIN
printf 'network: cni\nlogLevel: debug\n' >/etc/berth/config.yaml
cat >$NET/20-shop.conflist <<'C'
{"cniVersion": "1.0.0", "name": "shop", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
            "ranges": [[{"subnet": "10.88.0.0/16"}], [{"subnet": "fd88::/64"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}]}
C
# What host-local has given away, and for whom.
given() { ls /var/lib/cni/networks/shop 2>/dev/null | grep -E '^[0-9a-f.:]+$' | sort; }
veths() { ls /sys/class/net | grep '^veth'; }
kept() { ls /var/lib/berth/network/cni 2>/dev/null; }
reason() { berth get pod "$1" -o yaml | grep -i message; }
# says POD TEXT: the pod waits, and says why.
says() { eventually "${3:-60}" "$1 says: $2" sh -c "berth get pod $1 -o yaml | grep -qF '$2'"; }

if [ "$(cat /put/boot)" = 2 ]; then
    step "after a reboot the plugins are told of pods that are gone, and of those that are there again"
    cp /var/keep/one.yaml $M
    is "what the power cut left" 4 "$(given | wc -w)"
    /etc/init.d/berth start
    serves
    ready one
    eventually 60 "only one pod has addresses" sh -c '[ "$(ls /var/lib/cni/networks/shop | grep -cE "^[0-9a-f.:]+$")" = 2 ]'
    is "those that it has" "$(ips_of one | sort)" "$(given)"
    is "and only one is kept in mind" 1 "$(kept | wc -w)"
    rm $M/*.yaml; gone one
    nothing_left
    is "the plugins have nothing" "" "$(given)$(kept)$(veths)"
    exit 0
fi

server one >/var/keep/one.yaml
server two >/var/keep/two.yaml
cp /var/keep/*.yaml $M
/etc/init.d/berth start
serves
ready one
ready two
addresses_are_shown
pods_reach_each_other
check "the list names network and interface, and counts" sh -c 'berth get pods -o wide --no-headers | grep -qE "^one.* shop/eth0 +[1-9][0-9.kM]*B/[1-9][0-9]* +[1-9]"'
check "so does the page, with the other end" sh -c 'berth describe pod one | grep -qE "^Interface: +eth0, in the CNI network shop, on the node as veth"'
check "and the pod itself" sh -c "berth get pod one -o yaml | grep -q 'k8s.v1.cni.cncf.io/network-status:.*veth.*shop'"
check "doctor finds the plugins" sh -c 'berth doctor | grep -q "by CNI plugins"'

step "an agent that was killed finds the network as it was, and says so if it is not"
was="$(ips_of one)"
kill -9 "$(agent_pid)"
eventually 30 "the agent is back" berth get pods
is "the same address" "$was" "$(ips_of one)"
is "pod to pod goes on" one-edge "$(fetch two "http://$(ip4 one)/name")"
outside_begins
ports_lead_to_pods
pods_go_out
outside_ends
churn_leaves_nothing
is "one interface for each pod" 2 "$(veths | wc -w)"
is "and its addresses" 4 "$(given | wc -w)"
check "no plugin had anything to say against it" sh -c '! berth get events | grep -q NetworkCheckFailed'

step "a NetworkPolicy that nobody holds a pod to is told, and shown on it for as long as it is so"
printf 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: closed}\nspec: {podSelector: {}}\n' | drop policy.yaml
eventually 20 "it is the pod's condition" sh -c 'berth get pod one -o yaml | grep -q "NetworkPolicy closed does not hold the pod: its network is made by CNI plugins"'
check "and an event" sh -c 'berth get events | grep NotEnforced | grep -q "NetworkPolicy closed"'
rm $M/policy.yaml
eventually 20 "no longer" sh -c '! berth get pod one -o yaml | grep -q SpecEnforced'

step "bandwidth is the plugin's; without one it is told"
server slow '' 'kubernetes.io/ingress-bandwidth: 1M, kubernetes.io/egress-bandwidth: 1M' | drop slow.yaml
ready slow
check "nobody holds it" sh -c 'berth get events | grep NetworkLimited | grep -q "has the capability bandwidth"'
rm $M/slow.yaml; gone slow
# Only here: this version of the plugin falls over a CHECK of a pod without a rate.
sed 's/"snat": true}\]}/"snat": true}, {"type": "bandwidth", "capabilities": {"bandwidth": true}}]}/' $NET/20-shop.conflist >$NET/10-rates.conflist
server slow '' 'kubernetes.io/ingress-bandwidth: 1M, kubernetes.io/egress-bandwidth: 1M' | drop slow.yaml
ready slow
is "its interface for the way out" 1 "$(ls /sys/class/net | grep -c '^bwp')"
is "it is there" slow-edge "$(fetch one "http://$(ip4 slow)/name")"
rm $M/slow.yaml; gone slow
rm $NET/10-rates.conflist
is "and gone" 0 "$(ls /sys/class/net | grep -c '^bwp')"

step "a network that is taken away is told"
server broken | drop broken.yaml
ready broken
for veth in $(veths); do
    if ip -o link show "$veth" | grep -q "$(berth exec broken -- cat /sys/class/net/eth0/iflink):" ; then ip link del "$veth"; fi
done
kill -9 "$(agent_pid)"
eventually 30 "the agent is back" berth get pods
eventually 60 "CHECK fails" sh -c 'berth get events | grep NetworkCheckFailed | grep -q "CNI plugin bridge of network"'
rm $M/broken.yaml; gone broken

step "a plugin that is missing, a network that is unknown or none"
mv $NET/20-shop.conflist /tmp/shop
server late | drop late.yaml
says late "no CNI network in /etc/cni/net.d"
echo '{"cniVersion": "1.0.0", "name": "bad", "plugins": [{"type": "nowhere"}]}' >$NET/10-bad.conflist
says late "CNI plugin nowhere is not in /opt/cni/bin or /usr/lib/cni"
echo '{' >$NET/10-bad.conflist
says late "/etc/cni/net.d/10-bad.conflist: no JSON"
rm $NET/10-bad.conflist; mv /tmp/shop $NET/20-shop.conflist
ready late 120s
rm $M/late.yaml; gone late

# A chain of Debian's bridge and a plugin of ours that does what the file says.
cat >$BIN/odd <<'P'
#!/bin/sh
input=$(cat)
echo "$CNI_COMMAND $CNI_CONTAINERID" >>/tmp/odd.log
echo "$input" >/tmp/odd.$CNI_COMMAND
. /tmp/odd
[ $CNI_COMMAND != ADD ] || echo "$input" | sed 's/.*"prevResult"://; s/,"type":"odd"}$//'
P
chmod +x $BIN/odd
: >/tmp/odd
sed 's/{"type": "portmap"/{"type": "odd"}, &/; s/"1.0.0"/"0.4.0"/' $NET/20-shop.conflist >$NET/10-odd.conflist
for how in \
    'echo "{\"code\": 100, \"msg\": \"not today\"}"; [ $CNI_COMMAND = DEL ] || exit 1|ADD: not today (code 100)' \
    'echo rubbish; exit 0|ADD: it answers no JSON: rubbish' \
    '[ $CNI_COMMAND = DEL ] || kill -9 $$|ADD: it was killed by signal 9' \
    '[ $CNI_COMMAND = DEL ] || sleep 1000|ADD: it did not come to an end in time'; do
    step "a plugin that does: ${how%|*}"
    echo "${how%|*}" >/tmp/odd
    server odd | drop odd.yaml
    says odd "${how##*|}" 120
    is "no address is left with host-local" 4 "$(given | wc -w)"
    : >/tmp/odd
    ready odd 180s
    rm $M/odd.yaml; gone odd
done
check "nothing of it runs" sh -c '! pidof sleep | tr " " "\n" | while read -r p; do tr "\0" " " </proc/$p/cmdline; done | grep -q "sleep 1000 "'

step "an agent that is killed while a plugin hangs"
echo '[ $CNI_COMMAND != ADD ] || [ -e /tmp/go ] || sleep 1000' >/tmp/odd
: >/tmp/odd.log
server odd | drop odd.yaml
eventually 60 "the plugin hangs" grep -q ADD /tmp/odd.log
: >/tmp/go
kill -9 "$(agent_pid)"
eventually 30 "the agent is back" berth get pods
ready odd 120s
is "it was told before it was asked again" "ADD DEL ADD " "$(cut -d' ' -f1 /tmp/odd.log | head -n 3 | tr '\n' ' ')"
rm /tmp/go; : >/tmp/odd
rm $M/odd.yaml; gone odd
is "two pods have addresses" 4 "$(given | wc -w)"

step "by version 1.1 plugins are told who is there, and let go of the rest"
cat >$BIN/own <<'P'
#!/bin/sh
cat >/tmp/own.$CNI_COMMAND
[ $CNI_COMMAND != ADD ] || echo '{"cniVersion": "1.1.0", "ips": [{"address": "10.99.0.9/24"}]}'
P
chmod +x $BIN/own
echo '{"cniVersion": "0.4.0", "cniVersions": ["0.4.0", "1.1.0"], "name": "own", "plugins": [{"type": "own"}]}' >$NET/10-odd.conflist
printf 'network: cni\ncniNetwork: own\n' >/etc/berth/config.yaml
sed 's/readinessProbe.*//' <<Y | drop own.yaml
$(server own)
Y
kill "$(agent_pid)"
eventually 60 "the agent is there, with another configuration" sh -c 'berth get pod own -o yaml | grep -q 10.99.0.9'
kill "$(agent_pid)"
eventually 60 "GC names the pod" sh -c "grep '\"cni.dev/valid-attachments\":\\[{\"containerID\":\"' /tmp/own.GC"
is "and no other" 1 "$(grep -o containerID /tmp/own.GC | wc -l)"
rm $M/own.yaml; gone own
printf 'network: cni\ncniNetwork: nowhere\n' >/etc/berth/config.yaml
kill "$(agent_pid)"
eventually 30 "the agent is back" berth get pods
server lost | drop lost.yaml
says lost '/etc/cni/net.d (there is: own, shop)'
rm $M/lost.yaml; gone lost

step "who goes back to the built-in network takes plugins' pods along"
printf 'network: bridge\n' >/etc/berth/config.yaml
kill "$(agent_pid)"
eventually 30 "the agent is back" berth get pods
is "one has what it had" "$was" "$(ips_of one)"
server built | drop built.yaml
ready built
check "a new one is on the bridge" sh -c 'berth get pod built -o yaml | grep -q "10\.86\."'
rm $M/built.yaml; gone built
rm $NET/10-odd.conflist
printf 'network: cni\n' >/etc/berth/config.yaml
kill "$(agent_pid)"
eventually 30 "the agent is back" berth get pods

step "the power goes, with two pods there"
sync
