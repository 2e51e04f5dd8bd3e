SUMMARY = "stand-in"
LICENSE = "GPL-2.0-only"
