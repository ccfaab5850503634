# -*- coding: utf-8 -*-
# Copyright: the Berth authors
# SPDX-License-Identifier: Apache-2.0
"""How the modules call the program, and read its answer."""
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json

# What each exit code of Berth means, if nothing better is known.
MEANINGS = {
    1: "Berth failed",
    3: "something is blocked",
    4: "the host has changed since the plan was made; a change that the plan did not have was not made",
    5: "Berth failed, and everything that was begun has been rolled back",
    6: "the manifest is applied in part: some steps are done, others failed",
    7: "the outcome is unknown, because a guest or Xen did not answer in time; the next apply resumes from there",
    64: "Berth was called in a wrong way",
    65: "a manifest is invalid, and nothing was touched",
    66: "there is no manifest, or none for this host",
    69: "xenstored, the hypervisor or the sandbox does not answer",
    75: "another run of Berth, or another toolstack, holds a lock",
    77: "Berth is not permitted to do this",
    78: "the host is not prepared",
    130: "Berth was interrupted",
}

# Those after which the host may have been changed although no document says so.
UNFINISHED = (7, 130)


def common_arguments():
    return dict(
        executable=dict(type="str", default="berth"),
        sandbox=dict(type="path"),
    )


def meaning(code):
    if code < 0 or code > 128 and code not in MEANINGS:
        return "a signal ended Berth"
    return MEANINGS.get(code, "Berth ended with an unknown exit code")


def leaves_open(code):
    """Whether nobody can say what a run with this exit code has done."""
    return code in UNFINISHED or code < 0 or code > 128


def call(module, command, options, manifests):
    """Runs a command of Berth and returns its exit code, its output and its messages."""
    program = module.get_bin_path(module.params["executable"], required=True)
    words = [program, command, "--no-color"] + options
    if module.params["sandbox"]:
        words += ["--sandbox", module.params["sandbox"]]
    # The marks of a plan are not ASCII. The documents are the same in each locale.
    locale = dict(LC_ALL="C.UTF-8", LANG="C.UTF-8")
    return module.run_command(words + ["--"] + manifests, environ_update=locale)


def ask(module, command, options, manifests, *kinds):
    """Runs a command and returns its exit code, its document of one of these kinds, and its messages.

    Without a document the code is no success, and the caller has to fail.
    """
    code, output, messages = call(module, command, ["-o", "json"] + options, manifests)
    if not output.strip():
        return code or 1, None, messages.strip() or "there is no answer"
    try:
        document = json.loads(output)
        head = (document["kind"], document["formatVersion"])
    except (ValueError, KeyError, TypeError):
        module.fail_json(msg="The output of '%s' is no document of Berth." % command, rc=code, stderr=messages)
    if head[0] not in kinds or head[1] != 1:
        module.fail_json(
            msg="The output of '%s' is %s, version %s. This module reads version 1 of %s." % (
                command, head[0], head[1], " and ".join(kinds)),
            rc=code, stderr=messages)
    return code, document, messages.strip()
