"""pciback takes a card when the host starts: not by Debian's list of modules, but by the lines that berth prints."""

import json
import os

from lab.devices import BY_ADDRESS, NICS
from lab.drivers import driver, read
from lab.programs import MANIFEST, Answer, apply, run as execute
from lab.stand import OUT

# The lab's own start makes what the two others start by: Debian's initial file systems, from initramfs-tools.
BOOTS = 3
CARD = NICS[0]
OPTIONS = "/etc/modprobe.d/berth.conf"
MODULES = "/etc/initramfs-tools/modules"
WANTED = {
    "apiVersion": "berth/v1alpha1", "kind": "HostAssignments", "metadata": {"name": "lab"},
    "spec": {"devices": {"nic": {"address": CARD, "id": BY_ADDRESS[CARD].id, "hideAtBoot": True}},
             "domains": {"router": {"devices": [{"device": "nic"}]}}}}


def run(stand):
    # Only pciback's parameter hides devices here, so those that it does not name have a driver of dom0, or none.
    stand.on_host.update(BY_ADDRESS)
    [make, list_alone, with_lines][stand.boot](stand)


def make(stand):
    kernel = os.uname().release
    plain = read(MODULES)
    answer = render()
    stand.equal(answer.status, 0, "the files are written")
    files = {file["path"]: file for file in answer.document.get("files", [])}
    stand.equal({path: file["isAdded"] for path, file in files.items()},
                {OPTIONS[1:]: False, MODULES[1:]: True}, "two files are printed")
    lines = read(OPTIONS)
    stand.equal(lines, files.get(OPTIONS[1:], {}).get("text"), "the first one is written as printed")
    stand.check(f"softdep {BY_ADDRESS[CARD].driver} pre: xen-pciback\n" in lines, "pciback comes before the card's driver")
    write(MODULES, plain + files.get(MODULES[1:], {}).get("text", ""))
    stand.equal(execute("mkinitramfs", "-o", f"{OUT}/2.initrd", kernel).status, 0, "the image with berth's lines is made")
    write(OPTIONS, without_softdep(lines))
    stand.equal(execute("mkinitramfs", "-o", f"{OUT}/1.initrd", kernel).status, 0, "the image with a list is made")


def list_alone(stand):
    """pciback is in the image and in its list of modules, with its options. The card's driver is first all the same."""
    stand.equal(driver(CARD), BY_ADDRESS[CARD].driver, "a list of modules is too late")
    stand.check(os.path.exists("/sys/bus/pci/drivers/pciback"), "though pciback was loaded by it")
    # The disk is that of the image, so the file is not there yet.
    stand.equal(render().status, 0, "the file as the image has it")
    write(OPTIONS, without_softdep(read(OPTIONS)))
    findings, reboot = doctor()
    stand.check(("native-driver-first", CARD) in findings, f"doctor says so: {findings}")
    stand.check("native-driver-first" in (reboot or {}).get("reasons", []), f"and that it needs a restart: {reboot}")


def with_lines(stand):
    stand.equal(driver(CARD), "pciback", "pciback was first")
    stand.check(f"{BY_ADDRESS[CARD].driver} {CARD}" not in execute("dmesg").output, "no other driver has ever had the card")
    stand.equal(render().status, 0, "the file as the image has it")
    findings, reboot = doctor()
    stand.equal(([name for name, subject in findings if name.startswith(("boot-", "native-"))], reboot), ([], None),
                "doctor finds nothing")
    stand.check(("hidden-unquarantined", CARD) in findings, f"but the note that Xen does not know it yet: {findings}")
    guest = stand.guest("router")
    stand.equal(apply({"router": [CARD]}).status, 0, "given to a guest")
    stand.settled(guest, [CARD], "hidden since the start")


def render():
    arguments = ["--for", "initramfs-tools", "--write", "--output", "json"]
    write(MANIFEST, json.dumps(WANTED))
    return Answer(execute("berth", "render", "boot", MANIFEST, *arguments))


def doctor():
    """Returns what berth finds, as pairs of names and subjects, and whether the host has to be started again."""
    document = Answer(execute("berth", "doctor", "--output", "json")).document
    return [(finding["name"], finding["subject"]) for finding in document.get("findings", [])], document.get("rebootRequired")


def without_softdep(lines):
    return "".join(line for line in lines.splitlines(keepends=True) if not line.startswith("softdep"))


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
