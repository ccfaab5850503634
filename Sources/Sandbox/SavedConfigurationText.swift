import Model
import XenProtocol

/// libxl's saved configuration of a simulated domain, in exactly the form that libxl writes.
///
/// It has four blanks per level, an empty line in empty objects, a final newline and a NUL
/// (`libxl__set_domain_configuration`, Xen 4.17, with yajl 2).
enum SavedConfigurationText {
  static func bytes(
    of domain: ScenarioDomain, devices: [SavedDevice]
  ) -> [UInt8] {
    Array((text(configuration(of: domain, devices: devices), depth: 0) + "\n").utf8) + [0]
  }

  private static func configuration(of domain: ScenarioDomain, devices: [SavedDevice]) -> JSONText {
    let kind = domain.kind == .unknown ? "pv" : domain.kind.rawValue
    var creation: [(name: String, value: JSONText)] = [
      ("type", .text(kind)), ("name", .text(domain.name)), ("domid", .integer(4_294_967_295)),
      ("uuid", .text("\(domain.uuid)")), ("run_hotplug_scripts", .text("True")),
    ]
    if domain.hasIOMMU { creation.append(("passthrough", .text("enabled"))) }
    var model: [(name: String, value: JSONText)] = []
    if domain.kind == .hvm, domain.stubDomain != nil || domain.deviceModel != .upstream {
      model.append(("device_model_version", .text(domain.deviceModel.version.rawValue)))
      if domain.stubDomain != nil { model.append(("device_model_stubdomain", .text("True"))) }
    }
    var top: [(name: String, value: JSONText)] = [
      ("c_info", .object(creation)),
      (
        "b_info",
        .object(
          [
            ("max_vcpus", .integer(1)), ("avail_vcpus", .array([.integer(0)])), ("max_memkb", .integer(262_144)),
            ("target_memkb", .integer(262_144)), ("video_memkb", .integer(0)),
          ] + model + [
            ("sched_params", .object([])), ("claim_mode", .text("True")), ("kernel", .text("/boot/vmlinuz")),
            ("cmdline", .text("console=hvc0")),
            ("type.\(kind)", .object(domain.kind == .hvm ? hvm : [])), ("arch_arm", .object([])),
            ("arch_x86", .object([("msr_relaxed", .text("False"))])),
          ])
      ),
    ]
    if !devices.isEmpty { top.append(("pcidevs", .array(devices.map(element)))) }
    top += [("on_reboot", .text("restart"))]
    // A crashed domain stays only if its configuration says so.
    if domain.lifecycle == .crashed { top += [("on_crash", .text("preserve"))] }
    top += [("on_soft_reset", .text("soft_reset"))]
    return .object(top)
  }

  /// The settings that libxl saves for a plain HVM guest.
  private static let hvm: [(name: String, value: JSONText)] = [
    ("vga", .object([("kind", .text("none"))])), ("vnc", .object([])), ("sdl", .object([])), ("spice", .object([])),
    ("usb", .text("False")), ("rdm", .object([])),
  ]

  /// Returns one element of `pcidevs`: keys in libxl's order, without defaults
  /// (`_libxl_types.c:libxl_device_pci_gen_json`).
  private static func element(_ device: SavedDevice) -> JSONText {
    let address = device.address
    var members: [(name: String, value: JSONText)] = []
    let numbers: [(String, UInt64)] = [
      ("func", UInt64(address.function)), ("dev", UInt64(address.device)), ("bus", UInt64(address.bus)),
      ("domain", UInt64(address.segment)), ("vdevfn", UInt64(device.options.virtualSlot ?? 0) << 3), ("vfunc_mask", 1),
    ]
    for (name, number) in numbers where number != 0 { members.append((name, .integer(number))) }
    if device.options.msiTranslate { members.append(("msitranslate", .bool(true))) }
    if device.options.powerManagement { members.append(("power_mgmt", .bool(true))) }
    if device.options.permissive { members.append(("permissive", .bool(true))) }
    members.append(("rdm_policy", .text(device.options.rdmPolicy.rawValue)))
    return .object(members)
  }

  private static func text(_ value: JSONText, depth: Int) -> String {
    switch value {
    case .null, .bool, .number, .text: return value.description
    case .array(let values): return block("[", values.map { text($0, depth: depth + 1) }, "]", depth: depth)
    case .object(let members):
      return block(
        "{", members.map { jsonString($0.name) + ": " + text($0.value, depth: depth + 1) }, "}", depth: depth)
    }
  }

  private static func block(_ open: String, _ lines: [String], _ close: String, depth: Int) -> String {
    let indent = String(repeating: "    ", count: depth)
    return open + "\n" + lines.map { indent + "    " + $0 }.joined(separator: ",\n") + "\n" + indent + close
  }
}
