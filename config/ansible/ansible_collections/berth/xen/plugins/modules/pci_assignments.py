#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: the Berth authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: pci_assignments
short_description: Keep the PCI devices of Xen domains as manifests declare them
version_added: 0.1.0
description:
  - Runs C(berth apply) on the managed host. In check mode it runs C(berth plan), which changes nothing.
  - With C(--diff) the difference is the plan in Berth's own words, from a look just before the apply.
  - >-
    The manifests are files on the managed host. Copy them with M(ansible.builtin.copy), and never with a template or
    with C(to_yaml): a YAML reader of Ansible takes the address 0000:03:00.0 for the number 180.0.
author: The Berth authors (@berth)
options:
  manifest:
    description:
      - Paths of files and directories with manifests, on the managed host. Name all manifests of a set together.
      - Either this or C(saved_plan) is required.
    type: list
    elements: path
    aliases: [manifests]
  saved_plan:
    description:
      - >-
        Path of a file on the managed host that C(berth plan --out) wrote. Exactly this plan is applied. If the host has
        changed since, the task fails with C(stale), and nothing is touched.
      - The plan has its own options, so C(prune), C(allow_removals) and C(require_running) cannot be given with it.
    type: path
  expect:
    description:
      - >-
        The fingerprint of the plan that somebody agreed to: C(plan.fingerprint) of an earlier answer. If the plan is
        another one now, the task fails with C(stale), and nothing is touched.
    type: str
  prune:
    description:
      - What happens to undeclared devices, in place of the manifest's policy.
    type: str
    choices: [never, owned, all]
  allow_removals:
    description:
      - Detach more devices than the manifest's policy allows, or all devices of what no manifest names.
    type: bool
    default: false
  allow_blocked:
    description:
      - Count blocked devices as warnings. Without it they are a failure, and everything else is done all the same.
      - A plan that Berth refuses as a whole stays a failure.
    type: bool
    default: false
  require_running:
    description:
      - Fail if a declared domain cannot take its devices now.
    type: bool
    default: false
  wait_timeout:
    description:
      - How long a guest may take to answer, such as C(30s) or C(500ms).
    type: str
  lock_timeout:
    description:
      - How long to wait for other runs of Berth, and for libxl's locks, such as C(10s).
    type: str
  sandbox:
    description:
      - The directory of a sandbox. The command then works on the sandbox in place of the host.
    type: path
  executable:
    description:
      - The program, as a path or a name.
    type: str
    default: berth
attributes:
  check_mode:
    description: Plans, and changes nothing.
    support: full
  diff_mode:
    description: Shows Berth's plan as it is.
    support: full
seealso:
  - module: berth.xen.pci_info
"""

EXAMPLES = r"""
- name: Keep the devices as declared
  berth.xen.pci_assignments:
    manifest: /etc/berth

- name: Try again while somebody else is at work on the host
  berth.xen.pci_assignments:
    manifest: /etc/berth
    lock_timeout: 10s
  register: devices
  until: not (devices.busy | default(false))
  retries: 5
  delay: 20

- name: Apply what was shown, or nothing
  block:
    - berth.xen.pci_assignments:
        manifest: /etc/berth
      check_mode: true
      diff: true
      register: shown
    - berth.xen.pci_assignments:
        manifest: /etc/berth
        expect: "{{ shown.plan.fingerprint }}"

- name: Show what would change
  berth.xen.pci_assignments:
    manifest: /etc/berth
  check_mode: true
  diff: true
"""

RETURN = r"""
plan:
  description:
    - The document of kind Plan, version 1. The page "Output" of Berth describes its keys.
    - After an apply it is the plan that was applied.
  returned: if Berth had an answer
  type: dict
result:
  description: The document of kind ApplyResult, version 1, without its plan.
  returned: if an apply had an answer
  type: dict
rc:
  description: The exit code of Berth.
  returned: always
  type: int
  sample: 0
