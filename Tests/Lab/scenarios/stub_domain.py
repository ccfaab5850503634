"""Devices of an HVM guest go through a stub domain, cold and hot: a PV domain stands in for it, QEMU is a real one.

The PV domain is what a stub domain is to Xen and to a toolstack: PV, without an IOMMU of its own, named by the guest and
naming it. Its kernel gets the devices through pcifront, as a stub domain's does. QEMU runs in dom0, which it would not,
and finds the devices in dom0's sysfs.
"""

from lab.hvm import settled
from lab.programs import apply, xl

SECONDS = 3600
E1000, PLAIN, OTHER = "0000:00:05.0", "0000:00:07.0", "0000:00:08.0"


def run(stand):
    stub = stand.guest("vault-dm", passthrough=False)
    guest = stand.hvm_guest("vault", paused=True)
    guest.through(stub)

    def step(wanted, what, console):
        answer = apply({"vault": wanted})
        stand.require(answer.status == 0, f"{what}: exit status {answer.status}")
        stand.equal(set(answer.results().values()), {"done"}, f"{what}: results")
        # The stub domain's kernel, on its own console.
        stand.wait(stub.wait_devices, lambda devices: len(devices) == len(wanted), f"{len(wanted)} through pcifront")
        if wanted:
            stand.wait(stub.wait_connected)
        settled(stand, guest, wanted, what, console=console)

    step([E1000], "cold", console=False)
    step([E1000, PLAIN], "cold, a second one", console=False)
    stand.equal(apply({"vault": [E1000, PLAIN]}).document.get("changed"), False, "once more: nothing")
    xl("unpause", "vault")
    guest.wait_up()
    settled(stand, guest, [E1000, PLAIN], "started")
    step([E1000, PLAIN, OTHER], "hot", console=True)
    step([PLAIN], "two detached", console=True)
    step([], "all detached", console=True)
    stand.wait(stub.wait_gone)
