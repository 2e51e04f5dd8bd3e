require ${@bb.utils.contains('DISTRO_FEATURES', 'berth', 'linux-raspberrypi_berth.inc', '', d)}
