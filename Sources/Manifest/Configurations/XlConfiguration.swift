package import Model

/// Reads the part of an xl configuration that says what a domain is and which devices it has.
///
/// Returns nil if there is an error, which is reported with its location. What a manifest cannot have becomes a remark.
package func readXlConfiguration(_ source: SourceText, report: Diagnostics) -> ConfiguredDomain? {
  guard let settings = XlReader.settings(in: source, report: report) else { return nil }
  return XlConfiguration(settings: settings, source: source, report: report).domain()
}

private struct XlConfiguration {
  let settings: [String: XlSetting]
  let source: SourceText
  let report: Diagnostics

  func domain() -> ConfiguredDomain? {
    let errors = report.errorCount
    guard let name = text("name") else {
      report.error(hiding: mark(of: "name"), "the domain has no 'name', so xl does not start it", hint: nil)
      return nil
    }
    var domain = ConfiguredDomain(name: Name(name), kind: kind() ?? .unknown, file: source.name)
    if let uuid = text("uuid") {
      domain.uuid = DomainUUID(uuid)
      if domain.uuid == nil {
        report.error(hiding: mark(of: "uuid"), "'uuid' is \(quoted(uuid)), which is no UUID", hint: nil)
      }
    }
    readDevices(into: &domain)
    for key in ["dtdev", "usbctrl", "usbdev", "gfx_passthru"] where settings[key] != nil {
      domain.remarks.append(.otherDevice(key))
    }
    for key in settings.keys.sorted() where key.hasPrefix("pci_") && !Self.known.contains(key) {
      domain.remarks.append(.unknownKey(key))
    }
    return report.errorCount > errors ? nil : domain
  }

  private static let known: Set = ["pci_permissive", "pci_msitranslate", "pci_power_mgmt", "pci_seize"]

  // MARK: Devices

  private func readDevices(into domain: inout ConfiguredDomain) {
    guard let setting = settings["pci"] else { return }
    guard case .list(let entries) = setting.value.content else {
      // xl only warns, and the domain gets no device.
      report.error(
        hiding: setting.mark, "'pci' is not a list, so xl ignores it", hint: "write pci = [ '0000:03:00.0' ]")
      return
    }
    let defaults = DeviceOptions(
      permissive: isSet("pci_permissive", &domain), msiTranslate: isSet("pci_msitranslate", &domain),
      powerManagement: isSet("pci_power_mgmt", &domain))
    let seizes = isSet("pci_seize", &domain)
    if !entries.isEmpty, let policy = text("rdm"), policy.contains("policy") {
      domain.remarks.append(.domainPolicy(policy))
    }
    for entry in entries {
      guard let text = entry.text else {
        report.error(hiding: entry.mark, "an entry of 'pci' is a list, and xl reads no entry behind it", hint: nil)
        return
      }
      do throws(XlDevice.Refusal) {
        let found = try XlDevice(text, defaults: defaults, seizes: seizes)
        guard let place = found.place else {
          domain.remarks.append(.deviceName(found.name ?? "", line: entry.mark.line))
          continue
        }
        var device = ConfiguredDevice(address: place.address, options: found.options, line: entry.mark.line)
        device.takesAllFunctions = place.isWholeSlot
        device.remarks = found.remarks
        domain.devices.append(device)
      } catch {
        report.error(hiding: entry.mark, "xl does not read this entry of 'pci': \(error.message)", hint: nil)
      }
    }
  }

  // MARK: Settings

  private func text(_ key: String) -> String? { settings[key]?.value.text }

  private func mark(of key: String) -> SourceMark { settings[key]?.mark ?? SourceMark(wholeOf: source) }

  /// Returns whether a setting is a number other than 0 (`xlu_cfg_get_long`, libxlu_cfg.c, Xen 4.17).
  private func isSet(_ key: String, _ domain: inout ConfiguredDomain) -> Bool {
    guard let setting = settings[key] else { return false }
    let text = setting.value.text ?? ""
    guard !setting.isAddition, let number = Self.number(text) else {
      domain.remarks.append(.notNumber(key: key, value: text))
      return false
    }
    return number != 0
  }

  /// Reads a number as strtol(3) does without a base; nil if there is more than the number.
  private static func number(_ text: String) -> Int64? {
    let digits = text.drop { $0 == " " || $0 == "\t" || $0 == "\n" }
    let isNegative = digits.first == "-"
    let body = isNegative || digits.first == "+" ? digits.dropFirst() : digits
    let value: Int64? =
      if body.hasPrefix("0x") || body.hasPrefix("0X") {
        Int64(body.dropFirst(2), radix: 16)
      } else if body.hasPrefix("0") {
        Int64(body, radix: 8)
      } else if body.first?.isNumber == true {
        Int64(body)
      } else {
        nil
      }
    return value.map { isNegative ? -$0 : $0 }
  }

  /// Returns the kind of the domain; nil if an error was reported. xl compares as much of a word as the file has
  /// (`parse_config_data`, tools/xl/xl_parse.c, Xen 4.17).
  private func kind() -> DomainKind? {
    var kind: DomainKind?
    if let type = text("type") {
      kind = [("hvm", DomainKind.hvm), ("pv", .pv), ("pvh", .pvh)].first { $0.0.hasPrefix(type) }?.1
      guard kind != nil else { return refuse("type", type) }
    }
    if let builder = text("builder") {
      let other = [("hvm", DomainKind.hvm), ("generic", .pv)].first { $0.0.hasPrefix(builder) }?.1
      guard other != nil else { return refuse("builder", builder) }
      guard kind == nil || kind == other else {
        report.error(hiding: mark(of: "builder"), "'builder' contradicts 'type'", hint: "delete 'builder'")
        return nil
      }
      kind = other
    }
    return kind ?? .pv
  }

  private func refuse(_ key: String, _ value: String) -> DomainKind? {
    report.error(hiding: mark(of: key), "xl knows no \(key) \(quoted(value))", hint: nil)
    return nil
  }
}
