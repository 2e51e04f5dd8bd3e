FILES:${PN} += "${systemd_system_unitdir}"
