#!/usr/bin/env python3
"""Runs the tasks of meta-berth's recipes by bitbake's own library, with a stand-in for core: see core/conf/layer.conf.

    harness.py --series SERIES --layer DIR --build DIR --berth PROGRAM [--full] [--only RECIPE]

Every recipe is parsed. Everything is fetched (checksums are verified), unpacked and its licence looked at, cargo resolves
Berth's workspace with the crates that the recipe names, and the other recipes are configured, compiled, installed and
split into packages: the example with its manifests checked and its images baked. With --full so is Berth.
What it cannot show: core's own classes, package QA, images.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import types

HERE = pathlib.Path(__file__).resolve().parent
# Modules of bitbake that its package on PyPI does not have, and that nothing here uses.
ABSENT = ("hashserv", "hashserv.client", "prserv", "prserv.serv")
# Stand-ins for the layers that the dynamic parts are for: what is changed there, and by what.
NEIGHBOURS = ("raspberrypi", "mender")
# Recipes of others, with what of them the layer may change only on behalf of its distro feature.
APPENDED = ("linux-yocto", "linux-raspberrypi", "rpi-cmdline")
CHANGED = ("SRC_URI", "DEPENDS", "CMDLINE", "__BBTASKS")
# A recipe for the layer's kernel append to change.
KERNEL = "SUMMARY = \"stand-in\"\nLICENSE = \"GPL-2.0-only\"\n"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", required=True, choices=("scarthgap", "wrynose"))
    parser.add_argument("--layer", required=True, type=pathlib.Path)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--berth", required=True, type=pathlib.Path, help="stands for berth-native")
    parser.add_argument("--only", help="run the tasks of this recipe alone")
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
    layers = [HERE / "core", *(HERE / "neighbours" / name for name in NEIGHBOURS), layer]
    (build / "conf" / "bblayers.conf").write_text(
        'HARNESS_SERIES = "%s"\nHARNESS_PATH = "%s"\nBBPATH = "${TOPDIR}"\nBBFILES = "${TOPDIR}/kernel/*.bb"\n'
        'BBLAYERS = "%s"\n' % (arguments.series, ":".join(filter(None, path)), " ".join(map(str, layers))))
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


def parse(bb, data, layer):
    """All recipes, by name."""
    builder = bb.cookerdata.CookerDataBuilder(data, worker=True)
    builder.parseBaseConfiguration(worker=True)
    import glob
    patterns = builder.data.getVar("BBFILES").split()
    files = sorted(file for pattern in patterns for file in glob.glob(pattern))
    appends = [file for file in files if file.endswith(".bbappend")]
    unused = set(appends)
    recipes = {}
    for file in (file for file in files if file.endswith(".bb")):
        name = os.path.basename(file)[:-len(".bb")]
        fits = [append for append in appends if fits_append(os.path.basename(append)[:-len(".bbappend")], name)]
        unused.difference_update(fits)
        collection = "meta-berth" if file.startswith(str(layer.resolve())) else "core"
        recipe = builder.parseRecipeVariants(file, fits, layername=collection)[""]
        if recipe.getVar("__SKIPPED"):
            raise SystemExit("%s: skipped: %s" % (name, recipe.getVar("__SKIPPED")))
        recipes[recipe.getVar("PN")] = (file, recipe)
        print("parsed %s (%d appends)" % (name, len(fits)))
        if recipe.getVar("PN") in APPENDED:
            gated(builder, file, fits, collection)
    if unused:
        raise SystemExit("appends to no recipe: %s" % " ".join(sorted(unused)))
    return recipes


def gated(builder, file, fits, collection):
    """Without the distro feature the appends change nothing."""
    features = builder.data.getVar("DISTRO_FEATURES")
    builder.data.setVar("DISTRO_FEATURES", features.replace("berth", ""))
    with_, without = (builder.parseRecipeVariants(file, appends, layername=collection)[""] for appends in (fits, []))
    builder.data.setVar("DISTRO_FEATURES", features)
    for name in CHANGED:
        if with_.getVar(name, False) != without.getVar(name, False):
            raise SystemExit("%s: %s is changed without the distro feature" % (os.path.basename(file), name))


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


def resolve(data):
    """Cargo finds every crate of Cargo.lock among those that were unpacked; nothing is compiled."""
    environment = dict(os.environ, CARGO_HOME=data.getVar("CARGO_HOME"), PATH=data.getVar("PATH"))
    command = ["cargo", "metadata", "--frozen", "--format-version", "1", "--manifest-path",
               os.path.join(data.getVar("S"), "Cargo.toml")]
    done = subprocess.run(command, env=environment, cwd=data.getVar("B"), capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit("%s: cargo does not find all crates: %s" % (data.getVar("PN"), done.stderr))
    print("%s: cargo finds all crates" % data.getVar("PN"), flush=True)


def command_line(data):
    """The file that the board's firmware reads has the layer's words."""
    words = pathlib.Path(data.getVar("WORKDIR"), "cmdline.txt").read_text().split()
    if "cgroup_enable=memory" not in words:
        raise SystemExit("rpi-cmdline: cmdline.txt lacks cgroup_enable=memory: %s" % words)


def main():
    arguments = parse_arguments()
    prepare(arguments)
    bb = load_bitbake()
    configuration = bb.cookerdata.CookerConfiguration()
    configuration.env = os.environ.copy()
    recipes = parse(bb, configuration, arguments.layer)
    light = ["fetch", "unpack", "populate_lic"]
    heavy = ["configure", "compile", "install", "package"]
    plan = {
        "berth": light + (heavy if arguments.full else ["configure"]),
        "berth-conf": light + heavy,
        "berth-example": light + heavy,
        "berth-mender": light + heavy + ["deploy"],
        "berth-native": ["fetch"],
        "linux-yocto": ["fetch"],
        "linux-raspberrypi": ["fetch"],
        "rpi-cmdline": ["compile"],
    }
    look = {"berth": resolve, "rpi-cmdline": command_line}
    for name, tasks in plan.items():
        if arguments.only in (None, name):
            run(bb, recipes[name], tasks)
            if name in look:
                look[name](recipes[name][1])


if __name__ == "__main__":
    main()
