import Model

/// One document as it was declared. It was checked alone, and not yet against the other documents.
struct ManifestDocument: Sendable {
  var mark: SourceMark
  /// The host that the document is for; nil means every host.
  var host: Located<Name>?
  /// The set that the document names.
  var set: Located<String>?
  var spec: DocumentSpec
}

/// The contents of a document's `spec`.
struct DocumentSpec: Sendable {
  /// The location of the `spec` key's value; nil if it could not be read.
  var mark: SourceMark?
  var policy: DocumentPolicy?
  var definitions: [Named<DeviceDefinition>]
  /// Whether a definition could not be read. Then no name can be reported as missing.
  var hasUnreadDefinitions = false
  var domains: [Named<DomainDeclaration>]
  /// Whether the key `domains` is there. Without it, nothing says that a host has no devices.
  var saysDomains = false
}

/// The policy keys that one document gives.
struct DocumentPolicy: Sendable {
  var prune: Located<Policy.Prune>?
  var maxRemovals: Located<Int>?
  var hostDrivers: Located<Policy.HostDrivers>?
  var afterDetach: Located<Policy.AfterDetach>?
}

/// A device with a name.
struct DeviceDefinition: Sendable {
  /// The address; nil if none is given, or if it could not be read. The name is defined nevertheless.
  var address: Located<PCIAddress>?
  var id: Located<DeviceID>?
  /// Whether an id is given, readable or not.
  var saysID = false
  /// All keys; nil if one of them could not be read, or if they identify no device.
  var selector: DeviceSelector?
}

/// A domain and the devices it should have.
struct DomainDeclaration: Sendable {
  var uuid: Located<DomainUUID>?
  var devices: [Assignment]
}

/// A device in a domain's list.
struct Assignment: Sendable {
  var mark: SourceMark
  var reference: DeviceReference
  var id: Located<DeviceID>?
  /// Whether an id is given, readable or not.
  var saysID = false
  var options = DeviceOptions()
  /// The location of the `virtualSlot` key's value.
  var slotMark: SourceMark?
  var isRequired = true
}

/// What a document says of itself.
struct DocumentMetadata: Sendable {
  var host: Located<Name>?
  var set: Located<String>?
}

extension ValueType where Value == DocumentMetadata {
  static var metadata: ValueType {
    .object("The host that the document applies to, and its set.", keys: ManifestKeys.metadataTable) {
      DocumentMetadata(
        host: $0.value(ManifestKeys.hostName).map { Located(Name($0.value), at: $0.mark) },
        set: $0.value(ManifestKeys.setName))
    }
  }
}

extension ValueType where Value == DocumentPolicy {
  static var policy: ValueType {
    .object(
      "What may be removed, and what may be taken from the host's drivers.", keys: ManifestKeys.policyTable
    ) { reader in
      DocumentPolicy(
        prune: reader.value(ManifestKeys.prune), maxRemovals: reader.value(ManifestKeys.maxRemovals),
        hostDrivers: reader.value(ManifestKeys.hostDrivers), afterDetach: reader.value(ManifestKeys.afterDetach))
    }
  }
}

extension ValueType where Value == DocumentSpec {
  static var spec: ValueType {
    .object(
      "What is declared.", keys: ManifestKeys.specTable,
      hints: Dictionary(
        ManifestKeys.policyTable.map { ($0.name, "it belongs in 'policy'") }, uniquingKeysWith: { first, _ in first })
    ) { reader in
      let policy = reader.value(ManifestKeys.policy)
      let definitions = reader.value(ManifestKeys.definitions)
      return DocumentSpec(
        mark: reader.node.mark, policy: policy, definitions: definitions ?? [],
        hasUnreadDefinitions: definitions == nil && reader.has(ManifestKeys.definitions.name),
        domains: reader.value(ManifestKeys.domains) ?? [], saysDomains: reader.has(ManifestKeys.domains.name))
    }
  }
}

