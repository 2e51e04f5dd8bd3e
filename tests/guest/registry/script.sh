#!/bin/sh
# Images from a registry: pulled by name, asked after with Always, good enough from the store when the registry is
# gone; one that is nowhere waits and says what was tried.
. /put/lib.sh

step "a registry of files"
W=/root/www/v2/shop/web
mkdir -p $W/manifests $W/blobs /root/layout
# The name stands in /etc/hosts: found without any name server.
echo "127.0.0.1 hub.test" >>/etc/hosts
echo "nameserver 127.0.0.1" >/etc/resolv.conf
printf '[[registry]]\nlocation = "hub.test:5000"\ninsecure = true\n' >/etc/berth/registries.conf
berth import /usr/share/berth/images >/dev/null
berth image export berth.test/busybox:1 -o /root/box.tar >/dev/null
berth image rm berth.test/busybox:1 >/dev/null
tar -xf /root/box.tar -C /root/layout
for blob in /root/layout/blobs/sha256/*; do cp "$blob" "$W/blobs/sha256:$(basename "$blob")"; done
D=$(sed 's/.*"digest":"\(sha256:[0-9a-f]*\)".*/\1/' /root/layout/index.json)
cp "$W/blobs/$D" $W/manifests/1; cp "$W/blobs/$D" "$W/manifests/$D"
serve() { httpd -p 127.0.0.1:5000 -h /root/www; }
serve

pod() {
    drop "$1.yaml" <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: "$2", imagePullPolicy: $3, command: [sleep, "100000"]}
Y
}
pod web hub.test:5000/shop/web:1 Always
ready web
check "the image is in the store" sh -c 'berth image ls | grep -q hub.test:5000/shop/web:1'
is "nothing is left of the download" "" "$(ls /var/lib/berth/store/downloads)"
check "by hand, by digest" sh -c "berth image pull hub.test:5000/shop/web@$D | grep -q 'pulled hub.test:5000/shop/web@$D'"

step "the registry is gone"
kill "$(pidof httpd)"
rm $M/web.yaml; gone web
pod again hub.test:5000/shop/web:1 Always
ready again
stale() { berth get pod again -o yaml >/root/again && grep -q ImagesCurrent /root/again && grep -q 'is the one that is here: .*cannot be reached' /root/again; }
check "the pod says that nobody was asked" stale
check "so does an event" sh -c 'berth get events | grep -q RegistryUnreachable'
kill -9 "$(agent_pid)"
eventually 30 "the agent is back" berth get pods
check "the next agent knows it, too" stale
echo 'imagePullOfflineFallback: false' >/etc/berth/config.yaml
kill "$(agent_pid)"
eventually 30 "the agent is back" berth get pods
pod strict hub.test:5000/shop/web:1 Always
waits() { berth get pod strict -o yaml | grep -q 'hub.test:5000/shop/web cannot be reached'; }
eventually 60 "who is not content with that waits" waits
rm $M/strict.yaml /etc/berth/config.yaml; gone strict
kill "$(agent_pid)"
eventually 30 "the agent is back" berth get pods
pod other hub.test:5000/shop/other:1 IfNotPresent
tried() { berth get pod other -o yaml | grep -q 'hub.test:5000/shop/other cannot be reached'; }
eventually 60 "what is nowhere waits and says what was tried" tried

step "the registry is back"
mkdir -p /root/www/v2/shop/other; cp -r $W/* /root/www/v2/shop/other/
serve
ready other 120s

step "a program knows the password"
mkdir -p /root/www/v2/shop/closed; cp -r $W/* /root/www/v2/shop/closed/
printf '/v2/shop/closed:box:geheim\n' >/root/httpd.conf
kill "$(pidof httpd)"
httpd -p 127.0.0.1:5000 -h /root/www -c /root/httpd.conf
pod closed hub.test:5000/shop/closed:1 IfNotPresent
denied() { berth get pod closed -o yaml | grep -q 'wants a name and a password'; }
eventually 60 "without it the registry says what it wants" denied
printf '#!/bin/sh\nread -r host\necho "{\"Username\": \"box\", \"Secret\": \"geheim\"}"\n' >/usr/bin/docker-credential-box
chmod 755 /usr/bin/docker-credential-box
echo '{"credHelpers": {"hub.test:5000": "box"}}' >/etc/berth/auth.json
ready closed 120s
check "the password is told nowhere" sh -c '! grep -rq geheim /var/lib/berth /run/berth /var/log && ! berth get events | grep -q geheim'
rm $M/closed.yaml; gone closed

step "no registry is asked"
echo 'registryPullEnabled: false' >/etc/berth/config.yaml
/etc/init.d/berth stop; /etc/init.d/berth start
serves
ready other
check "a pull by hand is refused" sh -c '! berth image pull hub.test:5000/shop/none:1 2>/root/why; grep -q registryPullEnabled /root/why'
rm $M/*.yaml; gone other; gone again
nothing_left
