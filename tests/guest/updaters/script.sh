#!/bin/sh
# The hooks for updaters, as packages bring them: a box whose pods are well is confirmed, one whose are not is left to
# the boot loader. SWUpdate's with both tools of U-Boot's environment, and with those of other boot loaders.
. /put/lib.sh
HOOKS=/usr/share/doc/berth/examples
export BERTH_HEALTH='--timeout=1s --stable=0s'
status() { "$@" >/root/said 2>&1; echo $?; }
# What the unit does: the hook runs only behind the gate.
confirm() { berth health --wait $BERTH_HEALTH && "$HOOKS/swupdate"; }
pod() { # COMMAND
    drop app.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "berth.test/busybox:1", command: [sh, -c, '$1']}]
Y
}

# libubootenv's tool, on an environment in a file.
dd if=/dev/zero of=/root/environment bs=16k count=1 2>/dev/null
echo '/root/environment 0x0 0x4000' >/etc/fw_env.config
printf 'upgrade_available=1\nbootcount=2\nustate=1\nboard=mine\n' >/etc/u-boot-initial-env
value() { fw_printenv -n "$1"; }
on_trial() { fw_setenv bootcount 2; fw_setenv ustate 1; fw_setenv upgrade_available 1; }

step "pods that are not well"
pod 'exit 3'
eventually 20 "one crashes" status_is app CrashLoopBackOff
on_trial
is "greenboot makes the boot a red one" 1 "$(status "$HOOKS/greenboot")"
is "Mender goes back" 1 "$(status "$HOOKS/ArtifactCommit_Enter_50_berth")"
is "SWUpdate's hook is not come to" 1 "$(status confirm)"
is "the system stays on trial" "1 2 1" "$(value upgrade_available) $(value bootcount) $(value ustate)"

step "pods that are well"
export BERTH_HEALTH='--timeout=60s --stable=0s'
pod 'sleep 100000'
ready app
is "greenboot makes the boot a green one" 0 "$(status "$HOOKS/greenboot")"
is "Mender commits" 0 "$(status "$HOOKS/ArtifactCommit_Enter_50_berth")"
is "SWUpdate's hook confirms" 0 "$(status confirm)"
is "to libubootenv" "0 0 0 mine" "$(value upgrade_available) $(value bootcount) $(value ustate) $(value board)"

step "the other boot loaders' tools"
mkdir /root/bin
tool() { cat >"/root/bin/$1" && chmod +x "/root/bin/$1"; }
with_tools() { PATH=/root/bin:/bin "$HOOKS/swupdate"; }
# Every applet by its name, and no fw_setenv.
/bin/busybox --install -s /bin
is "without any it says so" 1 "$(status with_tools)"
check "and which ones it knows" grep -q 'fw_setenv, bg_setenv or grub-editenv' /root/said
echo 'echo "$@" >>/root/grub' | tool grub-editenv
is "GRUB" 0 "$(status with_tools)"
is "its environment" "/boot/grub/grubenv unset upgrade_available bootcount ustate" "$(cat /root/grub)"
echo 'echo "$@" >>/root/guard' | tool bg_setenv
is "EFI Boot Guard" 0 "$(status with_tools)"
is "its confirmation" "-c" "$(cat /root/guard)"
# U-Boot's own: one name and one value, or a script of `name value`; anything else is a value with blanks in it.
tool fw_setenv <<'T'
[ $# = 2 ] || { echo "fw_setenv: not of U-Boot's form: $*" >&2; exit 1; }
echo "$1=$2" >>/root/uboot
T
tool fw_printenv <<'T'
[ "$1" = -n ] || exit 1
sed -n "s/^$2=//p" /root/uboot | tail -n 1 | grep . || { echo "## Error: \"$2\" not defined" >&2; exit 1; }
T
printf 'upgrade_available=1\nbootcount=2\n' >/root/uboot
is "U-Boot's own" 0 "$(status with_tools)"
is "the confirmation comes last" "bootcount=0 ustate=0 upgrade_available=0" "$(tail -n 3 /root/uboot | tr '\n' ' ' | sed 's/ $//')"
is "once more" 0 "$(status with_tools)"
is "nothing is written again" 5 "$(wc -l </root/uboot)"
rm $M/app.yaml; gone app
