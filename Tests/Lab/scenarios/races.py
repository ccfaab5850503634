"""Two attaches at once to one guest, by berth and by xl: what each reported, and what the guest has in the end."""

from lab.devices import BY_ADDRESS
from lab.programs import Answer, Running, apply, apply_arguments, kernel_log, log, write_manifest
from lab.waiting import TimedOut

ROUNDS = 4
SECONDS = 5400
PAIRS = [("berth", "berth"), ("berth", "xl"), ("xl", "xl")]
BEFORE, LEFT, RIGHT = "0000:00:05.0", "0000:00:07.0", "0000:00:08.0"
# After this, libxl no longer acts on what it once read (libxl__wait_for_backend, libxl_device.c, waits 10 s).
XL_MEMORY = 15


def run(stand):
    lost = {"berth": 0, "xl": 0}
    races = 0
    for pair in PAIRS:
        for number in range(1, stand.rounds(ROUNDS) + 1):
            # The guest's first devices, then devices beside another: libxl goes two ways.
            races += 1
            race(stand, pair, number, number % 2 == 0, lost)
    stand.measure("races", races)
    stand.measure("lost_berth", lost["berth"])
    stand.measure("lost_xl", lost["xl"])
    stand.equal(lost["berth"], 0, "devices that berth reported and the guest has not")


def race(stand, pair, number, has_one, lost):
    name = f"{pair[0]}-{pair[1]}-{number}"
    log(f"== {name}, {'beside a device' if has_one else 'the first devices'}")
    guest = stand.guest(name)
    before = [BEFORE] if has_one else []
    if has_one:
        stand.require(apply({name: before}).status == 0, f"{name}: the device before")
        stand.settled(guest, before, f"{name}: before")
    runners = []
    for who, address in zip(pair, (LEFT, RIGHT)):
        if who == "xl":
            runners.append(Running("xl", "pci-attach", name, address))
        else:
            # Each knows of one device only, and removes none.
            path = write_manifest({name: [address]}, f"/run/lab/{address}.yaml", prune="never")
            runners.append(Running(*apply_arguments(path, timeout="30s")))
    reported = {}
    for who, address, runner in zip(pair, (LEFT, RIGHT), runners):
        ended = runner.end()
        done = ended.status == 0 if who == "xl" else Answer(ended).results().get(address) == "done"
        reported[address] = (who, done)
    has = what_it_has(stand, guest)
    row = {"pair": "×".join(pair), "round": number, "first": not has_one}
    for side, address in (("left", LEFT), ("right", RIGHT)):
        who, done = reported[address]
        is_lost = done and address not in has
        lost[who] += is_lost
        row[side] = f"{who} {'reported' if done else 'refused'}, {'attached' if address in has else 'not there'}"
        if is_lost and who == "berth":
            stand.check(False, f"{name}: berth reported {address}, and the guest has it not")
    stand.keep(f"race-{name}")
    if "berth" in pair:
        # Whatever the other did: one more apply makes it right.
        answer = apply({name: [*before, LEFT, RIGHT]}, timeout="30s")
        good = stand.equal(answer.status, 0, f"{name}: the apply afterwards")
        row["afterwards"] = good and stand.settled(guest, [*before, LEFT, RIGHT], f"{name}: afterwards")
    stand.row(**row)
    guest.destroy()
    left_over(stand, guest, name)


def what_it_has(stand, guest):
    """The addresses the guest really has, once nobody is at work any more."""
    try:
        guest.wait_connected(XL_MEMORY)
    except TimedOut as error:
        log(error)
    entries = stand.entries(guest) or []
    wanted = len([entry for entry in entries if entry["state"] == "3"])
    try:
        guest.wait_devices(lambda seen: len(seen) == wanted, f"{wanted} devices", XL_MEMORY)
    except TimedOut as error:
        log(error)
    exported = exports(guest.id)
    slots = {device["at"] for device in guest.devices()}
    log("entries", entries, "exported", exported, "the guest sees", guest.devices())
    # An entry that another overwrote names the wrong device: what pciback exported at a slot is what is there.
    return {address for address, slot in exported.items() if f"0000:00:{slot:02x}.0" in slots}


def exports(domain):
    """{address: slot} of what dom0's kernel says it exported to a domain and has not released."""
    slots, result = {}, {}
    for line in kernel_log().splitlines():
        words = line.partition("pciback ")[2].split()
        if not words or words[0].rstrip(":") not in BY_ADDRESS:
            continue
        address = words[0].rstrip(":")
        if "virtual" in words and "slot" in words:
            slots[address] = int(words[words.index("slot") + 1].split(".")[0])
        elif "registering" in words:
            if words[-1] == str(domain):
                result[address] = slots.get(address)
            else:
                result.pop(address, None)
    return {address: slot for address, slot in result.items() if slot is not None}


def left_over(stand, guest, name):
    """xl's lost devices stay claimed and assigned when their domain is gone; the next race needs them."""
    apply({name: []})
    for address in (BEFORE, LEFT, RIGHT):
        if address in stand.claims():
            log(f"{name}: {address} is still claimed")
            stand.store.remove(f"/libxl/pci/{address.replace(':', '-').replace('.', '-')}")
