"""Devices of an HVM guest go through a stub domain, cold and hot: a PV domain stands in for it, QEMU is a real one.

The PV domain is what a stub domain is to Xen and to a toolstack: PV, without an IOMMU of its own, named by the guest and
naming it. Its kernel gets the devices through pcifront, as a stub domain's does. QEMU runs in dom0, which it would not,
and finds the devices in dom0's sysfs.
"""

from lab.hvm import through_stub

SECONDS = 3600


def run(stand):
    stub = stand.guest("vault-dm", passthrough=False)
    guest = stand.hvm_guest("vault", paused=True)
    guest.through(stub)
    through_stub(stand, guest)
