# As meta-raspberrypi's recipe of this name: the words of CMDLINE become a file that is deployed.
SUMMARY = "stand-in"
LICENSE = "MIT"
CMDLINE = "root=/dev/mmcblk0p2 rootwait"

do_compile() {
    echo "${@' '.join(d.getVar('CMDLINE').split())}" > ${WORKDIR}/cmdline.txt
}
