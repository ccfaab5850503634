# Copyright: the Berth authors
# SPDX-License-Identifier: Apache-2.0
"""Writes each result of a task as a line of JSON to the file RESULTS, for the tests."""

DOCUMENTATION = r"""
name: results
type: aggregate
short_description: Writes results as lines of JSON
description: Writes each result of a task as a line of JSON to the file RESULTS.
"""

import json
import os

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "results"
    CALLBACK_NEEDS_ENABLED = True

    def write(self, kind, result):
        # `_dump_results` would leave the difference out.
        line = dict(kind=kind, host=result._host.get_name(), task=result._task.get_name(), result=result._result)
        with open(os.environ["RESULTS"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result):
        self.write("ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.write("failed", result)

    def v2_runner_on_unreachable(self, result):
        self.write("unreachable", result)

    def v2_runner_retry(self, result):
        self.write("retry", result)
