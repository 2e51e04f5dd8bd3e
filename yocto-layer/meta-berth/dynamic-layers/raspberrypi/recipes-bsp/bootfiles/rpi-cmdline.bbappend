require ${@bb.utils.contains('DISTRO_FEATURES', 'berth', 'rpi-cmdline_berth.inc', '', d)}
