"""Waits for events in xenstore, on the guests' consoles, and for ended processes. None sleeps a guessed time."""

import ctypes
import errno
import os
import select
import time

from xen.lowlevel import xs as xenstore

CONSOLES = "/var/log/xen/console"
# The pause between looks without an event, for sysfs objects, and for events that came before their watch.
LONGEST_SILENCE = 2.0


class TimedOut(Exception):
    """The awaited event did not come."""


class Store:
    """One connection to xenstored. Values are text; missing nodes are None."""

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
        """Returns everything below a path, as {relative path: value}."""
        result = {}
        for name in self.list(path):
            result[name] = self.read(f"{path}/{name}")
            for below, value in self.tree(f"{path}/{name}").items():
                result[f"{name}/{below}"] = value
        return result

    def wait(self, paths, condition, seconds, what):
        """Returns the first true value of `condition()`, which is evaluated after each change below `paths`."""
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
    """Reports when a file of a folder appears or changes. The default folder is that of the guests' consoles."""

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
    """Returns the first true value of `condition()`. Raises TimedOut with `what` at the deadline."""
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
