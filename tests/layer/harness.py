#!/usr/bin/env python3
"""Runs the tasks of meta-berth's recipes by bitbake's own library, with a stand-in for core: see core/conf/layer.conf.

    harness.py --series SERIES --layer DIR --build DIR [--full --berth PROGRAM]

Every recipe is parsed. Without --full everything is fetched (checksums are verified), unpacked and its licence looked
at; with it the recipes of berth and of the example are also configured, compiled, installed and split into packages.
What it cannot show: core's own classes, package QA, images.
"""

import argparse
import os
import pathlib
import shutil
import sys
import types

HERE = pathlib.Path(__file__).resolve().parent
# Modules of bitbake that its package on PyPI does not have, and that nothing here uses.
ABSENT = ("hashserv", "hashserv.client", "prserv", "prserv.serv")
# A recipe for the layer's kernel append to change.
KERNEL = "SUMMARY = \"stand-in\"\nLICENSE = \"GPL-2.0-only\"\n"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", required=True, choices=("scarthgap", "wrynose"))
    parser.add_argument("--layer", required=True, type=pathlib.Path)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--berth", type=pathlib.Path, help="stands for berth-native")
    return parser.parse_args()


def prepare(arguments):
    """The build directory: configuration, crates that cargo has fetched, a kernel to append to."""
    build, layer = arguments.build.resolve(), arguments.layer.resolve()
    for folder in ("conf", "downloads", "bin", "kernel"):
        (build / folder).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(build / "tmp", ignore_errors=True)
    shutil.rmtree(build / "cache", ignore_errors=True)
    # The recipe's toolchain is the one that runs this, found past rustup's stand-ins, which look at CARGO_HOME.
    path = [str(build / "bin"), os.environ.get("HARNESS_TOOLCHAIN", ""), os.environ["PATH"]]
    (build / "conf" / "bblayers.conf").write_text(
        'HARNESS_SERIES = "%s"\nHARNESS_PATH = "%s"\nBBPATH = "${TOPDIR}"\nBBFILES = "${TOPDIR}/kernel/*.bb"\n'
        'BBLAYERS = "%s %s"\n' % (arguments.series, ":".join(filter(None, path)), HERE / "core", layer))
    repository = os.environ.get("BERTH_REPOSITORY")
    if repository:
        with open(build / "conf" / "bblayers.conf", "a") as conf:
            conf.write('BERTH_REPOSITORY = "%s"\n' % repository)
    (build / "kernel" / "linux-yocto_6.0.bb").write_text(KERNEL)
    cache = pathlib.Path(os.environ.get("HARNESS_CARGO_HOME") or pathlib.Path.home() / ".cargo")
    for crate in cache.glob("registry/cache/*/*.crate"):
        copy = build / "downloads" / crate.name
        if not copy.exists():
            shutil.copy(crate, copy)
    if arguments.berth:
        link = build / "bin" / "berth"
        link.unlink(missing_ok=True)
        link.symlink_to(arguments.berth.resolve())
    os.chdir(build)
    os.environ["BBPATH"] = str(build)


def load_bitbake():
    for name in ABSENT:
        sys.modules[name] = types.ModuleType(name)
    import bb  # noqa: F401
    import bb.cookerdata
    import bb.build
    import bb.codeparser
    import bb.event
    import bb.fetch2
    import bb.msg
    import logging
    logger = logging.getLogger("BitBake")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    handler.setLevel(logging.WARNING)
    logger.addHandler(handler)
    return bb


def parse(bb, data):
    """All recipes of the layer, by name."""
    builder = bb.cookerdata.CookerDataBuilder(data, worker=True)
    builder.parseBaseConfiguration(worker=True)
    import glob
    patterns = builder.data.getVar("BBFILES").split()
    files = sorted(file for pattern in patterns for file in glob.glob(pattern))
    appends = [file for file in files if file.endswith(".bbappend")]
    recipes = {}
    for file in (file for file in files if file.endswith(".bb")):
        name = os.path.basename(file)[:-len(".bb")]
        fits = [append for append in appends if fits_append(os.path.basename(append)[:-len(".bbappend")], name)]
        collection = "core" if "/kernel/" in file else "meta-berth"
        parsed = builder.parseRecipeVariants(file, fits, layername=collection)
        recipe = parsed[""]
        if recipe.getVar("__SKIPPED"):
            raise SystemExit("%s: skipped: %s" % (name, recipe.getVar("__SKIPPED")))
        recipes[recipe.getVar("PN")] = (file, recipe)
        print("parsed %s (%d appends)" % (name, len(fits)))
    return recipes


def fits_append(append, recipe):
    return append == recipe or (append.endswith("%") and recipe.startswith(append[:-1]))


def run(bb, recipe, tasks):
    file, data = recipe
    for task in tasks:
        task = "do_" + task
        data.setVarFlag(task, "nostamp", "1")
        if bb.build.exec_task(file, task, data, False):
            log = os.path.join(data.getVar("T"), "log." + task)
            if os.path.exists(log):
                print("".join(open(log, errors="replace").readlines()[-25:]))
            raise SystemExit("%s: %s failed" % (data.getVar("PN"), task))
        print("%s: %s ran" % (data.getVar("PN"), task), flush=True)


def main():
    arguments = parse_arguments()
    prepare(arguments)
    bb = load_bitbake()
    configuration = bb.cookerdata.CookerConfiguration()
    configuration.env = os.environ.copy()
    recipes = parse(bb, configuration)
    light = ["fetch", "unpack", "populate_lic"]
    heavy = ["configure", "compile", "install", "package"]
    for name in ("berth", "berth-conf", "berth-example"):
        run(bb, recipes[name], light)
        if arguments.full or name == "berth-conf":
            run(bb, recipes[name], heavy)
    run(bb, recipes["berth-native"], ["fetch"])
    run(bb, recipes["linux-yocto"], ["fetch"])


if __name__ == "__main__":
    main()
