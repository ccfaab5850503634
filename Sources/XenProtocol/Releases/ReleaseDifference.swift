/// A behaviour that differs between releases of a program on which Berth relies.
///
/// The sources of each release were read. docs/releases.md is recorded from this table.
package struct ReleaseDifference: Sendable {
  package enum Program: String, Sendable, CaseIterable {
    case xen = "Xen"
    case linux = "Linux"
    case qemu = "QEMU"
  }

  package let program: Program
  /// The first release with the later behaviour, such as `4.18`.
  package let since: String
  package let earlier: String
  package let later: String
  /// What that means for Berth, and for those who use it.
  package let effect: String
  /// The function and file, with the release or commit in which they were read.
  package let source: String

  private init(
    _ program: Program, _ since: String, earlier: String, later: String, effect: String, source: String
  ) {
    self.program = program
    self.since = since
    self.earlier = earlier
    self.later = later
    self.effect = effect
    self.source = source
  }
}

extension XenRelease {
  /// The newest release whose sources were read for the table.
  package static let newestKnown = XenRelease(4, 22)

  /// Whether a domain without `/libxl/<domid>/dm-version` has qemu-traditional
  /// (`libxl__device_model_version_running`, libxl_internal.c). Later releases report an error.
  package var hasTraditional: Bool { self < XenRelease(4, 21) }
}

extension XenVersion {
  /// The version that a sandbox reports, unless its scenario names another one.
  package static let simulated = XenVersion(XenRelease(4, 17), patch: 7)
}

extension ReleaseDifference {
  /// All differences that Berth or its users meet, by program and release.
  package static let all = xen + linux + qemu

  private static let xen = [
    ReleaseDifference(
      .xen, "4.18",
      earlier: "A detach by `xl` revokes ports, memory and interrupt only from PV domains and stub domains.",
      later: "A detach by `xl` revokes them from HVM guests too.",
      effect: "None. Berth revokes what its record names, on every release. A guest whose other device shares the "
        + "interrupt line can lose the line to `xl`.",
      source: "`pci_remove_detached`, libxl_pci.c, 39113a8a23"),
    ReleaseDifference(
      .xen, "4.18",
      earlier: "`XEN_DOMCTL_getdomaininfo` of a number without a domain answers with the next domain.",
      later: "The call fails with ESRCH, and xenstored and libxl no longer compare the number.",
      effect: "None. Berth compares the number. The sandbox follows the release that it was built for.",
      source: "`do_domctl`, xen/common/domctl.c, 31c6554974"),
    ReleaseDifference(
      .xen, "4.18",
      earlier: "A line of xenstored's trace begins with `IN` or `OUT`.",
      later: "The line begins with `io:`. From 4.19 on it also names the connection's domain.",
      effect: "None. Only tests read the trace.", source: "`trace_io`, tools/xenstored/core.c, 1d2355d1c6, 97f8555acb"),
    ReleaseDifference(
      .xen, "4.19",
      earlier: "xenstored makes no folder besides its run directory.",
      later: "At its start it makes /var/lib/xen/xenstore.",
      effect: "None. In a sandbox the folder is made below the sandbox's directory.",
      source: "`early_init`, tools/xenstored/posix.c, e767a98f04"),
    ReleaseDifference(
      .xen, "4.20",
      earlier: "oxenstored asks Xen itself for domains.",
      later: "oxenstored loads a plugin for that, and ends if the plugin is missing.",
      effect: "None. Debian's package has the plugin.", source: "tools/ocaml/xenstored/domains.ml, 52e6db7a8c"),
    ReleaseDifference(
      .xen, "4.20",
      earlier: "A detach by `xl` continues if an interrupt cannot be unmapped.",
      later: "If dom0 has no interrupts of its own, as a PVH dom0, `xl pci-detach` gives up at that point. Entry and "
        + "claim stay, even with `-f`.",
      effect: "The next apply finds the device attached, with rights revoked. Berth supports a PV dom0.",
      source: "`pci_remove_detached`, libxl_pci.c, f97f885c71"),
    ReleaseDifference(
      .xen, "4.20",
      earlier: "libxl starts one QEMU per HVM guest.",
      later:
        "While it builds the guest, libxl first starts a QEMU that it only asks for options. That QEMU has the path "
        + "of the guest's QMP socket.",
      effect: "None. Berth does not ask the QEMU of a domain that is being built.",
      source: "`libxl__spawn_local_dm`, libxl_dm.c, 1817e4c3c5"),
    ReleaseDifference(
      .xen, "4.21",
      earlier: "libxl supports qemu-traditional. An HVM guest without `dm-version` in xenstore has it.",
      later: "qemu-traditional is gone. Without `dm-version`, a guest's device model is unknown.",
      effect: "Berth treats such a guest as the running release does.",
      source: "`libxl__device_model_version_running`, libxl_internal.c, 19ab8356ab"),
    ReleaseDifference(
      .xen, "4.21",
      earlier: "libxl writes its saved configuration with yajl: four blanks per level, a blank after a colon.",
      later:
        "If libxl is built with json-c, it writes two blanks per level, none after a colon, and `\\/` for a slash.",
      effect: "None. Berth reads both forms, and leaves what it does not change as it stands.",
      source: "`libxl__object_to_json`, libxl_json.c, f6c6f2679d"),
    ReleaseDifference(
      .xen, "4.21",
      earlier: "The saved line of all functions of a card has the mask 4294967295.",
      later: "With json-c the mask is -1, which libxl itself refuses to read.",
      effect: "Berth reports corrupt-saved-configuration, and changes nothing in that domain's file.",
      source: "`libxl__int_gen_jso`, `libxl__uint32_parse_json`, libxl_json.c, f6c6f2679d"),
    ReleaseDifference(
      .xen, "4.21",
      earlier: "`xl pci-attach` of a device whose interrupt is 255 or 0x80000000 fails.",
      later: "`xl` maps interrupts from 1 to 254 only, and continues without one.",
      effect: "None. On every release Berth maps no such interrupt.",
      source: "`pci_add_dm_done`, libxl_pci.c, ec9fda045b"),
    ReleaseDifference(
      .xen, "4.21",
      earlier: "xenstored asks Xen about each domain by libxenctrl.",
      later: "xenstored uses libxenmanage, whose hypercall the sandbox does not simulate.",
      effect: "A sandbox cannot run the xenstored of 4.21.", source: "tools/xenstored/domain.c, 42630ceddf"),
    ReleaseDifference(
      .xen, "4.22",
      earlier: "A reboot does not depend on xenstored's quotas.",
      later: "libxl also saves a domain's quotas. If xenstored answers with an error, a reboot by `xl` fails.",
      effect: "None.", source: "`retrieve_domain_configuration_end`, libxl_domain.c, a6f159f92c"),
  ]