extension ValueType where Value == DeviceDefinition {
  static var definition: ValueType {
    let options = DeviceOptions().list.map(\.name) + [ManifestKeys.isRequired.name]
    let hint = "options belong to the device in a domain's list: {device: NAME, permissive: true}"
    let whole = ValueType.object(
      "A device with a name.", keys: ManifestKeys.definitionTable,
      hints: Dictionary(options.map { ($0, hint) }) { first, _ in first },
      also: [
        "anyOf": .array(
          DeviceSelector.Key.identifying.map { .members(["required": .array([.string($0.rawValue)])]) })
      ]
    ) { reader in
      let (address, id) = (reader.value(ManifestKeys.definedAddress), reader.value(ManifestKeys.identity))
      return DeviceDefinition(
        address: address, id: id, saysID: reader.has(ManifestKeys.identity.name),
        selector: DeviceDefinition.selector(&reader, address: address?.value, id: id?.value))
    }
    return ValueType(schema: whole.schema) { node, name, report in
      // The name is defined even if its definition has errors.
      whole.read(node, as: name, report) ?? DeviceDefinition()
    }
  }
}

extension DeviceDefinition {
  /// Reads the keys that say which device is meant; nil if one of them is not valid, or if they identify none.
  fileprivate static func selector(
    _ reader: inout MappingReader, address: PCIAddress?, id: DeviceID?
  ) -> DeviceSelector? {
    var selector = DeviceSelector(address: address, id: id)
    selector.subsystem = reader.value(ManifestKeys.subsystem)
    selector.deviceClass = reader.value(ManifestKeys.deviceClass)
    selector.revision = reader.value(ManifestKeys.revision)
    selector.path = reader.value(ManifestKeys.path)
    selector.slot = reader.value(ManifestKeys.slot)
    selector.serial = reader.value(ManifestKeys.serial)
    selector.mac = reader.value(ManifestKeys.macAddress)
    selector.nvmeSerial = reader.value(ManifestKeys.nvmeSerial)
    selector.takesAllFunctions = reader.value(ManifestKeys.definedFunctions) == .all
    selector.follows = reader.value(ManifestKeys.follow) ?? false
    selector.hidesAtBoot = reader.value(ManifestKeys.hideAtBoot) ?? false
    let keys = DeviceSelector.Key.allCases.map(\.rawValue)
    let given = keys.filter(reader.has)
    let identifying = DeviceSelector.Key.identifying.map(\.rawValue)
    if !given.contains(where: identifying.contains), !reader.isProbablyMisspelt(keys) {
      reader.report.error(
        given.isEmpty
          ? "\(reader.name) does not say which device is meant"
          : "\(reader.name) identifies no device: \(given.joined(separator: " and ")) can be that of many",
        at: reader.node.mark, hint: "add one of \(identifying.joined(separator: ", "))")
      return nil
    }
    if selector.follows, !selector.keys.contains(where: \.movesWithCard) {
      reader.report.warning(
        "'follow' has no effect on \(reader.name): none of its keys goes with the card",
        at: reader.mark(ofValueAt: ManifestKeys.follow.name) ?? reader.node.mark, hint: "add serial, mac or nvmeSerial")
    }
    return selector.keys.count == given.count ? selector : nil
  }
}

extension DeviceSelector.Key {
  /// The keys of which a definition needs one: those of one device, or of one type of device.
  fileprivate static let identifying = allCases.filter { $0.isUnique || $0 == .id || $0 == .subsystem }
}

extension ValueType where Value == DomainDeclaration {
  static var domain: ValueType {
    .object("A domain and the devices it should have.", keys: ManifestKeys.domainTable) { reader in
      DomainDeclaration(
        uuid: reader.value(ManifestKeys.uuid), devices: reader.value(ManifestKeys.domainDevices) ?? [])
    }
  }
}

/// The value of `match`, which is read to report its errors and then refused.
struct Match: Sendable {}

extension ValueType where Value == Match {
  static var match: ValueType {
    .object("The device's identity.", keys: ManifestKeys.matchTable) { reader in
      _ = reader.value(ManifestKeys.matchAddress)
      _ = reader.value(ManifestKeys.matchPath)
      _ = reader.value(ManifestKeys.matchID)
      _ = reader.value(ManifestKeys.matchSubsystem)
      _ = reader.value(ManifestKeys.matchClass)
      _ = reader.value(ManifestKeys.matchSerial)
      _ = reader.value(ManifestKeys.matchMAC)
      return Match()
    }
  }
}

extension ValueType where Value == Assignment {
  /// The type of a list entry: an address or a name alone, or a mapping with options.
  static var assignment: ValueType {
    let alone = ValueType<DeviceReference>.deviceReference
    let full = mapping
    let schema: JSONValue = .members(["anyOf": .array([alone.schema, full.schema])])
    return ValueType(schema: schema) { node, name, report in
      if case .mapping = node.content { return full.read(node, as: name, report) }
      return alone.read(node, as: name, report).map { Assignment(mark: node.mark, reference: $0) }
    }
  }

