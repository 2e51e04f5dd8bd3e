require berth.inc

SUMMARY:${PN}-systemd = "Berth as a service of systemd"
SUMMARY:${PN}-sysvinit = "Berth as a service of sysvinit or busybox init"
SUMMARY:${PN}-health = "Holds boot-complete.target back until all required pods are well"
SUMMARY:${PN}-rauc = "RAUC marks a slot good only when all required pods are well"
SUMMARY:${PN}-swupdate = "An update by SWUpdate is confirmed only when all required pods are well"
SUMMARY:${PN}-greenboot = "greenboot asks whether all required pods are well"

DEPENDS += "libseccomp"

# libseccomp of core asks for it too; so the reason is said here.
inherit features_check
REQUIRED_DISTRO_FEATURES = "seccomp"

inherit bash-completion ptest systemd update-rc.d useradd

SRC_URI += "\
    file://berth.service \
    file://berth-halt.service \
    file://berth.init \
    file://berth.network \
    file://berth.tmpfiles \
    file://berth.apparmor \
    file://berth.volatiles \
    file://run-ptest \
    file://berth-health.service \
    file://berth-healthy.target \
    file://after-volatile.conf \
    file://hooks/greenboot \
    file://hooks/rauc.conf \
    file://hooks/swupdate.service \
    file://hooks/swupdate \
"

# completion: for bash, zsh and fish; man: the manual pages. Both are made by the native berth.
PACKAGECONFIG ??= "completion"
PACKAGECONFIG[completion] = ",,berth-native"
PACKAGECONFIG[man] = ",,berth-native"

SYSTEMD_PACKAGES = "${PN}-systemd ${PN}-health ${PN}-swupdate"
SYSTEMD_SERVICE:${PN}-systemd = "berth.service berth-halt.service"
SYSTEMD_SERVICE:${PN}-health = "berth-health.service"
SYSTEMD_SERVICE:${PN}-swupdate = "berth-swupdate.service"
INITSCRIPT_PACKAGES = "${PN}-sysvinit"
INITSCRIPT_NAME:${PN}-sysvinit = "berth"
INITSCRIPT_PARAMS:${PN}-sysvinit = "defaults 85 15"

# Members may use the command line's socket when apiSocketGroup of the configuration names it.
USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system berth"

