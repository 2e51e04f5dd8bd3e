# Warns once when the layer is there but does nothing, because DISTRO_FEATURES does not have "berth". Who wants it so
# sets SKIP_META_BERTH_SANITY_CHECK = "1".

addhandler berth_sanity_check
berth_sanity_check[eventmask] = "bb.event.SanityCheck"
berth_sanity_check[doc] = "Says when the layer is there and its distro feature is not"
python berth_sanity_check() {
    skip = e.data.getVar('SKIP_META_BERTH_SANITY_CHECK') == '1'
    if not skip and 'berth' not in (e.data.getVar('DISTRO_FEATURES') or '').split():
        bb.warn("The layer meta-berth is there, but DISTRO_FEATURES has no 'berth': the kernel gets no options for "
                "containers. Add it (DISTRO_FEATURES:append = \" berth\"), or set SKIP_META_BERTH_SANITY_CHECK = \"1\".")
}
