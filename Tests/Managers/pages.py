"""Pages of the documentation whose commands are run as they stand there."""

import os
import re

import hosts


class Page(hosts.Test):
    """A test of one page. Blocks that are marked as `sh` are run, and others are what programs print."""

    # The page's path below the repository, and the folder in which its commands are run.
    page = ""
    place = ""

    def text(self):
        with open(os.path.join(hosts.ROOT, self.page), encoding="utf-8") as file:
            return file.read()

    def headings(self):
        return re.findall(r"(?m)^## (.*)$", self.text())

    def commands(self, heading):
        """Returns the commands of a section, each block as one text."""
        section = re.search(rf"(?ms)^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", self.text()).group(1)
        return re.findall(r"(?ms)^```sh\n(.*?)^```", section)

    def follow(self, heading):
        """Runs the commands of a section as a person would, up to the first failure. Returns what they print."""
        blocks = self.commands(heading)
        self.assertTrue(blocks, heading)
        return "".join(
            self.run_program("bash", "-euo", "pipefail", "-c", block, where=self.path(self.place)) for block in blocks)
