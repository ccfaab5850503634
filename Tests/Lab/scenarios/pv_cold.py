"""A domain that never ran gets two devices, which xl cannot attach, and finds them when it starts."""

from lab.programs import apply, xl

CARD, PLAIN, LATER = "0000:00:05.0", "0000:00:07.0", "0000:01:00.0"


def run(stand):
    guest = stand.guest("cold", paused=True)
    answer = apply({"cold": [CARD, PLAIN]})
    stand.equal((answer.status, set(answer.results().values())), (0, {"done"}), "two devices, cold")
    stand.equal(answer.rounds(), 0, "no round, since nobody could answer it")
    state = stand.store.read(guest.back_end + "/state")
    stand.equal({entry["state"] for entry in stand.entries(guest)}, {"3"}, "pciback has exported both")
    stand.check(state in ("3", "4"), f"the back end is ready for the guest: state {state}")
    stand.equal(sorted(stand.saved(guest.userdata())), [CARD, PLAIN], "libxl's saved configuration")
    again = apply({"cold": [CARD, PLAIN]})
    stand.equal((again.status, again.document.get("changed")), (0, False), "once more: nothing")

    # One device is detached and another attached before the domain ever ran.
    answer = apply({"cold": [CARD, LATER]})
    stand.equal((answer.status, set(answer.results().values())), (0, {"done"}), "another choice, still cold")
    stand.equal(sorted(entry["dev"] for entry in stand.entries(guest)), [CARD, LATER], "the back end lists")
    stand.keep("before-the-start")

    xl("unpause", "cold")
    guest.wait_up()
    stand.settled(guest, [CARD, LATER], "after the start")
    stand.host_agrees({CARD: guest, LATER: guest}, "after the start")
    answer = apply({"cold": [CARD]})
    stand.equal(answer.status, 0, "one detached, hot")
    stand.settled(guest, [CARD], "one detached, hot")
