# For kernels: fails the build when the final .config lacks what Berth needs, and warns of what pods may miss. Switched on
# by the layer for linux-yocto; in the bbappend of another kernel:
#
#   inherit berth_kernel_check

DEPENDS += "berth-native"

do_berth_kernel_check[dirs] = "${B}"

do_berth_kernel_check() {
    if ! berth doctor --kernel-config ${B}/.config > ${T}/berth_kernel_check; then
        cat ${T}/berth_kernel_check
        bbfatal "${PN}: pods cannot run on this kernel; see the options above, and yocto-layer/docs/porting.md of Berth"
    fi
    if grep -q "^warn" ${T}/berth_kernel_check; then
        bbwarn "${PN}: $(grep "^warn" ${T}/berth_kernel_check)"
    fi
}

do_berth_kernel_check[doc] = "Judges the kernel's final configuration by what Berth needs"
addtask berth_kernel_check after do_configure before do_compile
