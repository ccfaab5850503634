"""Two attaches at once to one guest, by berth and by xl: what each reports, and what the guest has in the end."""

import subprocess

from lab.present import what_it_has
from lab.programs import Answer, Running, apply, apply_arguments, berth, log, write_manifest

SECONDS = 5400
# The programs, and the number of rounds. In each round, xl starts at another moment of berth's work, because what it
# reads and when it writes matter. On an emulated processor, two programs that start together always take equal turns.
PAIRS = [("berth", "berth", 4), ("berth", "xl", 12), ("xl", "xl", 4)]
BEFORE, LEFT, RIGHT = "0000:00:05.0", "0000:00:07.0", "0000:00:08.0"


def run(stand):
    lost = {"berth": 0, "xl": 0}
    races = 0
    # From its start to its commit, an apply takes about as long as an apply without changes.
    idle = min(berth("plan", {}).ended.seconds for _ in range(3))
    for *pair, usual in PAIRS:
        rounds = stand.rounds(usual)
        for number in range(1, rounds + 1):
            # The guest's first devices, then devices beside another: libxl has a code path for each.
            races += 1
            delay = 1.5 * idle * ((number - 1) // 2) / max(1, rounds // 2) if pair == ["berth", "xl"] else 0
            race(stand, pair, number, number % 2 == 0, delay, lost)
    stand.measure("races", races)
    stand.measure("lost_berth", lost["berth"])
    stand.measure("lost_xl", lost["xl"])
    stand.measure("race_pairs", {pair: tally([row for row in stand.table if row["pair"] == pair])
                                 for pair in dict.fromkeys(row["pair"] for row in stand.table)})
    stand.equal(lost["berth"], 0, "devices that berth reported and the guest has not")


def tally(rows):
    """The results of a pair's races, counted in devices."""
    devices = [row[side] for row in rows for side in ("left", "right")]
    return {"races": len(rows), "reported": sum(" reported," in text for text in devices),
            "attached": sum(text.endswith(" attached") for text in devices),
            "lost": sum(text.endswith(" reported, not there") for text in devices)}


def race(stand, pair, number, has_one, delay, lost):
    name = f"{pair[0]}-{pair[1]}-{number}"
    log(f"== {name}, {'beside a device' if has_one else 'the first devices'}, the second after {delay:.2f} s")
    guest = stand.guest(name)
    before = [BEFORE] if has_one else []
    if has_one:
        stand.require(apply({name: before}).status == 0, f"{name}: the device before")
        stand.settled(guest, before, f"{name}: before")
    runners = []
    for who, address in zip(pair, (LEFT, RIGHT)):
        if runners and delay:
            try:
                runners[0].process.wait(timeout=delay)
            except subprocess.TimeoutExpired:
                pass
        if who == "xl":
            runners.append(Running("xl", "pci-attach", name, address))
        else:
            # Each program knows only one device, and removes none.
            path = write_manifest({name: [address]}, f"/run/lab/{address}.yaml", prune="never")
            runners.append(Running(*apply_arguments(path, timeout="30s")))
    reported, readopted = {}, []
    for who, address, runner in zip(pair, (LEFT, RIGHT), runners):
        ended = runner.end()
        answer = Answer(ended)
        done = ended.status == 0 if who == "xl" else answer.results().get(address) == "done"
        readopted += [device for domain in answer.domains for device in domain.get("readopted", [])]
        reported[address] = (who, done)
    has = what_it_has(stand, guest)
    row = {"pair": "×".join(pair), "round": number, "first": not has_one, "delay": round(delay, 2)}
    if "berth" in pair:
        row["put_back"] = len(readopted)
    for side, address in (("left", LEFT), ("right", RIGHT)):
        who, done = reported[address]
        is_lost = done and address not in has
        lost[who] += is_lost
        row[side] = f"{who} {'reported' if done else 'refused'}, {'attached' if address in has else 'not there'}"
        if is_lost and who == "berth":
            stand.check(False, f"{name}: berth reported {address}, and the guest has it not")
    stand.keep(f"race-{name}")
    if "berth" in pair:
        # Whatever the other did, one more apply repairs it.
        answer = apply({name: [*before, LEFT, RIGHT]}, timeout="30s")
        good = stand.equal(answer.status, 0, f"{name}: the apply afterwards")
        row["afterwards"] = good and stand.settled(guest, [*before, LEFT, RIGHT], f"{name}: afterwards")
    else:
        # Only a restart of the guest may repair what two xl left. Then berth says so, and reports no success.
        answer = apply({name: [*before, LEFT, RIGHT]}, timeout="30s")
        stand.check(answer.status in (0, 3, 7), f"{name}: an apply on what is left: {answer.status} {answer.results()}")
        if answer.status == 0:
            stand.settled(guest, [*before, LEFT, RIGHT], f"{name}: afterwards")
        row["afterwards"] = answer.status == 0
    stand.row(**row)
    guest.destroy()
    left_over(stand, guest, name)


def left_over(stand, guest, name):
    """Frees xl's lost devices, which stay claimed and assigned without their domain, for the next race."""
    apply({name: []})
    for address in (BEFORE, LEFT, RIGHT):
        if address in stand.claims():
            log(f"{name}: {address} is still claimed")
            stand.store.remove(f"/libxl/pci/{address.replace(':', '-').replace('.', '-')}")
