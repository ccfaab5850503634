#!/usr/bin/env python3
"""Runs a command in a copy of this checkout, in a small system of a Debian release.

    Scripts/other-debian.py [--fetch PATH] RELEASE [COMMAND…]

RELEASE is a codename, such as trixie. Without a command, the two commands of the README run. The exit code is that of
the command. After a success, the file PATH of the copy is put into .build/RELEASE here. As root only: the system is made
by debootstrap, from the mirror that apt uses here.

The system and the copy's builds are kept in BERTH_DEBIAN, or else in the user's cache. The Swift toolchain is that of
this machine, and only readable there. All processes end with the command, and no mount is left behind.
"""

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
SYSTEMS = os.environ.get("BERTH_DEBIAN") or os.path.join(CACHE, "berth-debian")
# What Swift needs of a system. What Berth needs is installed by its own `make deps`.
PACKAGES = ["ca-certificates", "git", "g++", "libcurl4-openssl-dev", "libedit-dev", "libncurses-dev", "libsqlite3-dev",
            "libxml2-dev", "make", "tzdata", "zlib1g-dev"]
DEFAULT = ["bash", "-c", "make demo && make test"]
# The copy of the checkout, seen from within the system.
COPY = "/var/tmp/berth"
TOOLCHAIN = "/usr/local/swift"
PASSED_ON = ["http_proxy", "https_proxy", "no_proxy", "BERTH_MINUTES"]

# Mounts what the system needs, and begins the command. $1: the system; $2: the toolchain; $3: the copy. The mounts are
# in a namespace of their own and end with it.
ENTER = """
set -e
mount --bind "$2" "$1%(toolchain)s"
mount -o remount,bind,ro "$1%(toolchain)s"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount --rbind /sys "$1/sys"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
mount -t tmpfs -o mode=755 tmpfs "$1/run"
cd "$1"
shift 2
# This shell stays, because the first process of the namespace has to reap the processes whose parents have ended.
status=0
chroot . /bin/sh -c 'cd "$0" && exec "$@"' "$@" || status=$?
exit $status
""" % {"toolchain": TOOLCHAIN}


def fail(text):
    sys.exit(f"other-debian: {text}")


def output(*command):
    return subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True).stdout


def mirror():
    """Returns the archive from which apt installs this machine's own packages."""
    with open("/etc/os-release", encoding="utf-8") as file:
        codename = re.search(r"^VERSION_CODENAME=(\S+)", file.read(), re.M)
    if not codename:
        fail("this is not a Debian system")
    sites = output("apt-get", "indextargets", "--format", "$(SITE)", f"Codename: {codename[1]}").split()
    return sites[0] if sites else fail("apt has no source of this Debian's packages: run apt-get update")


def make_system(release, system):
    """Installs the system, unless it is there."""
    wanted = hashlib.sha256(" ".join([release, *PACKAGES]).encode()).hexdigest()[:16]
    made = system + ".made"
    if os.path.exists(made):
        with open(made, encoding="utf-8") as file:
            if file.read() == wanted:
                return
        os.remove(made)
    shutil.rmtree(system, ignore_errors=True)
    log = system + ".log"
    print(f"other-debian: installing {release}, which takes some minutes: {log}", flush=True)
    with open(log, "w", encoding="utf-8") as file:
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", release, system, mirror()]
        if subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=file, stderr=file).returncode:
            fail(f"debootstrap failed: see {log}")
    with open(made, "w", encoding="utf-8") as file:
        file.write(wanted)


def make_copy(copy):
    """Copies the checkout, uncommitted changes included, and what SwiftPM has fetched. Builds of the copy stay."""
    names = output("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    wanted = {name for name in names if name and os.path.lexists(os.path.join(ROOT, name))}
    os.makedirs(copy, exist_ok=True)
    for folder, folders, files in os.walk(copy):
        if folder == copy:
            folders[:] = [name for name in folders if not name.startswith(".build")]
        for name in files:
            path = os.path.join(folder, name)
            if os.path.relpath(path, copy) not in wanted | {"Package.resolved"}:
                os.remove(path)
    for name in sorted(wanted):
        copy_changed(os.path.join(ROOT, name), os.path.join(copy, name))
    # The system has its own network configuration and no git configuration, so the dependencies are brought in.
    output("swift", "package", "resolve")
    copy_changed(os.path.join(ROOT, "Package.resolved"), os.path.join(copy, "Package.resolved"))
    for name in ("repositories", "checkouts"):
        shutil.rmtree(os.path.join(copy, ".build", name), ignore_errors=True)
        shutil.copytree(os.path.join(ROOT, ".build", name), os.path.join(copy, ".build", name), symlinks=True)
    copy_changed(os.path.join(ROOT, ".build/workspace-state.json"), os.path.join(copy, ".build/workspace-state.json"))


def copy_changed(source, target):
    """Copies a file with its times. A file that has not changed stays, so that nothing is built again for it."""
    if os.path.lexists(target) and not os.path.islink(source):
        one, other = os.stat(source), os.lstat(target)
        if (one.st_size, one.st_mtime_ns, one.st_mode) == (other.st_size, other.st_mtime_ns, other.st_mode):
            return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.lexists(target):
        os.remove(target)
    shutil.copy2(source, target, follow_symlinks=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fetch", metavar="PATH", action="append", default=[])
    parser.add_argument("release", type=lambda text: text if re.fullmatch("[a-z]+", text) else fail(
        f"{text} is no codename of a Debian release: they are like trixie"))
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        fail("only root can make the system: debootstrap needs it")
    swift = shutil.which("swift") or fail("there is no 'swift' here")
    toolchain = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(swift))))
    if not os.path.exists(toolchain + "/usr/bin/swift"):
        fail(f"{swift} is not in a toolchain's folder usr/bin, so the toolchain cannot be brought in")
    command = arguments.command or DEFAULT
    system = os.path.join(SYSTEMS, arguments.release)
    os.makedirs(SYSTEMS, exist_ok=True)
    with open(system + ".lock", "w", encoding="utf-8") as lock:
        # Two runs in one system come one after the other.
        fcntl.flock(lock, fcntl.LOCK_EX)
        make_system(arguments.release, system)
        make_copy(system + COPY)
        os.makedirs(system + TOOLCHAIN, exist_ok=True)
        shutil.copy("/etc/resolv.conf", system + "/etc/resolv.conf")
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= {"PATH": f"{TOOLCHAIN}/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
        # pip has the configuration of this machine, and that system has none.
        environment["BERTH_WITHOUT_MANAGERS"] = "1"
        enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", ENTER, "bash", system, toolchain]
        status = subprocess.run([*enter, COPY, *command], check=False, env=environment,
                                stdin=subprocess.DEVNULL).returncode
        for path in arguments.fetch if not status else []:
            target = os.path.join(ROOT, ".build", arguments.release)
            os.makedirs(target, exist_ok=True)
            shutil.copy(os.path.join(system + COPY, path), target)
        return status


if __name__ == "__main__":
    sys.exit(main())
