#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: the Berth authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: pci_info
short_description: Show which PCI devices the domains of a Xen host have
version_added: 0.1.0
description:
  - Runs C(berth status) on the managed host, and returns its document.
  - Nothing is changed.
author: The Berth authors (@berth)
options:
  manifest:
    description:
      - Paths of manifests on the managed host. The document then also says which devices they declare.
    type: list
    elements: path
    default: []
    aliases: [manifests]
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
    description: Does the same, because nothing is changed.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
seealso:
  - module: berth.xen.pci_assignments
"""

EXAMPLES = r"""
- name: Ask what the domains have
  berth.xen.pci_info:
  register: host

- name: Stop if the stores of Xen disagree
  ansible.builtin.assert:
    that: host.status.anomalies | length == 0
"""

RETURN = r"""
status:
  description: The document of kind Status, version 1. The page "Output" of Berth describes its keys.
  returned: success
  type: dict
  sample:
    kind: Status
    formatVersion: 1
    host: {name: host17}
    domains: []
rc:
  description: The exit code of Berth.
  returned: always
  type: int
  sample: 0
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.berth.xen.plugins.module_utils import program


def main():
    module = AnsibleModule(
        argument_spec=dict(
            program.common_arguments(),
            manifest=dict(type="list", elements="path", default=[], aliases=["manifests"]),
        ),
        supports_check_mode=True,
    )
    code, document, messages = program.ask(module, "status", [], module.params["manifest"], "Status")
    if document is None or code != 0:
        module.fail_json(msg="%s (%d): %s" % (program.meaning(code), code, messages), rc=code, stderr=messages)
    for warning in document["warnings"]:
        module.warn(warning)
    module.exit_json(changed=False, rc=code, status=document)


if __name__ == "__main__":
    main()
