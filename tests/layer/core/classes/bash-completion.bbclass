PACKAGES:append = " ${PN}-bash-completion"
FILES:${PN}-bash-completion = "${datadir}/bash-completion"
