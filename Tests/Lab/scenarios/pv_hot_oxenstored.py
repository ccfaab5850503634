"""Repeats pv-hot with oxenstored, Debian's default, as the host's store."""

from pv_hot import run  # noqa: F401 (the runner calls it)

XENSTORED = "oxenstored"
