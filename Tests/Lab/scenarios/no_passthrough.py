"""A guest without `passthrough` has no IOMMU context and cannot have devices: they are blocked, with that reason."""

from lab.programs import apply, berth

CARD, PLAIN = "0000:00:05.0", "0000:00:07.0"


def run(stand):
    guest = stand.guest("closed", passthrough=False)
    before = traces(stand, guest)
    answer = apply({"closed": [CARD, PLAIN]})
    stand.equal(answer.status, 3, "exit status")
    stand.equal(answer.planned(), {CARD: ("blocked", "domain-without-iommu"), PLAIN: ("blocked", "domain-without-iommu")},
                "the plan says why")
    after = traces(stand, guest)
    stand.equal(after, before, "what an attach would touch in xenstore is as it was")
    stand.agree(guest, [], "blocked")
    stand.host_agrees({}, "blocked")
    stand.equal(berth("status", {"closed": [CARD]}).status, 0, "status")

    # The same devices are free for a guest that may have them, and only that guest gets them.
    open_guest = stand.guest("open")
    answer = apply({"closed": [CARD], "open": [PLAIN]})
    stand.equal(answer.status, 3, "exit status with another domain beside it")
    stand.equal(answer.results().get(PLAIN), "done", "the other domain's device")
    stand.settled(open_guest, [PLAIN], "beside a closed one")


def traces(stand, guest):
    """Returns everything in xenstore at the places where an attach would write."""
    return [stand.store.tree(path) for path in ("/local/domain/0/backend/pci", "/libxl/pci", guest.front_end)]
