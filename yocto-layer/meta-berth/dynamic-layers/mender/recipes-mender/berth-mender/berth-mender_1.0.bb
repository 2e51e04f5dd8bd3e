SUMMARY = "Mender commits an update only when all required pods are well"
DESCRIPTION = "A state script for the artifact that is made of the image: the class deploys it, and meta-mender puts what is \
deployed so into the artifact. The package itself is empty: on the device the client takes no script of this kind."
SECTION = "base"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

FILESEXTRAPATHS:prepend := "${THISDIR}/../../../../recipes-containers/berth/files/hooks:"
SRC_URI = "file://ArtifactCommit_Enter_50_berth"
S = "${UNPACKDIR}"

inherit mender-state-scripts

# The script lies in the artifact, the program that it asks in the root that the artifact brings.
RDEPENDS:${PN} = "berth"

do_compile() {
    install -d ${MENDER_STATE_SCRIPTS_DIR}
    cp ${UNPACKDIR}/ArtifactCommit_Enter_50_berth ${MENDER_STATE_SCRIPTS_DIR}/
}
