"""Waits that look at what happens: xenstore, the guests' consoles, ended processes. None sleeps a guessed time."""

import ctypes
import errno
import os
import select
import time

from xen.lowlevel import xs as xenstore

CONSOLES = "/var/log/xen/console"
# A look without an event, for what tells nobody: sysfs objects, and an event that came before its watch.
LONGEST_SILENCE = 2.0


class TimedOut(Exception):
    """What was waited for did not come."""


class Store:
    """One connection to xenstored. Values are text; what is not there is None."""

    def __init__(self):
        self.connection = xenstore.xs()
        self.watched = {}

    def read(self, path):
        value = self.connection.read("", path)
        return None if value is None else value.decode(errors="replace")

    def list(self, path):
        return self.connection.ls("", path) or []

    def write(self, path, value):
        self.connection.write("", path, value)

    def remove(self, path):
        self.connection.rm("", path)

    def tree(self, path):
        """Everything below a path, as {relative path: value}."""
        result = {}
        for name in self.list(path):
            result[name] = self.read(f"{path}/{name}")
            for below, value in self.tree(f"{path}/{name}").items():
                result[f"{name}/{below}"] = value
        return result

    def wait(self, paths, condition, seconds, what):
        """Returns the first true value of `condition()`, looked at anew whenever something changes below `paths`."""
        for path in paths:
            self.connection.watch(path, path)
        try:
            return wait([self.connection.fileno()], self._drain, condition, seconds, what)
        finally:
            for path in paths:
                self.connection.unwatch(path, path)
            self._drain()

    def _drain(self):
        try:
            while self.connection.check_watch():
                pass
        except xenstore.Error as error:
            if error.args[0] != errno.EAGAIN:
                raise


class Folder:
    """Tells when a file of a folder comes or changes: of the guests' consoles, where no other is named."""

    IN_MODIFY, IN_MOVED_TO, IN_CREATE = 0x2, 0x80, 0x100

    def __init__(self, path=CONSOLES):
        library = ctypes.CDLL(None, use_errno=True)
        self.descriptor = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        events = self.IN_MODIFY | self.IN_MOVED_TO | self.IN_CREATE
        if library.inotify_add_watch(self.descriptor, path.encode(), events) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch", path)

    def wait(self, condition, seconds, what):
        return wait([self.descriptor], self._drain, condition, seconds, what)

    def _drain(self):
        try:
            while os.read(self.descriptor, 65536):
                pass
        except BlockingIOError:
            pass


def wait(descriptors, drain, condition, seconds, what):
    """Returns the first true value of `condition()`; TimedOut with `what` when it has not come in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimedOut(f"{what}: not within {seconds} s")
        if select.select(descriptors, [], [], min(left, LONGEST_SILENCE))[0]:
            drain()
