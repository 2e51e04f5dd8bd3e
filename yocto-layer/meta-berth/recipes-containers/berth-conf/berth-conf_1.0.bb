SUMMARY = "Configuration of Berth"
DESCRIPTION = "The configuration file of this machine's Berth. A distribution brings its own in a berth-conf_%.bbappend \
with FILESEXTRAPATHS:prepend."
SECTION = "base"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://config.yaml"
S = "${UNPACKDIR}"

# Of the machine: which pods a box runs, and with which limits, depends on it.
PACKAGE_ARCH = "${MACHINE_ARCH}"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -d ${D}${sysconfdir}/berth
    install -m 0644 ${UNPACKDIR}/config.yaml ${D}${sysconfdir}/berth/config.yaml
}

FILES:${PN} = "${sysconfdir}/berth"
CONFFILES:${PN} = "${sysconfdir}/berth/config.yaml"
