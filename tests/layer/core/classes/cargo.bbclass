# Cargo against the crates that the fetcher has unpacked, as the real class does it.
CARGO_HOME = "${@harness_unpackdir(d)}/cargo_home"
CARGO_VENDORING_DIRECTORY = "${CARGO_HOME}/bitbake"
CARGO_BUILD_FLAGS = "-v --frozen --manifest-path ${S}/Cargo.toml --target-dir ${B}/target"
export CARGO_HOME

cargo_do_configure() {
    mkdir -p ${CARGO_HOME}
    printf '%s\n' '[source.bitbake]' 'directory = "${CARGO_VENDORING_DIRECTORY}"' '[source.crates-io]' \
        'replace-with = "bitbake"' > ${CARGO_HOME}/config.toml
}

cargo_do_compile() {
    cargo build ${CARGO_BUILD_FLAGS}
}

cargo_do_install() {
    install -d ${D}${bindir}
    for program in ${B}/target/debug/*; do
        if [ -f "$program" ] && [ -x "$program" ]; then
            install -m 0755 "$program" ${D}${bindir}
        fi
    done
}

EXPORT_FUNCTIONS do_configure do_compile do_install