do_install:append() {
    install -d ${D}${sysconfdir}/berth/manifests ${D}${datadir}/berth/manifests ${D}${datadir}/berth/images
    if ${@bb.utils.contains('DISTRO_FEATURES', 'systemd', 'true', 'false', d)}; then
        install -d ${D}${systemd_system_unitdir} ${D}${nonarch_libdir}/tmpfiles.d
        install -m 0644 ${UNPACKDIR}/berth.service ${UNPACKDIR}/berth-halt.service \
            ${UNPACKDIR}/berth-health.service ${UNPACKDIR}/berth-healthy.target ${D}${systemd_system_unitdir}/
        install -m 0644 ${UNPACKDIR}/berth.tmpfiles ${D}${nonarch_libdir}/tmpfiles.d/berth.conf
        install -d ${D}${nonarch_libdir}/systemd/network
        install -m 0644 ${UNPACKDIR}/berth.network ${D}${nonarch_libdir}/systemd/network/10-berth.network
        install -m 0644 ${UNPACKDIR}/hooks/swupdate.service ${D}${systemd_system_unitdir}/berth-swupdate.service
        install -d ${D}${systemd_system_unitdir}/var-lib-berth.mount.d
        install -m 0644 ${UNPACKDIR}/after-volatile.conf ${D}${systemd_system_unitdir}/var-lib-berth.mount.d/
        install -d ${D}${systemd_system_unitdir}/rauc-mark-good.service.d
        install -m 0644 ${UNPACKDIR}/hooks/rauc.conf \
            ${D}${systemd_system_unitdir}/rauc-mark-good.service.d/berth.conf
    fi
    if ${@bb.utils.contains('DISTRO_FEATURES', 'sysvinit', 'true', 'false', d)}; then
        install -d ${D}${sysconfdir}/init.d ${D}${sysconfdir}/default/volatiles
        install -m 0755 ${UNPACKDIR}/berth.init ${D}${sysconfdir}/init.d/berth
        install -m 0644 ${UNPACKDIR}/berth.volatiles ${D}${sysconfdir}/default/volatiles/99_berth
    fi
    if ${@bb.utils.contains('DISTRO_FEATURES', 'apparmor', 'true', 'false', d)}; then
        install -d ${D}${sysconfdir}/apparmor.d
        install -m 0644 ${UNPACKDIR}/berth.apparmor ${D}${sysconfdir}/apparmor.d/berth-default
    fi
    install -d ${D}${libexecdir}/berth
    install -m 0755 ${UNPACKDIR}/hooks/swupdate ${D}${libexecdir}/berth/swupdate
    install -d ${D}${sysconfdir}/greenboot/check/required.d
    install -m 0755 ${UNPACKDIR}/hooks/greenboot ${D}${sysconfdir}/greenboot/check/required.d/50-berth.sh
    if ${@bb.utils.contains('PACKAGECONFIG', 'completion', 'true', 'false', d)}; then
        install -d ${D}${datadir}/bash-completion/completions ${D}${datadir}/zsh/site-functions \
            ${D}${datadir}/fish/vendor_completions.d
        berth completion bash > ${D}${datadir}/bash-completion/completions/berth
        berth completion zsh > ${D}${datadir}/zsh/site-functions/_berth
        berth completion fish > ${D}${datadir}/fish/vendor_completions.d/berth.fish
    fi
    if ${@bb.utils.contains('PACKAGECONFIG', 'man', 'true', 'false', d)}; then
        berth man ${D}${mandir}/man1
    fi
}

PACKAGES =+ "\
    ${PN}-systemd ${PN}-sysvinit ${PN}-health ${PN}-rauc ${PN}-swupdate ${PN}-greenboot ${PN}-zsh-completion ${PN}-fish-completion \
"
FILES:${PN}-systemd = "\
    ${nonarch_libdir}/systemd/network \
    ${nonarch_libdir}/tmpfiles.d \
    ${systemd_system_unitdir}/berth.service \
    ${systemd_system_unitdir}/berth-halt.service \
    ${systemd_system_unitdir}/var-lib-berth.mount.d \
"
FILES:${PN}-sysvinit = "${sysconfdir}/init.d ${sysconfdir}/default/volatiles"
FILES:${PN}-health = "${systemd_system_unitdir}/berth-health*"
FILES:${PN}-rauc = "${systemd_system_unitdir}/rauc-mark-good.service.d"
FILES:${PN}-swupdate = "${libexecdir}/berth/swupdate ${systemd_system_unitdir}/berth-swupdate.service"
FILES:${PN}-greenboot = "${sysconfdir}/greenboot"
FILES:${PN}-zsh-completion = "${datadir}/zsh"
FILES:${PN}-fish-completion = "${datadir}/fish"

RDEPENDS:${PN}-systemd = "${PN}"
RDEPENDS:${PN}-sysvinit = "${PN}"
RDEPENDS:${PN}-health = "${PN}-systemd"
# The image that its pods run.
RDEPENDS:${PN}-ptest += "berth-example"
RDEPENDS:${PN}-rauc = "${PN}-health"
RDEPENDS:${PN}-swupdate = "${PN}-health"
RDEPENDS:${PN}-greenboot = "${PN}"

# The configuration is a recipe of its own, so that a distribution replaces it without building this one anew. The
# modules are often built in.
RRECOMMENDS:${PN} += "\
    berth-conf \
    ${@bb.utils.contains('DISTRO_FEATURES', 'systemd', '${PN}-systemd', '', d)} \
    ${@bb.utils.contains('DISTRO_FEATURES', 'sysvinit', '${PN}-sysvinit', '', d)} \
    kernel-module-bridge \
    kernel-module-nf-tables \
    kernel-module-overlay \
    kernel-module-veth \
"
