"""An HVM domain that never ran gets two devices through QEMU in dom0, and finds them when it starts."""

from lab.hvm import settled
from lab.programs import apply, xl

SECONDS = 3600
E1000, PLAIN = "0000:00:05.0", "0000:00:07.0"


def run(stand):
    guest = stand.hvm_guest("cold", paused=True)
    answer = apply({"cold": [E1000, PLAIN]})
    stand.require(answer.status == 0, f"two while paused: exit status {answer.status}")
    stand.equal(answer.results(), {E1000: "done", PLAIN: "done"}, "two while paused: results")
    settled(stand, guest, [E1000, PLAIN], "before its start", console=False)
    stand.equal(apply({"cold": [E1000, PLAIN]}).document.get("changed"), False, "once more: nothing")
    xl("unpause", "cold")
    guest.wait_up()
    settled(stand, guest, [E1000, PLAIN], "after its start")
