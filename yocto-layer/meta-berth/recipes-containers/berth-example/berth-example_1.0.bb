SUMMARY = "Example of pods that are baked into the root file system"
DESCRIPTION = "One pod that says hello, from an image that this recipe makes. Copy the recipe and put your own manifests \
and archives in its place."
SECTION = "base"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://hello.yaml file://hello.c file://oci_layout.py"
S = "${UNPACKDIR}"

inherit berth_bake

# An own recipe has its archive in SRC_URI (https://…/app-1.2.tar;unpack=0 and its sha256sum) and the image's digest in
# BERTH_DIGESTS, or names a recipe of meta-virtualization in BERTH_IMAGE_RECIPES. This one has a compiler instead.
do_compile() {
    ${CC} ${CFLAGS} ${LDFLAGS} -static ${UNPACKDIR}/hello.c -o ${B}/hello
    rm -rf ${UNPACKDIR}/layout
    python3 ${UNPACKDIR}/oci_layout.py ${B}/hello ${@berth_architecture(d)} berth.example/hello:1 ${UNPACKDIR}/layout
}

BERTH_MANIFESTS = "hello.yaml"
BERTH_ARCHIVES = "layout"
