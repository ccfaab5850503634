import Model

/// The QMP replies of a QEMU (monitor/qmp.c and qapi/qmp-dispatch.c, QEMU 7.2).
extension DeviceModelServer {
  static let greeting = JSONText.object([
    (
      "QMP",
      .object([
        (
          "version",
          .object([
            ("qemu", .object([("micro", .integer(22)), ("minor", .integer(2)), ("major", .integer(7))])),
            ("package", .text("Debian 1:7.2+dfsg-7+deb12u18")),
          ])
        ), ("capabilities", .array([.text("oob")])),
      ])
    )
  ])

  /// Executes one message and answers it.
  func answer(_ message: [UInt8], _ client: Client, at now: ContinuousClock.Instant) {
    let request: [(name: String, value: JSONText)]
    do throws(JSONTextReader.Failure) {
      guard case .object(let members) = try JSONTextReader.read(message) else {
        return refuse(QMPFailure(text: "QMP input must be a JSON object"), id: nil, client, nil)
      }
      request = members
    } catch {
      return refuse(QMPFailure(text: error.text), id: nil, client, nil)
    }
    let id = request.last { $0.name == "id" }?.value
    do throws(QMPFailure) {
      let (command, arguments) = try Self.command(request)
      let fault = takeFault(command)
      if fault?.kind == .silent { return }
      if let fault, fault.kind == .refuses {
        return refuse(QMPFailure(text: fault.text ?? "Device is not available"), id: id, client, nil)
      }
      do throws(QMPFailure) {
        let value = try perform(command, arguments, client, at: now)
        say(.object([("return", value)] + (id.map { [("id", $0)] } ?? [])), to: client, fault)
      } catch {
        refuse(error, id: id, client, fault)
      }
    } catch {
      refuse(error, id: id, client, nil)
    }
  }

  /// Returns the command's name and arguments (`qmp_dispatch_check_obj`, qapi/qmp-dispatch.c).
  private static func command(
    _ request: [(name: String, value: JSONText)]
  ) throws(QMPFailure) -> (String, [(name: String, value: JSONText)]) {
    var command: String?
    var arguments: [(name: String, value: JSONText)] = []
    for (name, value) in request {
      switch (name, value) {
      case ("execute", .text(let text)): command = text
      case ("execute", _): throw QMPFailure(text: "QMP input member 'execute' must be a string")
      case ("arguments", .object(let members)): arguments = members
      case ("arguments", _): throw QMPFailure(text: "QMP input member 'arguments' must be an object")
      case ("id", _): continue
      default: throw QMPFailure(text: "QMP input member '\(name)' is unexpected")
      }
    }
    guard let command else { throw QMPFailure(text: "QMP input lacks member 'execute'") }
    return (command, arguments)
  }

  private func perform(
    _ command: String, _ arguments: [(name: String, value: JSONText)], _ client: Client,
    at now: ContinuousClock.Instant
  ) throws(QMPFailure) -> JSONText {
    guard client.isNegotiated || command == "qmp_capabilities" else {
      throw QMPFailure(
        errorClass: "CommandNotFound", text: "Expecting capabilities negotiation with 'qmp_capabilities'")
    }
    switch command {
    case "qmp_capabilities":
      guard !client.isNegotiated else {
        throw QMPFailure(
          errorClass: "CommandNotFound", text: "Capabilities negotiation is already complete, command ignored")
      }
      client.isNegotiated = true
    case "device_add": try machine.add(arguments, find: find)
    case "device_del":
      try machine.remove(arguments, at: now)
      // If the guest releases the device at once, that is reported before the answer.
      step(at: now)
    case "query-pci": return machine.listing
    default:
      throw QMPFailure(errorClass: "CommandNotFound", text: "The command \(command) has not been found")
    }
    return .object([])
  }

  private func refuse(_ failure: QMPFailure, id: JSONText?, _ client: Client, _ fault: DeviceModelFault?) {
    let error = JSONText.object([("class", .text(failure.errorClass)), ("desc", .text(failure.text))])
    say(.object((id.map { [("id", $0)] } ?? []) + [("error", error)]), to: client, fault)
  }

  /// Appends a line, or what a fault leaves of it, to the output for the client.
  func say(_ value: JSONText, to client: Client, _ fault: DeviceModelFault?) {
    let bytes = Array(value.description.utf8)
    switch fault?.kind {
    case .silent: return
    case .hangsUp:
      client.pending += bytes.prefix(bytes.count / 2)
      client.isEnding = true
    case .truncates: client.pending += bytes.prefix(bytes.count / 2) + [0x0D, 0x0A]
    case .refuses, .gone, .crashed, nil: client.pending += bytes + [0x0D, 0x0A]
    }
  }
}
