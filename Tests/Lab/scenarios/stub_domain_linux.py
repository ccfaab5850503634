"""An HVM guest gets devices through a Linux stub domain from libxl, in which QEMU runs, cold and hot.

QEMU 7.2 looks for a device in the stub domain's sysfs at dom0's address, so pciback has to show it there.
"""

from lab.hvm import through_stub
from lab.programs import xl

SECONDS = 3600
PCIBACK = "passthrough=1"


def run(stand):
    guest = stand.stub_guest("vault")
    through_stub(stand, guest)
    stub = guest.stub.id
    xl("destroy", "vault")
    stand.equal(stand.claims(), {}, "no claim outlives the guest")
    stand.equal(stand.store.read(f"/local/domain/{stub}/name"), None, "nor does its stub domain")
