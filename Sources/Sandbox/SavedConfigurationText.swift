import Model
import XenProtocol

/// libxl's saved configuration of a simulated domain, in exactly the form that libxl writes.
///
/// It has four blanks per level, an empty line in empty objects, a final newline and a NUL
/// (`libxl__set_domain_configuration`, Xen 4.17, with yajl 2).
enum SavedConfigurationText {
  indirect enum Value {
    case object([(String, Value)])
    case array([Value])
    case text(String)
    case number(UInt64)
    case bool(Bool)
  }

  static func bytes(
    of domain: ScenarioDomain, devices: [SavedDevice]
  ) -> [UInt8] {
    Array((text(configuration(of: domain, devices: devices), depth: 0) + "\n").utf8) + [0]
  }

  private static func configuration(of domain: ScenarioDomain, devices: [SavedDevice]) -> Value {
    let kind = domain.kind == .unknown ? "pv" : domain.kind.rawValue
    var creation: [(String, Value)] = [
      ("type", .text(kind)), ("name", .text(domain.name)), ("domid", .number(4_294_967_295)),
      ("uuid", .text("\(domain.uuid)")), ("run_hotplug_scripts", .text("True")),
    ]
    if domain.hasIOMMU { creation.append(("passthrough", .text("enabled"))) }
    var model: [(String, Value)] = []
    if domain.kind == .hvm, domain.stubDomain != nil || domain.deviceModel != .upstream {
      model.append(("device_model_version", .text(domain.deviceModel.version.rawValue)))
      if domain.stubDomain != nil { model.append(("device_model_stubdomain", .text("True"))) }
    }
    var top: [(String, Value)] = [
      ("c_info", .object(creation)),
      (
        "b_info",
        .object(
          [
            ("max_vcpus", .number(1)), ("avail_vcpus", .array([.number(0)])), ("max_memkb", .number(262_144)),
            ("target_memkb", .number(262_144)), ("video_memkb", .number(0)),
          ] + model + [
            ("sched_params", .object([])), ("claim_mode", .text("True")), ("kernel", .text("/boot/vmlinuz")),
            ("cmdline", .text("console=hvc0")),
            ("type.\(kind)", .object(domain.kind == .hvm ? hvm : [])), ("arch_arm", .object([])),
            ("arch_x86", .object([("msr_relaxed", .text("False"))])),
          ])
      ),
    ]
    if !devices.isEmpty { top.append(("pcidevs", .array(devices.map(element)))) }
    top += [("on_reboot", .text("restart")), ("on_soft_reset", .text("soft_reset"))]
    return .object(top)
  }

  /// The settings that libxl saves for a plain HVM guest.
  private static let hvm: [(String, Value)] = [
    ("vga", .object([("kind", .text("none"))])), ("vnc", .object([])), ("sdl", .object([])), ("spice", .object([])),
    ("usb", .text("False")), ("rdm", .object([])),
  ]

  /// Returns one element of `pcidevs`: keys in libxl's order, without defaults
  /// (`_libxl_types.c:libxl_device_pci_gen_json`).
  private static func element(_ device: SavedDevice) -> Value {
    let address = device.address
    var members: [(String, Value)] = []
    let numbers: [(String, UInt64)] = [
      ("func", UInt64(address.function)), ("dev", UInt64(address.device)), ("bus", UInt64(address.bus)),
      ("domain", UInt64(address.segment)), ("vdevfn", UInt64(device.options.virtualSlot ?? 0) << 3), ("vfunc_mask", 1),
    ]
    for (name, number) in numbers where number != 0 { members.append((name, .number(number))) }
    if device.options.msiTranslate { members.append(("msitranslate", .bool(true))) }
    if device.options.powerManagement { members.append(("power_mgmt", .bool(true))) }
    if device.options.permissive { members.append(("permissive", .bool(true))) }
    members.append(("rdm_policy", .text(device.options.rdmPolicy.rawValue)))
    return .object(members)
  }

  private static func text(_ value: Value, depth: Int) -> String {
    switch value {
    case .text(let text): return jsonString(text)
    case .number(let number): return "\(number)"
    case .bool(let isTrue): return isTrue ? "true" : "false"
    case .array(let values): return block("[", values.map { text($0, depth: depth + 1) }, "]", depth: depth)
    case .object(let members):
      return block("{", members.map { "\"\($0.0)\": " + text($0.1, depth: depth + 1) }, "}", depth: depth)
    }
  }

  private static func block(_ open: String, _ lines: [String], _ close: String, depth: Int) -> String {
    let indent = String(repeating: "    ", count: depth)
    return open + "\n" + lines.map { indent + "    " + $0 }.joined(separator: ",\n") + "\n" + indent + close
  }
}
