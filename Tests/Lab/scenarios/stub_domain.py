"""An HVM guest gets devices through a stub domain, cold and hot: a PV domain in its place, with a real QEMU.

To Xen and to a toolstack, the PV domain looks like a stub domain. It is PV, without an IOMMU of its own, and it and the
guest name each other. Its kernel gets the devices through pcifront, as a stub domain's does. Unlike with a stub domain,
QEMU runs in dom0, and finds the devices in dom0's sysfs.
"""

from lab.hvm import through_stub

SECONDS = 3600


def run(stand):
    stub = stand.guest("vault-dm", passthrough=False)
    guest = stand.hvm_guest("vault", paused=True)
    guest.through(stub)
    through_stub(stand, guest)