  private static let linux = [
    ReleaseDifference(
      .linux, "6.12",
      earlier: "pciback takes a device of a PVH dom0 without telling Xen of the reset.",
      later: "pciback tells Xen, and needs the device's GSI. It does not take the device if either fails.",
      effect: "None with a PV dom0.", source: "`pcistub_init_device`, drivers/xen/xen-pciback/pci_stub.c, 88801d043b1d"),
    ReleaseDifference(
      .linux, "7.0",
      earlier:
        "A kernel writes its state over a 1 that somebody else wrote, and can end a recreated bus with the old one.",
      later: "A kernel does not overwrite a 1 that it did not write.",
      effect: "A recreated bus is not ended with the old one. Berth still looks for that.",
      source: "`__xenbus_switch_state`, drivers/xen/xenbus/xenbus_client.c, e2dcf9065536"),
    ReleaseDifference(
      .linux, "7.0",
      earlier: "A guest does not notice that its front end was removed and made again.",
      later: "The guest notices and connects again: `state reset occurred, reconnecting`.",
      effect:
        "If the guest's front end then stays at 3, an apply reports that the guest did not answer. Recreating such "
        + "a bus was not tried.",
      source: "`xenbus_dev_changed`, drivers/xen/xenbus/xenbus_probe.c, e2dcf9065536"),
  ]

  private static let qemu = [
    ReleaseDifference(
      .qemu, "7.2.3",
      earlier: "A second `device_del` is refused while the guest still has the device.",
      later: "A second `device_del` asks the guest again.",
      effect: "None. Berth asks again and accepts either answer.",
      source: "`acpi_pcihp_device_unplug_request_cb`, hw/acpi/pcihp.c"),
    ReleaseDifference(
      .qemu, "8.2",
      earlier: "QEMU in dom0 reads a domain's first console at once.",
      later: "QEMU reads it only if the console's front end is connected, which no PV domain reports of its first one.",
      effect: "A Linux stub domain that prints more than 2 KiB while it starts stops there. `xl create` then reports "
        + "`startup timed out`. The lab writes the front end's state.",
      source: "`con_event`, hw/char/xen_console.c, 9b77374690"),
    ReleaseDifference(
      .qemu, "8.2",
      earlier: "QEMU in dom0 makes a stub domain's third console without a destination.",
      later: "QEMU does not make that console unless it has a `-serial` of its own for it.",
      effect: "A Linux stub domain waits for the console while it starts. The lab gives QEMU three "
        + "(`device_model_args_pv`).",
      source: "`xen_console_device_create`, hw/char/xen_console.c, 9b77374690"),
    ReleaseDifference(
      .qemu, "9.0",
      earlier: "A command whose sender ends at once may be dropped.", later: "Such a command is executed.",
      effect: "None. After a crash Berth asks QEMU what it has.",
      source: "`update_ioc_handlers`, chardev/char-socket.c, 8bd8b04adc"),
    ReleaseDifference(
      .qemu, "9.1",
      earlier: "In a stub domain QEMU finds a device only at its address in dom0.",
      later: "QEMU also finds it at the address that pciback gave it.",
      effect: "pciback needs no `passthrough=1` for stub domains.",
      source: "`xen_host_pci_fill_local_addr`, hw/xen/xen-host-pci-device.c"),
    ReleaseDifference(
      .qemu, "9.2",
      earlier: "`device_add` accepts a text for a number or a truth value.", later: "`device_add` checks the types.",
      effect: "None. Berth sends the right types.", source: "`qmp_device_add`, system/qdev-monitor.c"),
  ]
}
