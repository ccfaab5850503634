import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing
import XenProtocol

/// Lines of libxl's saved configuration that Berth does not understand, and domains that the manifest does not mention.
@Suite struct ForeignSavedLineTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  /// Returns a host with `net` whose saved configuration has `lines`.
  private func makeHost(_ lines: [String]) -> (model: ModelHost, key: DomainKey, run: Run) {
    let model = ModelHost()
    let key = model.addDomain(5, "net")
    for number in 1...2 { model.addDevice(Sample.address(number), interrupt: 17) }
    let text = "{\n    \"c_info\": {\n        \"type\": \"pv\"\n    },\n    \"pcidevs\": [\n        "
    model.setSaved(key, Array((text + lines.joined(separator: ",\n        ") + "\n    ]\n}\n").utf8) + [0])
    return (model, key, Run(model: model))
  }

  private func lines(_ model: ModelHost, _ key: DomainKey) throws -> [String] {
    try SavedConfiguration(try #require(try model.host.userdata.savedConfiguration(of: key))).otherLines.map(\.text)
  }

  /// `Sample.address(1)` is 0000:03:01.0.
  private static let odd = [
    #"{"name": "nic0"}"#, #"{"dev": 1, "bus": 3, "name": "nic0"}"#, #"{"dev": 1, "bus": 3, "vfunc_mask": 4294967295}"#,
    #"{"dev": 1, "bus": 3, "backend_domid": 0}"#,
  ]

  @Test(arguments: odd)
  func `a device is attached and detached beside a line that covers it, and the line stays`(_ line: String) throws {
    let (model, key, run) = makeHost([line])
    model.store[StorePath.libxlName(one).text] = "nic0"
    let wanted = Sample.desired(["net": [one, two]])
    #expect(failures(try run.apply(wanted)).isEmpty)
    // libxl finds a line without an address by no device, so the device gets a line of its own.
    let isNameAlone = !line.contains("bus")
    #expect(model.listed(5) == [one, two] && model.saved(key) == (isNameAlone ? [one, two] : [two]))
    #expect(try lines(model, key) == [line])
    let observation = try Observer(host: model.host).observe(desired: wanted)
    let plan = makePlan(desired: wanted, observation: observation)
    #expect(unrest(plan).isEmpty)
    #expect(makeDriftMatrix(desired: wanted, observation: observation, plan: plan).findings.isEmpty)
    #expect(failures(try run.apply(Sample.desired(["net": []]))).isEmpty)
    #expect(model.listed(5).isEmpty && model.saved(key).isEmpty && model.owner(of: one) == nil)
    #expect(try lines(model, key) == [line])
  }

  @Test(arguments: odd)
  func
    `an attached device that such a line covers is adopted, and gets no second line unless libxl would drop the first`(
      _ line: String
    ) throws
  {
    let (model, key, run) = makeHost([#"{"dev": 2, "bus": 3}"#])
    model.store[StorePath.libxlName(one).text] = "nic0"
    #expect(failures(try run.apply(Sample.desired(["net": [one]]))).isEmpty)
    // As if xl had attached it.
    try model.host.ownership.update(key.uuid) { $0 = nil }
    let text = "{\n    \"pcidevs\": [\n        \(line)\n    ]\n}\n"
    model.setSaved(key, Array(text.utf8) + [0])
    let plan = try run.plan(Sample.desired(["net": [one]]))
    let isNameAlone = !line.contains("bus")
    #expect(plan.steps.map(\.action) == (isNameAlone ? [.adopt, .repair] : [.adopt]))
    #expect(failures(try run.apply(Sample.desired(["net": [one]]))).isEmpty)
    #expect(model.saved(key) == (isNameAlone ? [one] : []) && model.recorded(key) == [one])
    #expect(try lines(model, key) == [line])
  }

  @Test func `a name that no device has covers none`() throws {
    let (model, key, run) = makeHost([#"{"name": "gone"}"#])
    #expect(failures(try run.apply(Sample.desired(["net": [one]]))).isEmpty)
    #expect(model.saved(key) == [one])
    #expect(try lines(model, key) == [#"{"name": "gone"}"#])
  }

  @Test func `a stale line of a domain that the manifest does not mention stays`() throws {
    let (model, key, run) = makeHost([#"{"dev": 1, "bus": 3}"#])
    model.addDomain(6, "other")
    let bytes = try model.host.userdata.savedConfiguration(of: key)
    let wanted = Sample.desired(["other": [two]])
    #expect(failures(try run.apply(wanted)).isEmpty)
    #expect(try model.host.userdata.savedConfiguration(of: key) == bytes)
    let observation = try Observer(host: model.host).observe(desired: wanted)
    let plan = makePlan(desired: wanted, observation: observation)
    #expect(unrest(plan).isEmpty)
    let drift = makeDriftMatrix(desired: wanted, observation: observation, plan: plan).findings
    #expect(drift.map(\.name) == [.configOnly] && drift.first?.outcome.isRepaired == false)
    // If the manifest mentions the domain, the line goes.
    #expect(failures(try run.apply(Sample.desired(["net": [], "other": [two]]))).isEmpty)
    #expect(model.saved(key).isEmpty)
  }

  @Test func `a stale line of a device that Berth owned goes from a domain that the manifest no longer mentions`()
    throws
  {
    let (model, key, run) = makeHost([#"{"dev": 1, "bus": 3}"#])
    model.addDomain(6, "other")
    model.put(OwnershipRecord(uuid: key.uuid, name: "net", devices: [one]))
    #expect(failures(try run.apply(Sample.desired(["other": [two]]))).isEmpty)
    #expect(model.saved(key).isEmpty)
  }
}
