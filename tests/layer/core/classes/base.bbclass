# Fetching and unpacking by bitbake's own fetchers, tasks in the order of the real base class, and the two checks of
# packaging that need no package manager.

def base_set_filespath(d):
    folder = d.getVar('FILE_DIRNAME')
    extra = [path for path in (d.getVar('FILESEXTRAPATHS') or '').split(':') if path and path != '__default']
    own = [os.path.join(folder, name) for name in ('${BP}', '${BPN}', 'files')]
    return ':'.join(extra + [d.expand(path) for path in own])

# Where this series puts what is unpacked.
def harness_unpackdir(d):
    return d.getVar('WORKDIR' if d.getVar('HARNESS_SERIES') == 'scarthgap' else 'UNPACKDIR')

bbfatal() {
    echo "ERROR: $*"
    exit 1
}

addtask fetch
python base_do_fetch() {
    sources = (d.getVar('SRC_URI') or '').split()
    if sources:
        bb.fetch2.Fetch(sources, d).download()
}
do_fetch[dirs] = "${DL_DIR}"

addtask unpack after do_fetch
python base_do_unpack() {
    sources = (d.getVar('SRC_URI') or '').split()
    if sources:
        bb.fetch2.Fetch(sources, d).unpack(harness_unpackdir(d))
}
do_unpack[dirs] = "${WORKDIR}"
do_unpack[cleandirs] = "${@harness_unpackdir(d) if d.getVar('HARNESS_SERIES') != 'scarthgap' else ''}"

addtask populate_lic after do_unpack
python base_do_populate_lic() {
    import hashlib
    for url in (d.getVar('LIC_FILES_CHKSUM') or '').split():
        _, _, path, _, _, params = bb.fetch2.decodeurl(url)
        path = path if path.startswith('/') else os.path.join(d.getVar('S'), path)
        if path.startswith(d.getVar('COMMON_LICENSE_DIR')):
            continue
        with open(path, 'rb') as file:
            md5 = hashlib.md5(file.read()).hexdigest()
        if md5 != params['md5']:
            bb.fatal('%s: the licence file %s has md5 %s' % (d.getVar('PN'), path, md5))
}

addtask configure after do_unpack
base_do_configure() {
    :
}
do_configure[dirs] = "${B}"

addtask compile after do_configure
base_do_compile() {
    :
}
do_compile[dirs] = "${B}"

addtask install after do_compile
base_do_install() {
    :
}
do_install[dirs] = "${B}"
do_install[cleandirs] = "${D}"

addtask package after do_install
python base_do_package() {
    import fnmatch
    root = d.getVar('D')
    left = set()
    for folder, folders, names in os.walk(root):
        found = names + [name for name in folders if not os.listdir(os.path.join(folder, name))]
        left.update('/' + os.path.relpath(os.path.join(folder, name), root) for name in found)
    for package in d.getVar('PACKAGES').split():
        patterns = (d.getVar('FILES:' + package) or '').split()
        def belongs(path):
            return any(fnmatch.fnmatchcase(path, p) or path.startswith(p.rstrip('/') + '/') for p in patterns)
        its = {path for path in left if belongs(path)}
        left -= its
        for unit in (d.getVar('SYSTEMD_SERVICE:' + package) or '').split():
            path = os.path.join(d.getVar('systemd_system_unitdir'), unit)
            if 'systemd' in d.getVar('DISTRO_FEATURES').split() and path not in its:
                bb.fatal('%s: SYSTEMD_SERVICE names %s, which is not in the package' % (package, unit))
        for path in its:
            print('%s: %s' % (package, path))
    if left:
        bb.fatal('%s: installed and in no package: %s' % (d.getVar('PN'), ' '.join(sorted(left))))
}

EXPORT_FUNCTIONS do_fetch do_unpack do_populate_lic do_configure do_compile do_install do_package

# PACKAGECONFIG as far as DEPENDS goes.
python () {
    options = (d.getVar('PACKAGECONFIG') or '').split()
    flags = d.getVarFlags('PACKAGECONFIG') or {}
    for option in options:
        if option not in flags:
            bb.fatal('%s: PACKAGECONFIG has %s, which is not defined' % (d.getVar('PN'), option))
        fields = flags[option].split(',')
        if len(fields) > 2:
            d.appendVar('DEPENDS', ' ' + fields[2])
    for name in ('LICENSE', 'SUMMARY'):
        if not d.getVar(name):
            bb.fatal('%s: %s is not set' % (d.getVar('PN'), name))
}
