SUMMARY = "An appliance: boots into running pods, with no network"
DESCRIPTION = "A small root file system, read-only, with Berth and the example's pods baked in, and a data partition for \
what changes."
LICENSE = "Apache-2.0"

inherit core-image features_check
REQUIRED_DISTRO_FEATURES = "berth seccomp"

IMAGE_FEATURES += "read-only-rootfs"
IMAGE_INSTALL = "\
    packagegroup-core-boot \
    packagegroup-berth \
    berth-example \
    ${CORE_IMAGE_EXTRA_INSTALL} \
"

# The root, and a data partition at /var/lib/berth: image store, checkpoints, volumes. See docs/read-only-root.md.
IMAGE_FSTYPES += "wic wic.bmap"
WKS_FILE = "berth-image.wks.in"
WKS_FILE:qemuall = "berth-image-qemu.wks.in"

# MiB of the data partition.
BERTH_DATA_SIZE ?= "512"
