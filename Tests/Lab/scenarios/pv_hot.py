"""A running PV guest gets and loses devices: one, another, three at once, without the middle one, none, again."""

from lab.devices import BY_ADDRESS
from lab.programs import apply, berth

E1000, SECOND, PLAIN, OTHER, E1000E = "0000:00:05.0", "0000:00:07.0", "0000:00:08.0", "0000:00:09.0", "0000:01:00.0"


def run(stand):
    guest = stand.guest("hot")

    def step(wanted, what, rounds, declared=None):
        answer = apply({"hot": declared or wanted})
        states = stand.store.read(guest.back_end + "/state"), stand.store.read(guest.front_end + "/state")
        stand.require(answer.status == 0, f"{what}: exit status {answer.status}")
        stand.equal(set(answer.results().values()), {"done"}, f"{what}: results")
        stand.equal(answer.rounds(), rounds, f"{what}: rounds")
        # The back end is connected a second or two before the guest has looked at a new bus.
        stand.equal(states, ("4", "4") if wanted else (None, None), f"{what}: both ends when berth said that it is done")
        stand.settled(guest, wanted, what)
        stand.host_agrees({address: guest for address in wanted}, what)

    # A bus is created with its devices; only an existing bus is reconfigured.
    step([E1000], "first device", 0)
    step([E1000, PLAIN], "second device", 1)
    step([E1000, PLAIN, SECOND, OTHER, E1000E], "three at once", 1)
    again = apply({"hot": [E1000, PLAIN, SECOND, OTHER, E1000E]})
    stand.equal((again.status, again.document.get("changed"), again.rounds()), (0, False, 0), "once more: nothing")
    step([E1000, PLAIN, OTHER, E1000E], "middle one detached", 1)
    step([PLAIN, SECOND, E1000E], "two out and one in", 2)
    step([], "all detached", 1)
    stand.wait(guest.wait_gone)
    step([E1000E, E1000], "attached again", 0)
    stand.equal(berth("plan", {"hot": [E1000E, E1000]}, "--detailed-exitcode").status, 0, "nothing left to plan")

    # The only device is detached and attached on one bus, which is empty in between.
    step([E1000], "one of two detached", 1)
    permissive = {"address": E1000, "id": BY_ADDRESS[E1000].id, "permissive": True}
    step([E1000], "another option of the only device", 2, declared=[permissive])
    stand.check("permissive=1" in stand.entries(guest)[0]["opts"], "the entry has the option")
