SUMMARY = "Berth with what belongs to it on an edge box"
DESCRIPTION = "The program, its configuration, the gate for updates, and the modules of the kernel that it uses."
LICENSE = "Apache-2.0"

PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit packagegroup

RDEPENDS:${PN} = "\
    berth \
    berth-conf \
    ${@bb.utils.contains('DISTRO_FEATURES', 'systemd', 'berth-health berth-systemd', '', d)} \
    ${@bb.utils.contains('DISTRO_FEATURES', 'sysvinit', 'berth-sysvinit', '', d)} \
"
