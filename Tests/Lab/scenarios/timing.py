"""Eight devices at once: one apply against eight calls of xl and against a bare transaction, attach and detach."""

import statistics

from lab.devices import PLAIN
from lab.programs import apply, log, run as run_program, xl

ROUNDS = 5
SECONDS = 3600
# This scenario is last: by then nothing else keeps the host's cores busy.
LAST = True
# Limits that detect a slower release. The goal is 1.1 times the bare transaction; docs/lab.md has the present factor.
FLOOR_BOUND = 2.5
XL_BOUND = 2


def run(stand):
    guest = stand.guest("timed")
    devices = PLAIN[:8]
    times = {(who, what): [] for who in ("berth", "xl", "floor") for what in ("attach", "detach")}

    def timed(who, what, work):
        start = stand.now()
        work()
        if what == "attach":
            guest.wait_connected()
        seconds = stand.now() - start
        times[who, what].append(seconds)
        log(f"{who} {what}: {seconds:.2f} s")
        # The guest's remaining work is not part of the next measurement.
        wanted = len(devices) if what == "attach" else 0
        guest.wait_devices(lambda seen: len(seen) == wanted, f"{wanted} devices")
        if not wanted:
            guest.wait_gone()

    def each(command):
        for device in devices:
            stand.require(xl(command, "timed", device).status == 0, f"xl {command} {device}")

    def berth(wanted):
        stand.require(apply({"timed": wanted}).status == 0, f"apply of {len(wanted)}")

    def floor(command):
        stand.require(run_program("probe", command, str(guest.id), *devices).status == 0, f"the bare {command}")

    idle = []
    for number in range(1, stand.rounds(ROUNDS) + 1):
        timed("xl", "attach", lambda: each("pci-attach"))
        timed("xl", "detach", lambda: each("pci-detach"))
        timed("berth", "attach", lambda: berth(devices))
        # The time for starting, reading and planning: an apply without changes does nothing else.
        idle.append(apply({"timed": devices}).ended.seconds)
        timed("berth", "detach", lambda: berth([]))
        timed("floor", "attach", lambda: floor("attach"))
        timed("floor", "detach", lambda: floor("detach"))
        stand.row(round=number, **{f"{who}_{what}": round(seconds[-1], 2) for (who, what), seconds in times.items()})
    stand.measure("idle_apply_seconds", round(statistics.median(idle), 2))
    for what in ("attach", "detach"):
        median = {who: statistics.median(times[who, what]) for who in ("berth", "xl", "floor")}
        for who, seconds in median.items():
            stand.measure(f"{what}8_seconds_{who}", round(seconds, 2))
        faster, slower = median["xl"] / median["berth"], median["berth"] / median["floor"]
        stand.measure(f"{what}8_ratio_xl", round(faster, 2))
        stand.measure(f"{what}8_ratio_floor", round(slower, 2))
        stand.check(faster > XL_BOUND, f"{what}: {faster:.1f} times as fast as xl")
        stand.check(slower < FLOOR_BOUND, f"{what}: {slower:.2f} times as long as the bare transaction")
    stand.host_agrees({}, "at the end")
