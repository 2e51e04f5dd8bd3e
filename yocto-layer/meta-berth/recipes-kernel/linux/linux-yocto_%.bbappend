require ${@bb.utils.contains('DISTRO_FEATURES', 'berth', 'linux-yocto_berth.inc', '', d)}