blocked:
  description: What Berth does not do, and what a person can do about that.
  returned: if Berth had an answer
  type: list
  elements: dict
  sample:
    - domain: sys-net
      device: "0000:03:00.0"
      reason: identity-mismatch
      meaning: another device is at the address
      remedy: correct the manifest
failures:
  description: What Berth began and could not finish, one sentence each.
  returned: if an apply had an answer
  type: list
  elements: str
busy:
  description: Whether a lock was busy, so that the same task may succeed later.
  returned: always
  type: bool
stale:
  description: Whether the plan that was agreed to does not fit the host any more, so that nothing was touched.
  returned: always
  type: bool
differences:
  description: In what the plan that was agreed to differs from a new one. It is empty if only a fingerprint was given.
  returned: if the plan does not fit any more
  type: list
  elements: dict
unknown:
  description: Whether nobody can say what has become of a change. The next apply resumes from there.
  returned: always
  type: bool
stderr:
  description: The messages of Berth, such as the errors in a manifest with their locations.
  returned: failure
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.berth.xen.plugins.module_utils import program

BLOCKED = 3
STALE = 4
BUSY = 75


def planned(params):
    """Returns the options that `plan` and `apply` have in common."""
    words = []
    if params["prune"]:
        words += ["--prune", params["prune"]]
    for name in ("allow_removals", "require_running"):
        if params[name]:
            words.append("--" + name.replace("_", "-"))
    return words


def agreed(params):
    """Returns the options that say which plan was agreed to, and None if any plan will do."""
    if params["expect"]:
        return ["--expect", params["expect"]]
    return [] if params["saved_plan"] else None


def applied(params):
    """Returns the options that only `apply` has."""
    words = ["--yes"]
    for name in ("wait_timeout", "lock_timeout"):
        if params[name]:
            words += ["--" + name.replace("_", "-"), params[name]]
    return words


def entry(domain, device, step):
    """Returns what a person needs to know of a blocked device."""
    known = dict(domain=domain, device=device)
    known.update((key, step[key]) for key in ("reason", "meaning", "evidence", "detail", "remedy") if step.get(key))
    return known


def blocked_in(plan, result):
    """Returns the blocked devices of a plan, and those that an apply found blocked later."""
    found = []
    for domain in plan["domains"]:
        found += [entry(domain["name"], step["device"]["address"], step)
                  for step in domain["steps"] if step["action"] == "blocked"]
        found += [entry(domain["name"], step["label"], step) for step in domain.get("unresolved", [])]
    known = set((each["domain"], each["device"]) for each in found)
    for domain in result.get("domains", []):
        found += [entry(domain["name"], step["device"]["address"], step)
                  for step in domain["steps"]
                  if step["result"] == "blocked" and (domain["name"], step["device"]["address"]) not in known]
    for outcome in result.get("drivers", []):
        step = outcome["step"]
        place = (step.get("domain", ""), step["device"]["address"])
        if outcome["result"] == "blocked" and place not in known:
            found.append(entry(place[0], place[1], outcome))
    return found


def failures_in(result):
    """Returns sentences on what an apply began and could not finish."""
    found = []
    for domain in result.get("domains", []):
        if domain.get("failure"):
            found.append("%s: %s" % (domain["name"], domain["failure"]))
        found += ["%s %s: %s" % (domain["name"], step["device"]["address"], step.get("detail", step["result"]))
                  for step in domain["steps"] if step["result"] in ("failed", "unknown", "interrupted")]
    found += ["%s: %s" % (outcome["step"]["device"]["address"], outcome.get("detail", outcome["result"]))
              for outcome in result.get("drivers", []) if outcome["result"] in ("failed", "unknown", "interrupted")]
    found += ["%s %s: %s is needed, and the plan did not have it" % (
        each["domain"], each["step"]["device"]["address"], each["step"]["action"]) for each in result.get("notShown", [])]
    return found + list(result.get("hostFailures", []))


def sentence(each):
    """Returns a blocked device as one sentence."""
    parts = [each.get(key, "") for key in ("meaning", "evidence", "detail", "remedy")]
    return "%s %s: %s" % (each["domain"], each["device"], "; ".join(part for part in parts if part))


