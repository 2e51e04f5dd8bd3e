# As meta-mender's class of this name: what do_compile puts into MENDER_STATE_SCRIPTS_DIR goes by its name either into the
# root file system or, when it is Artifact*, to the folder from which the artifact takes its scripts.
MENDER_STATE_SCRIPTS_DIR = "${B}/mender-state-scripts"
ALLOW_EMPTY:${PN} = "1"

addtask deploy after do_compile
do_deploy() {
    for script in ${MENDER_STATE_SCRIPTS_DIR}/*; do
        case "$(basename "$script")" in
        Artifact*) install -D -m 0755 "$script" ${DEPLOY_DIR_IMAGE}/mender-state-scripts/"$(basename "$script")" ;;
        *) bbfatal "$script is no script of an artifact" ;;
        esac
    done
}
