#!/bin/sh
# Files of images are sealed by fs-verity (imageFsVerity): of one that the disk has changed no byte is taken for good, and
# the store makes it anew.
mkdir -p /etc/berth
echo 'imageFsVerity: true' >>/etc/berth/config.yaml
/etc/init.d/berth start
. /put/lib.sh
serves

step "an image with a file that can be found on the disk"
case $(uname -m) in aarch64) ARCH=arm64 ;; *) ARCH=amd64 ;; esac
berth import /usr/share/berth/images >/dev/null 2>&1
directory() { berth image inspect "$1" | sed -n 's/.*"directory": "\(.*\)".*/\1/p' | head -n 1; }
W=/run/image
mkdir -p $W/root/data $W/layer
cp -a "$(directory berth.test/busybox:1)/bin" $W/root/
MARK=as-it-was-imported
{ dd if=/dev/zero bs=4096 count=3 2>/dev/null; echo "$MARK"; dd if=/dev/zero bs=4096 count=3 2>/dev/null; } >$W/root/data/part
tar -cf $W/layer/layer.tar -C $W/root .
SUM=$(sha256sum $W/layer/layer.tar | cut -d ' ' -f 1)
cat >$W/layer/config.json <<Y
{"architecture": "$ARCH", "os": "linux", "config": {"Env": ["PATH=/bin"]}, "rootfs": {"type": "layers", "diff_ids": ["sha256:$SUM"]}}
Y
echo '[{"Config": "config.json", "RepoTags": ["berth.test/sealed:1"], "Layers": ["layer.tar"]}]' >$W/layer/manifest.json
tar -cf /usr/share/berth/images/sealed.tar -C $W/layer .
rm -r $W
berth import /usr/share/berth/images >/dev/null 2>&1 || fail "import"
D=$(directory berth.test/sealed:1)
check "it is sealed" sh -c "berth image inspect berth.test/sealed:1 | grep -q '\"fsVerity\": true'"
check "it is as it was unpacked" berth image verify
is "nobody writes to a sealed file" "" "$( (echo x >>"$D/data/part") 2>/dev/null && echo written)"
sealed() {
    drop sealed.yaml <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: sealed}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "berth.test/sealed:1", command: [sh, -c, 'cat /data/part >/dev/null && exec sleep 100000']}]
Y
}
sealed
ready sealed
rm $M/sealed.yaml
gone sealed

step "a block changes under it"
# The file's first block on the disk, of 4 KiB each; the mark is in its fourth.
FIRST=$(filefrag -v "$D/data/part" | awk '$1 == "0:" { sub(/\.\./, "", $4); print $4 }')
AT=$(((FIRST + 3) * 4096))
is "its place on the disk is known" "$MARK" "$(dd if=/dev/vda bs=4096 skip=$((FIRST + 3)) count=1 2>/dev/null | head -n 1)"
printf 'X' | dd of=/dev/vda bs=1 seek=$AT conv=notrunc,fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
check "its neighbours are read" sh -c "dd if='$D/data/part' of=/dev/null bs=4096 count=1 2>/dev/null"
sealed
said() { berth logs sealed 2>&1 | grep -qE 'I/O error|Input/output error'; }
eventually 60 "the pod is given an error instead of another file" said
check "the damage is found and mended" sh -c 'berth image verify --repair | tee /dev/stderr | grep -q "^ *repaired"'
# It is in its back-off: a new one begins at once.
rm $M/sealed.yaml
gone sealed
sealed
ready sealed
is "the file is as it was" "$MARK" "$(berth exec sealed -- sh -c 'tr -d "\000" </data/part')"
rm $M/sealed.yaml
gone sealed
echo "verity: passed"
