"""An apply is killed at a random moment; after one clean apply everything agrees, and nothing is lost or leaked."""

import os
import random

from lab.programs import Running, apply, apply_arguments, log, write_manifest

ROUNDS = 20
SECONDS = 3600
DEVICES = ["0000:00:05.0", "0000:00:07.0", "0000:00:08.0", "0000:00:09.0", "0000:01:00.0"]
INTENTS = "/run/berth/intents"


def run(stand):
    seed = int.from_bytes(os.urandom(4), "big")
    log("seed", seed)
    chance = random.Random(seed)
    guest = stand.guest("victim")
    # How long an apply takes here, once its code is translated: a killed apply must have been at work. The shorter of
    # two is taken: with the time of a busy moment, other applies would end before they are killed.
    longest = min([apply({"victim": wanted}).ended.seconds for wanted in (DEVICES, [], DEVICES, [])][2:])
    stand.wait(guest.wait_gone)
    killed, rounds = 0, stand.rounds(ROUNDS)
    declared = []
    for number in range(1, rounds + 1):
        was = declared
        while declared == was:
            declared = sorted(chance.sample(DEVICES, chance.randint(0, len(DEVICES))))
        what = f"round {number}"
        delay = chance.uniform(0.02, longest)
        victim = Running(*apply_arguments(write_manifest({"victim": declared})))
        try:
            victim.process.wait(timeout=delay)
        except Exception:  # It is still at work, which is what this is about.
            victim.process.kill()
            killed += 1
        ended = victim.end()
        log(f"{what}: {was} → {declared}, after {delay:.2f} s: status {ended.status}")
        answer = apply({"victim": declared})
        stand.equal(answer.status, 0, f"{what}: the clean apply's status")
        good = stand.settled(guest, declared, what)
        good = stand.host_agrees({address: guest for address in declared}, what) and good
        left = os.listdir(INTENTS) if os.path.isdir(INTENTS) else []
        good = stand.equal(left, [], f"{what}: intents left") and good
        stand.row(round=number, devices=f"{len(was)} → {len(declared)}", killed_after=round(delay, 2),
                  status=ended.status, converged=good)
        if not declared:
            stand.wait(guest.wait_gone)
    stand.check(killed >= rounds // 3, f"{killed} of {rounds} were killed at work")
    stand.measure("killed", killed)
