# For the machine that builds: berth_bake checks manifests and bakes images with it, berth_kernel_check judges kernels.
require berth.inc

DEPENDS += "libseccomp-native"

inherit_defer native
