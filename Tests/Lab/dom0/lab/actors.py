"""The toolstacks that are compared: how each is told to attach and to detach, and what each reports."""

import glob
import subprocess

from .programs import Answer, Running, apply_arguments, log, write_manifest

# How long berth waits for a guest. xl's own waits are fixed: 10 s for a back end (libxl__wait_for_backend).
PATIENCE = "60s"


class Request:
    """One call that has begun. `end` returns {address: whether the toolstack reported it as done}."""

    def __init__(self, runners, read):
        self.runners, self.read = runners, read

    def end(self):
        reported = {}
        for runner, addresses in self.runners:
            reported |= self.read(runner.end(), addresses)
        log("reported", reported)
        return reported

    def kill(self, seconds):
        """Kills the call if it is at work after this time. Returns whether it was."""
        runner, _ = self.runners[0]
        try:
            runner.process.wait(timeout=seconds)
            return False
        except subprocess.TimeoutExpired:
            runner.process.kill()
            return True
        finally:
            runner.end()


class Xl:
    """`xl pci-attach` and `xl pci-detach`, one call per device. A call reports success by its status, 0."""

    name = "xl"

    def begin_attach(self, guest, addresses):
        return self._begin("pci-attach", guest, addresses)

    def begin_detach(self, guest, addresses):
        return self._begin("pci-detach", guest, addresses)

    @staticmethod
    def _begin(command, guest, addresses):
        def read(ended, devices):
            return {device: ended.status == 0 for device in devices}
        first, *rest = addresses
        # Only one device is asked for at a time, as a person or a script does.
        runners = [(Running("xl", command, guest.name, first), [first])]
        for address in rest:
            runners[-1][0].process.wait()
            runners.append((Running("xl", command, guest.name, address), [address]))
        return Request(runners, read)

    def leftovers(self):
        return []


class Berth:
    """`berth apply`. Each call has a manifest of its own set, which names the devices of that call alone."""

    name = "berth"

    def __init__(self):
        self.sets = {}

    def begin_attach(self, guest, addresses):
        name = f"{guest.name}-{addresses[0]}".replace(":", "-").replace(".", "-")
        self.sets |= {(guest.name, address): (name, addresses) for address in addresses}
        return self._begin(guest, name, addresses, addresses)

    def begin_detach(self, guest, addresses):
        name, owned = self.sets[guest.name, addresses[0]]
        return self._begin(guest, name, [address for address in owned if address not in addresses], addresses)

    @staticmethod
    def _begin(guest, name, wanted, addresses):
        def read(ended, devices):
            results = Answer(ended).results()
            return {device: results.get(device) in ("done", "unchanged") for device in devices}
        path = write_manifest({guest.name: wanted}, f"/run/lab/{name}.yaml", owner=name)
        return Request([(Running(*apply_arguments(path, timeout=PATIENCE)), addresses)], read)

    def leftovers(self):
        """Returns what runs that have ended have left of their own."""
        return [f"berth's {path}" for path in glob.glob("/run/berth/intents/*")]


ACTORS = {"berth": Berth, "xl": Xl}
