# Copyright: the Berth authors
# SPDX-License-Identifier: Apache-2.0
"""
Keep the PCI devices of Xen domains as manifests of Berth declare them.

.. code-block:: yaml

    devices of the guests:
      berth.assigned:
        - manifest: /etc/berth

The manifests are files on the minion: copy them with ``file.managed`` or ``file.recurse``, without ``template``, and
without ``serialize``. A YAML reader of Salt takes the address 0000:03:00.0 for the number 180.0.
"""

import json

_BLOCKED = 3
# A plan ends with 2 if there is something to change.
_CHANGES = 2
_MEANINGS = {
    4: "the host has changed since the plan was made; a change that the plan did not have was not made",
    5: "failed, and everything that was begun has been rolled back",
    6: "applied in part: some steps are done, others failed",
    7: "the outcome is unknown: a guest or Xen did not answer in time; the next apply resumes from there",
    75: "busy: another run of Berth, or another toolstack, holds a lock; run again",
}


def _words(executable, command, manifest, options):
    words = [executable, command, "--no-color", "-o", "json"]
    for name, value in options.items():
        if value is True:
            words.append("--" + name)
        elif value:
            words += ["--" + name, str(value)]
    return words + ["--"] + ([manifest] if isinstance(manifest, str) else list(manifest))


def _blocked(plan):
    """Returns the blocked devices of a plan: {what: why}."""
    found = {}
    for domain in plan["domains"]:
        blocked = [(step["device"]["address"], step) for step in domain["steps"] if step["action"] == "blocked"]
        for device, step in blocked + [(step["label"], step) for step in domain.get("unresolved", [])]:
            why = [step.get(key) for key in ("meaning", "evidence", "remedy")]
            found["{} {}".format(domain["name"], device)] = "; ".join(part for part in why if part)
    return found


def _planned(plan):
    """Returns what an apply would change: {device: {"old", "new"}}."""
    changes = {}
    for domain in plan["domains"]:
        for step in domain["steps"]:
            if step["isChange"]:
                had = {"attach": "", "move": step.get("from", "")}.get(step["action"], domain["name"])
                gets = "" if step["action"] == "detach" else domain["name"]
                changes[step["device"]["address"]] = {"old": had, "new": gets, "action": step["action"]}
    return changes


def _done(result):
    """Returns what an apply has changed, or may have: {device: {"domain", "action", "result"}}."""
    changes = {}
    for domain in result["domains"]:
        for step in domain["steps"]:
            if step["result"] in ("done", "unknown"):
                changes[step["device"]["address"]] = {
                    "domain": domain["name"], "action": step["action"], "result": step["result"]}
    return changes


def assigned(name, manifest, prune=None, allow_removals=False, allow_blocked=False, require_running=False,
             wait_timeout=None, lock_timeout=None, sandbox=None, executable="berth"):
    """
    Apply manifests. With ``test=True`` the state plans, and changes nothing.

    name
        Any text.
    manifest
        A path, or a list of paths, of files and directories on the minion. Name all manifests of a set together.
    prune
        What happens to undeclared devices, in place of the manifest's policy: ``never``, ``owned`` or ``all``.
    allow_removals
        Detach more devices than the manifest's policy allows.
    allow_blocked
        Count blocked devices as warnings. A plan that Berth refuses as a whole stays a failure.
    require_running
        Fail if a declared domain cannot take its devices now.
    wait_timeout
        How long a guest may take to answer, such as ``30s``.
    lock_timeout
        How long to wait for busy locks, such as ``10s``.
    sandbox
        The directory of a sandbox, in place of the host.
    executable
        The program, as a path or a name.
    """
    ret = {"name": name, "changes": {}, "result": True, "comment": "The devices are as declared."}
    options = {"prune": prune, "allow-removals": allow_removals, "require-running": require_running,
               "sandbox": sandbox}
    is_test = __opts__["test"]
    if is_test:
        words = _words(executable, "plan", manifest, dict(options, **{"detailed-exitcode": True}))
    else:
        more = {"yes": True, "wait-timeout": wait_timeout, "lock-timeout": lock_timeout}
        words = _words(executable, "apply", manifest, dict(options, **more))
    run = __salt__["cmd.run_all"](words, python_shell=False, ignore_retcode=True, env={"LC_ALL": "C.UTF-8"})
    code = run["retcode"]
    try:
        document = json.loads(run["stdout"])
    except ValueError:
        ret.update(result=False, comment="berth ended with {}: {}".format(code, run["stderr"] or run["stdout"]))
        return ret

    plan = document if is_test else document["plan"]
    has_changes = plan["hasChanges"] if is_test else document["changed"]
    if has_changes and not (is_test and plan["isRefused"]):
        # Berth's own records can be all that changes.
        ret["changes"] = (_planned(plan) if is_test else _done(document)) or {"records": "of Berth"}
    if plan["warnings"]:
        ret["warnings"] = list(plan["warnings"])
    blocked = ["{}: {}".format(what, why) for what, why in _blocked(plan).items()]
    if code == _BLOCKED and plan["isRefused"]:
        ret.update(result=False, comment="Berth refuses the whole plan: {meaning}; {remedy}".format(**plan["refusal"]))
    elif code == _BLOCKED and not allow_blocked:
        ret.update(result=False, comment="blocked: " + "\n".join(blocked))
    elif code not in (0, _BLOCKED) and not (is_test and code == _CHANGES):
        why = [_MEANINGS.get(code, "failed")] + [
            "{}: {}".format(domain["name"], domain["failure"])
            for domain in document["domains"] if domain.get("failure")]
        ret.update(result=False, comment="berth ended with {}: {}".format(code, "\n".join(why + [run["stderr"]])))
    else:
        ret.setdefault("warnings", []).extend("blocked: " + each for each in blocked)
        if is_test and ret["changes"]:
            ret.update(result=None, comment="Devices would change.")
        elif ret["changes"]:
            ret["comment"] = "Devices were changed, and that was proven."
    return ret
