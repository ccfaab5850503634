"""The toolstacks that are compared: how each is told to attach and to detach, and what each reports."""

import glob
import subprocess

from .drift import recorded
from .programs import LONGEST_PROGRAM, Answer, Running, apply_arguments, log, write_manifest

# How long berth waits for a guest. xl's own waits are fixed: 10 s for a back end (libxl__wait_for_backend, libxl_device.c).
PATIENCE = "60s"


class Request:
    """The calls of one request, which have begun."""

    def __init__(self, runners, read):
        self.runners, self.read = runners, read

    def end(self):
        """Returns {address: whether the toolstack reported it as done}, when all calls have ended."""
        reported = {}
        for runner, addresses in self.runners:
            reported |= self.read(runner.end(), addresses)
        log("reported", reported)
        return reported

    def kill(self, seconds):
        """Kills the first call if it is at work after this time. Returns whether it was."""
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
        # One call after the other, as a person or a script does. Only the last one runs when this returns.
        runners = []
        for address in addresses:
            if runners:
                runners[-1][0].process.wait(timeout=LONGEST_PROGRAM)
            runners.append((Running("xl", command, guest.name, address), [address]))
        return Request(runners, read)

    @staticmethod
    def disagreements(_):
        """Returns nothing: xl has no files of its own about devices besides those of libxl."""
        return []


class Berth:
    """`berth apply`. The devices of one attach are a set of their own, in a manifest of their own."""

    name = "berth"

    def __init__(self):
        self.sets = {}

    def begin_attach(self, guest, addresses):
        name = f"{guest.name}-{addresses[0]}".replace(":", "-").replace(".", "-")
        self.sets[guest.name, name] = list(addresses)
        return self._begin(guest, name, addresses)

    def begin_detach(self, guest, addresses):
        name = next(name for (owner, name), owned in self.sets.items()
                    if owner == guest.name and addresses[0] in owned)
        self.sets[guest.name, name] = [address for address in self.sets[guest.name, name] if address not in addresses]
        return self._begin(guest, name, addresses)

    def _begin(self, guest, name, addresses):
        def read(ended, devices):
            results = Answer(ended).results()
            return {device: results.get(device) in ("done", "unchanged") for device in devices}
        path = write_manifest({guest.name: self.sets[guest.name, name]}, f"/run/lab/{name}.yaml", owner=name)
        return Request([(Running(*apply_arguments(path, timeout=PATIENCE)), addresses)], read)

    @staticmethod
    def disagreements(guests):
        """Returns how Berth's own files differ from what guests have: `guests` is {guest: addresses}."""
        found = [f"{path}: an intent of a run that has ended" for path in glob.glob("/run/berth/intents/*")]
        for guest, has in guests.items():
            found += [f"{address}: recorded by berth, not in the guest" for address in set(recorded(guest)) - has]
            found += [f"{address}: in the guest, not recorded by berth" for address in has - set(recorded(guest))]
        return found


ACTORS = {"berth": Berth, "xl": Xl}