  private static var mapping: ValueType {
    let one: JSONValue = .array([
      .members(["required": .array([.string("device")])]), .members(["required": .array([.string("address")])]),
    ])
    let named = "it belongs to a name in 'spec.devices'; use that name here"
    return .object(
      "A device with options.", keys: ManifestKeys.assignmentTable,
      hints: [
        "serial": named, "mac": named, "path": named, "slot": named, "nvmeSerial": named, "subsystem": named,
        "name": "use 'device'",
        "bdf": "use 'address'", "vslot": "use 'virtualSlot', in decimal: xl's vslot is hexadecimal",
        "msitranslate": "use 'msiTranslate'", "rdm_policy": "use 'rdmPolicy'", "power_mgmt": "use 'powerManagement'",
      ],
      also: ["oneOf": one]
    ) { reader in
      let reference = place(&reader)
      let slot = reader.value(ManifestKeys.virtualSlot)
      var options = DeviceOptions()
      for option in ManifestKeys.options { option.read(&reader, &options) }
      options.virtualSlot = slot.map { UInt8(clamping: $0.value) }
      _ = reader.value(ManifestKeys.functions)
      let id = reader.value(ManifestKeys.identity)
      let saysID = reader.has(ManifestKeys.identity.name)
      let isRequired = reader.value(ManifestKeys.isRequired) ?? true
      return reference.map {
        Assignment(
          mark: $0.mark, reference: $0.value, id: id, saysID: saysID, options: options, slotMark: slot?.mark,
          isRequired: isRequired)
      }
    }
  }

  /// Reads the one key of three that names the device.
  private static func place(_ reader: inout MappingReader) -> Located<DeviceReference>? {
    let keys = ["device", "address", "match"]
    let given = keys.filter(reader.has)
    let start = reader.node.mark
    if given.isEmpty, !reader.isProbablyMisspelt(keys) {
      reader.report.error(
        "\(reader.name) needs 'device' or 'address'", at: start)
    } else if given.count > 1 {
      reader.report.error(
        "\(reader.name) names its device twice: \(given.map(quoted).joined(separator: " and "))", at: start,
        hint: "keep one of them")
    }
    let reference = reader.value(ManifestKeys.reference)
    let address = reader.value(ManifestKeys.address)
    _ = reader.value(ManifestKeys.match)
    guard given.count == 1 else { return nil }
    let mark = reader.mark(ofValueAt: given[0]) ?? start
    return (reference ?? address.map(DeviceReference.address)).map { Located($0, at: mark) }
  }
}

extension ValueType where Value == ManifestDocument {
  static var document: ValueType {
    let spec = "it belongs in 'spec'"
    let whole = ValueType.object(
      "Declares the PCI devices of the domains of a Xen host.", keys: ManifestKeys.document,
      hints: [
        "policy": spec, "devices": spec, "domains": spec, "name": "it belongs in 'metadata'",
        "host": "write metadata: {name: …}",
      ]
    ) { reader in
      _ = reader.value(ManifestKeys.apiVersion)
      _ = reader.value(ManifestKeys.kind)
      let metadata = reader.value(ManifestKeys.metadata)
      let spec = reader.value(ManifestKeys.spec)
      return ManifestDocument(
        mark: reader.node.mark, host: metadata?.host, set: metadata?.set,
        spec: spec ?? DocumentSpec(definitions: [], domains: []))
    }
    return ValueType(schema: whole.schema) { node, name, report in
      if isForeign(node) {
        if case .mapping(let pairs) = node.content, let kind = pairs.first(where: { $0.key.scalar?.text == "kind" }) {
          _ = ManifestKeys.kind.type.read(kind.value, as: "'kind'", report)
        }
        return nil
      }
      return whole.read(node, as: name, report)
    }
  }

  /// Returns whether the document belongs to another program. Its other keys would only cause needless errors.
  private static func isForeign(_ node: YAMLNode) -> Bool {
    guard case .mapping(let pairs) = node.content,
      let kind = pairs.first(where: { $0.key.scalar?.text == "kind" })?.value.scalar?.text
    else { return false }
    let known = DocumentKind.allCases.map(\.rawValue)
    return !known.contains(kind) && closest(to: kind, among: known) == nil
  }
}
