import Model
import Ports
import XenProtocol

@testable import Reconciling

/// The xenstore nodes of one bus.
private struct Nodes {
  static let domain = DomainID(5)
  var values: [String: String] = [:]

  /// Names and values alternate in `words`.
  init(_ words: [String]) {
    let (back, front) = (StorePath.backEnd(Self.domain), StorePath.frontEnd(Self.domain))
    for index in stride(from: 0, to: words.count - 1, by: 2) {
      let path = words[index] == "front" ? front.child("state") : back.child(words[index])
      values[path.text] = words[index + 1]
    }
    if !values.isEmpty, values[back.child("frontend").text] == nil { values[back.child("frontend").text] = front.text }
  }

  func bus(hasFrontEndDriver: Bool, kernelObject: Bool?) -> BackEnd {
    let reader = BusReader(domain: Self.domain, hasFrontEndDriver: hasFrontEndDriver)
    do throws(HostError) {
      return try reader.read(kernelObject: kernelObject) { (path) throws(HostError) in values[path.text] }
    } catch { wrong("nothing here fails") }
  }

  mutating func apply(_ edits: [StoreEdit]) {
    for edit in edits {
      switch edit {
      case .write(let path, let value): values[path.text] = value
      case .remove(let path):
        values = values.filter { $0.key != path.text && !$0.key.hasPrefix(path.text + "/") }
      case .makeDirectory(let path, _): values[path.text] = ""
      }
    }
  }
}

/// Tests changes of a back end with random content. After every decision, libxl and pciback can read the back end, and
/// it has what was asked for.
func changeBus(_ bytes: [UInt8]) {
  guard let choice = bytes.first,
    let wanted = [PCIAddress("0000:03:00.0"), PCIAddress("0000:03:00.1")] as? [PCIAddress]
  else { return }
  let words = bytes.dropFirst().split(separator: 10, omittingEmptySubsequences: false).prefix(200)
    .map { String(decoding: $0, as: UTF8.self) }
  let nodes = Nodes(words)
  let object: Bool? = choice & 1 == 0 ? nil : choice & 2 == 0
  let mode: ChangeMode = choice & 4 == 0 ? .hot : .cold
  let isHeld = choice & 8 != 0
  let bus = nodes.bus(hasFrontEndDriver: !isHeld, kernelObject: object)
  let listed = Set(bus.entries.compactMap(\.device))
  let finished = choice & 16 == 0 ? [] : listed
  let everything = listed.union(wanted)

  let attach = bus.attachDecision(
    wanted.map { NewEntry(device: $0, options: DeviceOptions()) }, named: "guest", mode: mode, finishing: finished,
    exportable: choice & 32 == 0 ? everything : [])
  if case .publish(let edits, let startsRound) = attach {
    var after = nodes
    after.apply(edits)
    let result = after.bus(hasFrontEndDriver: !isHeld, kernelObject: object)
    if case .corrupt(let what) = result.condition { wrong("attached, and \(what)") }
    must(wanted.allSatisfy { result.entry(for: $0) != nil }, "attached, and not listed")
    must(Set(result.entries.compactMap(\.device)).isSubset(of: everything), "a device came from nowhere")
    must(!startsRound || result.state.state == .reconfiguring, "no round was started")
  }

  let leaving = Set(bus.entries.prefix(Int(choice >> 6)).compactMap(\.device))
  switch bus.detachDecision(leaving, mode: mode, finishing: finished, exportable: everything) {
  case .mark(let edits, _):
    var after = nodes
    after.apply(edits)
    let result = after.bus(hasFrontEndDriver: !isHeld, kernelObject: object)
    if case .corrupt(let what) = result.condition { wrong("marked, and \(what)") }
    must(result.entries.hazard(exportable: everything) == nil, "pciback would end the bus")
    for entry in bus.entries where entry.device.map(leaving.contains) == false && !entry.isMarked {
      guard let device = entry.device else { continue }
      let kept = result.entry(for: device)
      must(kept?.virtualAddress == entry.virtualAddress, "another device's address has changed")
      // If no round is under way, requests are hidden from pciback until it has read a mark.
      let requests: [XenbusState?] = isHeld ? [.initialising, .initWait] : []
      let isStillRequest = requests.contains(entry.state.state) && requests.contains(kept?.state.state)
      must(kept?.state == entry.state || isStillRequest, "another device was marked")
    }
  case .dropBus(let edits, _):
    var after = nodes
    after.apply(edits)
    must(after.bus(hasFrontEndDriver: !isHeld, kernelObject: nil).isAbsent, "the bus is still there")
  default: break
  }

  if let compaction = bus.compaction(of: leaving) {
    var after = nodes
    after.apply(compaction.edits)
    let result = after.bus(hasFrontEndDriver: !isHeld, kernelObject: object)
    must(result.entries.compactMap(\.device) == compaction.kept.compactMap(\.device), "a kept entry is missing")
    must(Set(result.entries.map(\.index)) == Set(0..<result.entries.count), "it is not dense")
  }
}
