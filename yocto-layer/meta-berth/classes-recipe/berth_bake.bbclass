# Bakes manifests, and the images that they name, into a package for the read-only root file system: the pods start at
# the first boot, with no network and without unpacking anything.
#
#   inherit berth_bake
#   SRC_URI = "file://web.yaml https://example.com/web-1.2.tar;unpack=0"
#   SRC_URI[sha256sum] = "..."
#   BERTH_MANIFESTS = "web.yaml"
#   BERTH_ARCHIVES = "web-1.2.tar"
#   BERTH_DIGESTS = "registry.example.com/web:1.2@sha256:..."
#
# BERTH_MANIFESTS      Files and directories below ${UNPACKDIR}. The build fails when `berth check` finds anything wrong.
# BERTH_ARCHIVES       OCI archives, docker archives and OCI layouts below ${UNPACKDIR}.
# BERTH_IMAGE_RECIPES  Recipes that inherit image-oci (meta-virtualization): their ${DEPLOY_DIR_IMAGE}/<recipe>-latest-oci
#                      is baked too.
# BERTH_DIGESTS        Name@digest of images that must have just this digest; the build fails otherwise.
# BERTH_PLATFORM       Which platform of images that have several; by default this machine's.
# BERTH_ALL_BAKED      "1" (the default): the build fails when a manifest names an image that is not baked. "0" for
#                      images that come later (from a registry, from a stick).

BERTH_MANIFESTS ?= ""
BERTH_ARCHIVES ?= ""
BERTH_IMAGE_RECIPES ?= ""
BERTH_DIGESTS ?= ""
BERTH_ALL_BAKED ?= "1"
BERTH_PLATFORM ?= "linux/${@berth_architecture(d)}"

# Images are of one architecture.
PACKAGE_ARCH = "${MACHINE_ARCH}"

DEPENDS += "berth-native"
FILES:${PN} += "${datadir}/berth"
RDEPENDS:${PN} += "berth"

# The programs in images are for the containers' world, not for this one: nothing of them is stripped, split, or looked
# up in packages. What is baked must stay as its digest says.
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_PACKAGE_DEBUG_SPLIT = "1"
INHIBIT_SYSROOT_STRIP = "1"
SKIP_FILEDEPS = "1"
EXCLUDE_FROM_SHLIBS = "1"
PRIVATE_LIBS = "*"
INSANE_SKIP:${PN} += "\
    already-stripped arch build-deps buildpaths dev-elf dev-so file-rdeps ldflags libdir staticdev textrel \
"

# A recipe may make its archives itself: then it has a do_compile of its own.
do_configure() {
    :
}

do_compile() {
    :
}

def berth_architecture(d):
    """The architecture of this machine in the words of the OCI image specification."""
    import re
    arch = d.getVar('TARGET_ARCH') or ''
    for pattern, name in ((r'x86_64', 'amd64'), (r'aarch64.*', 'arm64'), (r'i.86', '386'), (r'arm.*', 'arm'),
                          (r'riscv64', 'riscv64')):
        if re.fullmatch(pattern, arch):
            return name
    return arch

python () {
    for recipe in (d.getVar('BERTH_IMAGE_RECIPES') or '').split():
        d.appendVarFlag('do_install', 'depends', ' %s:do_image_complete' % recipe)
}

do_install() {
    manifests=${D}${datadir}/berth/manifests
    install -d "$manifests"
    for manifest in ${BERTH_MANIFESTS}; do
        cp -R --no-preserve=ownership ${UNPACKDIR}/$manifest "$manifests/"
    done
    if [ -n "${@(d.getVar('BERTH_MANIFESTS') or '').strip()}" ]; then
        berth check --quiet "$manifests"
    fi
    sources=""
    for archive in ${BERTH_ARCHIVES}; do
        sources="$sources ${UNPACKDIR}/$archive"
    done
    for recipe in ${BERTH_IMAGE_RECIPES}; do
        sources="$sources ${DEPLOY_DIR_IMAGE}/$recipe-latest-oci"
    done
    expect=""
    for image in ${BERTH_DIGESTS}; do
        expect="$expect --expect $image"
    done
    if [ "${BERTH_ALL_BAKED}" = "1" ]; then
        expect="$expect --manifests $manifests"
    fi
    if [ -n "$sources" ]; then
        berth image bake --output ${D}${datadir}/berth/store --platform ${BERTH_PLATFORM} $expect $sources
    elif [ "${BERTH_ALL_BAKED}" = "1" ] && [ -n "${@(d.getVar('BERTH_MANIFESTS') or '').strip()}" ]; then
        bbfatal "${PN}: manifests and no images: set BERTH_ARCHIVES or BERTH_IMAGE_RECIPES, or BERTH_ALL_BAKED = \"0\""
    fi
}
