"""What several rows of the conformance table do."""


def at_once(stand, row, name, before, attach, detach=()):
    """Lets one call per device begin together on a new guest, and judges the end. `before` is attached beforehand."""
    guest = stand.guest(name)
    for address in before:
        row.attach(guest, [address])
    attaching = [row.actor.begin_attach(guest, [address]) for address in attach]
    detaching = [row.actor.begin_detach(guest, [address]) for address in detach]
    attached, detached = {}, {}
    for request in attaching:
        attached |= request.end()
    for request in detaching:
        detached |= request.end()
    row.judge([guest], attached=attached, detached=detached)
    row.leave(guest)
