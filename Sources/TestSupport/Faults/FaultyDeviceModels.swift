import Model
import Ports
import XenProtocol

struct FaultyDeviceModels: DeviceModelPort {
  let inner: any DeviceModelPort
  let line: FaultLine

  func withDeviceModel<Result>(
    of domain: DomainKey, until deadline: ContinuousClock.Instant,
    _ body: (borrowing any DeviceModelConversation & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result {
    if case .fails(let error) = line.next(.conversation, "\(domain.id)") { throw error }
    return try inner.withDeviceModel(of: domain, until: deadline) { (qemu) throws(HostError) -> Result in
      try lend(
        { (message) throws(HostError) -> [EmulatedDevice] in
          switch message {
          case .list: return try qemu.devices()
          case .add(let device, let slot, let permissive):
            try qemu.add(device, slot: slot, permissive: permissive)
          case .remove(let name): try qemu.remove(name)
          }
          return []
        }, body)
    }
  }

  private func lend<Result>(
    _ perform: (Message) throws(HostError) -> [EmulatedDevice],
    _ body: (borrowing any DeviceModelConversation & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result {
    try withoutActuallyEscaping(perform) { (perform) throws(HostError) -> Result in
      try body(FaultyConversation(line: line, perform: perform))
    }
  }
}

private enum Message {
  case list
  case add(PCIAddress, slot: UInt8?, permissive: Bool)
  case remove(DeviceModelName)
}

private struct FaultyConversation: ~Copyable, DeviceModelConversation {
  let line: FaultLine
  let perform: (Message) throws(HostError) -> [EmulatedDevice]

  init(line: FaultLine, perform: @escaping (Message) throws(HostError) -> [EmulatedDevice]) {
    (self.line, self.perform) = (line, perform)
  }

  private borrowing func say(
    _ request: PortRequest, _ subject: String, lost: [EmulatedDevice]?, _ message: Message
  ) throws(HostError) -> [EmulatedDevice] {
    let perform = perform
    return try line.pass(request, subject, lost: lost) { () throws(HostError) in try perform(message) }
  }

  borrowing func devices() throws(HostError) -> [EmulatedDevice] {
    try say(.devices, "", lost: nil, .list)
  }
  borrowing func add(_ device: PCIAddress, slot: UInt8?, permissive: Bool) throws(HostError) {
    _ = try say(.addDevice, "\(device)", lost: [], .add(device, slot: slot, permissive: permissive))
  }
  borrowing func remove(_ name: DeviceModelName) throws(HostError) {
    _ = try say(.removeDevice, "\(name)", lost: [], .remove(name))
  }
}
