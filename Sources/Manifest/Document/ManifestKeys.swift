import Model

/// Every key of a manifest, defined once. The reader, the JSON Schema and the tests of both use these tables.
enum ManifestKeys {
  // MARK: The document

  static let apiVersion = Key(
    "apiVersion", ValueType<APIVersion>.choice(), "The version of this format.", isRequired: true)
  static let kind = Key("kind", ValueType<DocumentKind>.choice(), "What the document declares.", isRequired: true)
  static let metadata = Key("metadata", .metadata, "The host that the document applies to, and its set.")
  static let spec = Key("spec", .spec, "What is declared.", isRequired: true)
  static let document = [apiVersion.info, kind.info, metadata.info, spec.info]

  // MARK: metadata

  static let hostName = Key(
    "name", ValueType<String>.hostName.located,
    "The host that the document is for; without it, the document is for every host.")
  static let setName = Key(
    "set", ValueType<String>.deviceName.located,
    "The set of manifests that the document belongs to. Berth does not remove what another set owns.")
  static let metadataTable = [hostName.info, setName.info(default: .string(DesiredState.defaultSet))]

  // MARK: spec

  static let policy = Key("policy", .policy, "What may be removed, and what may be taken from the host's drivers.")
  static let definitions = Key(
    "devices", .map("device", key: .deviceName, of: .definition),
    "Names for devices, to be used in the lists of domains.")
  static let domains = Key(
    "domains", .map("domain", key: .domainName, of: .domain),
    "The domains and the devices each should have. The devices of a domain that does not exist yet are pending.")
  static let specTable = [policy.info, definitions.info, domains.info]

  // MARK: policy

  static let prune = Key(
    "prune", ValueType<Policy.Prune>.choice().located,
    "What happens to attached devices that are not declared: nothing (never), those that Berth attached or adopted "
      + "are detached (owned), or all are (all).")
  static let maxRemovals = Key(
    "maxRemovals", ValueType<Int>.integer(0...100_000).located,
    "A plan that detaches or moves more devices than this is refused. Without it, a plan is refused that takes all of "
      + "Berth's devices from a domain that no manifest names.")
  static let hostDrivers = Key(
    "hostDrivers", ValueType<Policy.HostDrivers>.choice().located,
    "Whether a declared device is taken from a driver of dom0 if the host does not need the device (prepare), or is "
      + "blocked (never).")
  static let afterDetach = Key(
    "afterDetach", ValueType<Policy.AfterDetach>.choice().located,
    "What happens to a device that Berth took from its driver, once it is not declared any more: it stays on pciback "
      + "(keep), or is returned to the driver (restore).")
  static let policyTable = [
    prune.info(default: .string(Policy().prune.rawValue)), maxRemovals.info,
    hostDrivers.info(default: .string(Policy().hostDrivers.rawValue)),
    afterDetach.info(default: .string(Policy().afterDetach.rawValue)),
  ]

  // MARK: A named device

  static let definedAddress = Key(
    "address", ValueType<PCIAddress>.address.located,
    "Where the device is expected. Beside other keys: if the device is elsewhere, the plan says so and changes nothing."
  )
  static let identity = Key(
    "id", ValueType<DeviceID>.deviceID.located,
    "What the device must be: vendor and device id, as lspci -n prints them. Another device at the address is left "
      + "alone.")
  static let subsystem = Key("subsystem", .deviceID, "The card's own vendor and device id.")
  static let deviceClass = Key(
    "class", .deviceClass, "The first 2, 4 or 6 digits of the class. It does not identify a device alone.")
  static let revision = Key(
    "revision", .revision, "The revision in hexadecimal. It does not identify a device alone.")
  static let path = Key(
    "path", .path, "The way through the bridges, which stays the same if the firmware gives buses other numbers.")
  static let slot = Key("slot", .slotLabel, "The label of the slot.")
  static let serial = Key("serial", .serial, "The card's serial number of PCI Express.")
  static let macAddress = Key("mac", .mac, "The network card's own hardware address.")
  static let nvmeSerial = Key("nvmeSerial", .nvmeSerial, "The serial number of an NVMe controller.")
  static let definedFunctions = Key(
    "functions", ValueType<Functions>.choice(),
    "Which functions of the slot are meant: all. Without it, only the one that the other keys say.")
  static let follow = Key(
    "follow", .boolean,
    "Whether the device may be taken at another address than the one given, if its serial number or hardware address "
      + "proves that it moved.", default: false)
  static let hideAtBoot = Key(
    "hideAtBoot", .boolean,
    "Whether pciback is to take the device when the host starts, before its own driver can. `berth render boot` prints "
      + "what makes it so.", default: false)
  static let definitionTable = [
    definedAddress.info, identity.info, subsystem.info, deviceClass.info, revision.info, path.info, slot.info,
    serial.info, macAddress.info, nvmeSerial.info, definedFunctions.info, follow.info, hideAtBoot.info,
  ]