def main():
    module = AnsibleModule(
        argument_spec=dict(
            program.common_arguments(),
            manifest=dict(type="list", elements="path", aliases=["manifests"]),
            saved_plan=dict(type="path"),
            expect=dict(type="str"),
            prune=dict(type="str", choices=["never", "owned", "all"]),
            allow_removals=dict(type="bool", default=False),
            allow_blocked=dict(type="bool", default=False),
            require_running=dict(type="bool", default=False),
            wait_timeout=dict(type="str"),
            lock_timeout=dict(type="str"),
        ),
        required_one_of=[("manifest", "saved_plan")],
        mutually_exclusive=[("manifest", "saved_plan")],
        supports_check_mode=True,
    )
    params = module.params
    manifests = [params["saved_plan"]] if params["saved_plan"] else params["manifest"]
    if not manifests:
        module.fail_json(msg="No manifest is named.", rc=64, busy=False, stale=False, unknown=False, changed=False)
    options = planned(params)
    # A plan that was agreed to is compared by `apply` alone, which changes nothing with `--dry-run`.
    preview, looked = "plan", options
    if agreed(params) is not None:
        options = options + agreed(params)
        preview, looked = "apply", options + ["--dry-run"]
    answer = dict()
    if module._diff:
        text = program.call(module, preview, looked, manifests)[1]
        answer["diff"] = [dict(prepared=text)] if text else []

    result = {}
    if module.check_mode:
        looked = looked + (["--detailed-exitcode"] if preview == "plan" else [])
        code, document, messages = program.ask(module, preview, looked, manifests, "Plan", "StalePlan")
        plan = document
        changed = document is not None and document.get("hasChanges", False) and not document["isRefused"]
    else:
        code, document, messages = program.ask(
            module, "apply", options + applied(params), manifests, "ApplyResult", "StalePlan")
        plan = None if document is None else document.pop("plan", None)
        changed = document is not None and document.get("changed", False)
        if plan is not None:
            answer["result"] = result = document
    is_stale = document is not None and document["kind"] == "StalePlan"
    unknown = not module.check_mode and program.leaves_open(code)
    answer.update(rc=code, changed=changed, busy=code == BUSY, unknown=unknown, stale=is_stale)

    if is_stale:
        differences = document["staleBecause"]
        reason = "; ".join(" ".join(each[key] for key in ("domain", "device", "meaning") if each.get(key))
                           for each in differences)
        module.fail_json(
            msg="The host has changed since the plan was made, and nothing was touched (%d): %s" % (
                code, reason or "the plan has the fingerprint %s now" % document["found"]),
            stderr=messages, differences=differences, **answer)
    if plan is None:
        answer["stale"] = code == STALE
        module.fail_json(msg="%s (%d): %s" % (program.meaning(code), code, messages), stderr=messages, **answer)
    for warning in plan["warnings"]:
        module.warn(warning)
    blocked = blocked_in(plan, result)
    failures = failures_in(result)
    answer.update(plan=plan, blocked=blocked)
    if not module.check_mode:
        answer["failures"] = failures

    # Ansible takes each `rc` but 0 for a failure, unless the answer says otherwise.
    if code == 0 or module.check_mode and code == 2:
        module.exit_json(failed=False, **answer)
    if code == BLOCKED and plan["isRefused"]:
        refusal = plan["refusal"]
        reason = "Berth refuses the whole plan: %s; %s" % (refusal["meaning"], refusal["remedy"])
    elif code == BLOCKED:
        if params["allow_blocked"]:
            for each in blocked:
                module.warn("blocked: " + sentence(each))
            module.exit_json(failed=False, **answer)
        reason = "%d blocked: %s" % (len(blocked), ". ".join(sentence(each) for each in blocked))
    else:
        reason = "%s: %s" % (program.meaning(code), ". ".join(failures) or messages)
    module.fail_json(msg="%s (%d)" % (reason, code), stderr=messages, **answer)


if __name__ == "__main__":
    main()
