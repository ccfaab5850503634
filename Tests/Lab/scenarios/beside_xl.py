"""berth attaches and xl detaches; xl attaches and berth adopts; a reboot and a destroy leave no traces."""

from lab.programs import apply, berth, xl

CARD, PLAIN, OTHER = "0000:00:05.0", "0000:00:07.0", "0000:00:08.0"


def run(stand):
    guest = stand.guest("beside")
    answer = apply({"beside": [CARD, PLAIN]})
    stand.require(answer.status == 0, f"berth attaches two: exit status {answer.status}")
    stand.settled(guest, [CARD, PLAIN], "berth attached")

    # xl detaches one device, and leaves the saved configuration unchanged.
    stand.equal(xl("pci-detach", "beside", PLAIN).status, 0, "xl pci-detach of berth's device")
    stand.wait(guest.wait_devices, lambda devices: len(devices) == 1, "one device")
    stand.equal(sorted(stand.saved(guest.userdata())), [CARD, PLAIN], "what xl leaves in the saved configuration")
    plan = berth("plan", {"beside": [CARD]})
    stand.equal(plan.reasons().get(PLAIN), "config-only", "the plan names the stale line")
    answer = apply({"beside": [CARD]})
    stand.equal(answer.status, 0, "berth cleans up after xl")
    stand.settled(guest, [CARD], "after xl's detach")
    stand.host_agrees({CARD: guest}, "after xl's detach")

    # xl attaches a device. berth adopts it, and may remove it afterwards.
    stand.equal(xl("pci-attach", "beside", OTHER).status, 0, "xl pci-attach beside berth's device")
    stand.wait(guest.wait_devices, lambda devices: len(devices) == 2, "two devices")
    stand.wait(guest.wait_connected)
    answer = apply({"beside": [CARD]})
    stand.equal(answer.status, 0, "a device nobody declares")
    stand.settled(guest, [CARD, OTHER], "xl's device is left alone")
    answer = apply({"beside": [CARD, OTHER]})
    stand.equal((answer.status, answer.rounds()), (0, 0), "xl's device is adopted, without a round")
    stand.settled(guest, [CARD, OTHER], "adopted")
    answer = apply({"beside": [OTHER]})
    stand.equal(answer.status, 0, "berth's own is detached")
    stand.settled(guest, [OTHER], "one left, which was xl's")
    answer = apply({"beside": []})
    stand.equal(answer.status, 0, "what was adopted may be detached")
    stand.settled(guest, [], "none left")
    stand.host_agrees({}, "none left")

    # A reboot keeps the devices, only because of the saved configuration.
    answer = apply({"beside": [CARD, PLAIN]})
    stand.equal(answer.status, 0, "attached again")
    stand.settled(guest, [CARD, PLAIN], "before the reboot")
    # A line that xl's detach left does not bring the device back.
    stand.equal(xl("pci-attach", "beside", OTHER).status, 0, "xl attaches one more")
    stand.wait(guest.wait_devices, lambda devices: len(devices) == 3, "three devices")
    stand.wait(guest.wait_connected)
    stand.equal(xl("pci-detach", "beside", OTHER).status, 0, "xl detaches it")
    stand.check(OTHER in stand.saved(guest.userdata()), "its line stays")
    old, reports = guest.id, len(guest.reports())
    stand.equal(xl("reboot", "beside").status, 0, "xl reboot")
    stand.store.wait(["@introduceDomain", "@releaseDomain"], lambda: guest.find() not in (None, old), 180,
                     "the domain has a new number")
    stand.wait(lambda: stand.consoles.wait(lambda: len(guest.reports()) > reports, 180, "the guest is back"))
    stand.settled(guest, [CARD, PLAIN], "after the reboot")
    stand.host_agrees({CARD: guest, PLAIN: guest}, "after the reboot")
    again = apply({"beside": [CARD, PLAIN]})
    stand.equal((again.status, again.rounds()), (0, 0), "nothing to do after the reboot")

    guest.destroy()
    stand.host_agrees({}, "after xl destroy")
    stand.equal(stand.store.list("/local/domain/0/backend/pci"), [], "no back end is left")
    answer = apply({"beside": [CARD]})
    stand.equal(answer.status, 0, "the domain that is gone is pending, which is no failure")
    stand.equal(berth("status", {}).document.get("anomalies"), [], "nothing disagrees")
