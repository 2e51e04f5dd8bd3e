PTEST_PATH = "${libdir}/${BPN}/ptest"
PACKAGES =+ "${PN}-ptest"
FILES:${PN}-ptest = "${PTEST_PATH}"
SUMMARY:${PN}-ptest ?= "${SUMMARY} - test suite"
do_install:append() {
    install -D -m 0755 ${@harness_unpackdir(d)}/run-ptest ${D}${PTEST_PATH}/run-ptest
}