  // MARK: A domain

  static let uuid = Key(
    "uuid", ValueType<DomainUUID>.uuid.located,
    "The domain's UUID, which decides which domain is meant. If that domain has another name, or another domain has "
      + "the name, nothing is changed in either.")
  static let domainDevices = Key(
    "devices", .list(of: .assignment), "The devices the domain should have; [] for none.", isRequired: true)
  static let domainTable = [uuid.info, domainDevices.info]

  // MARK: A device in a domain's list

  static let reference = Key("device", .deviceReference, "A name from 'spec.devices', or an address.")
  static let address = Key("address", .address, "The device's address.")
  static let match = Key(
    "match", .match, "Finds the device by its identity instead of its address.", isSupported: false,
    instead: "give the device a name in 'spec.devices', with these keys, and use the name here")
  static let functions = Key(
    "functions", ValueType<Functions>.choice(), "Which functions of the slot: all.", isSupported: false,
    instead: "give the device a name in 'spec.devices', with functions: all, and use the name here")
  /// The options that are read into the device's options one by one. `virtualSlot` is not among them, because its place
  /// in the file is kept.
  static let options = [
    OptionKey(
      "permissive", .boolean,
      "Lets the guest write all of the device's configuration space. Some devices need it; it weakens isolation.",
      \.permissive),
    OptionKey(
      "rdmPolicy", ValueType<RDMPolicy>.choice(),
      "What happens if memory reserved for the device overlaps the guest's, or is another device's too: refuse (strict) "
        + "or continue (relaxed).",
      \.rdmPolicy),
    OptionKey(
      "msiTranslate", .boolean, "Translates message-signalled interrupts for guests that cannot use them.",
      \.msiTranslate),
    OptionKey(
      "powerManagement", .boolean, "Lets the guest change the device's power state.", \.powerManagement),
  ]
  static let virtualSlot = Key(
    "virtualSlot", ValueType<Int>.integer(1...31, hint: slotHint).located,
    "The slot at which the guest sees the device, in decimal; xl's slots are hexadecimal. Without it, Xen chooses.")
  static let isRequired = Key(
    "required", .boolean, "Whether a missing device makes the run fail. If false, it is only shown.",
    default: true)
  static let assignmentTable =
    [reference.info, address.info, identity.info, match.info, functions.info] + options.map(\.info)
    + [virtualSlot.info, isRequired.info]

  // MARK: match

  static let matchAddress = Key("address", .address, "The device's address.")
  static let matchPath = Key("path", .text, "The path to the device through its bridges.")
  static let matchID = Key("id", .deviceID, "Vendor and device id.")
  static let matchSubsystem = Key("subsystem", .deviceID, "The subsystem's vendor and device id.")
  static let matchClass = Key("class", .text, "The kind of device: a name such as usb, or hexadecimal digits.")
  static let matchSerial = Key("serial", .text, "The device's serial number.")
  static let matchMAC = Key("mac", .text, "A network card's address.")
  static let matchTable = [
    matchAddress.info, matchPath.info, matchID.info, matchSubsystem.info, matchClass.info, matchSerial.info,
    matchMAC.info,
  ]
}

/// The versions of the format that Berth reads.
enum APIVersion: String, CaseIterable, Sendable { case v1alpha1 = "berth/v1alpha1" }

/// The kinds of document that Berth reads.
enum DocumentKind: String, CaseIterable, Sendable { case hostAssignments = "HostAssignments" }

/// The functions of a slot that an entry stands for.
enum Functions: String, CaseIterable, Sendable { case all }

/// A key that sets one of a device's options. Its default is libxl's.
struct OptionKey: Sendable {
  let info: KeyInfo
  /// Reads the key into the options; they stay as they are if its value is not valid.
  let read: @Sendable (inout MappingReader, inout DeviceOptions) -> Void

  init<Value>(
    _ name: String, _ type: ValueType<Value>, _ summary: String,
    _ option: any WritableKeyPath<DeviceOptions, Value> & Sendable
  ) {
    let key = Key(name, type, summary, default: DeviceOptions()[keyPath: option])
    info = key.info
    read = { reader, options in
      if let value = reader.value(key) { options[keyPath: option] = value }
    }
  }
}

/// Returns the decimal form of a slot that has hexadecimal letters, as in xl's `@1b`.
private func slotHint(_ text: String) -> String? {
  guard Int(text) == nil, let slot = hexadecimal(text, digits: 1...2), (1...31).contains(slot) else { return nil }
  return "write \(slot): xl's slots are hexadecimal, and a manifest has them in decimal"
}
