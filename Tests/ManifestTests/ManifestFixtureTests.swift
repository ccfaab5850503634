import Model
import Testing
import XenProtocol

@testable import Manifest

@Suite struct ManifestFixtureTests {
  @Test(arguments: GoldenCase.all("valid"))
  func `a valid manifest declares what is expected`(_ fixture: GoldenCase) throws {
    let loaded = try validateManifests(paths: [fixture.manifest])
    try fixture.expect(
      loaded.hosts.map { "host \($0.host ?? "*")\n\(outline($0.desired))" }.joined()
        + loaded.warnings.map { "\($0)\n" }.joined())
  }

  @Test(arguments: GoldenCase.all("invalid"))
  func `an invalid manifest gets every error`(_ fixture: GoldenCase) throws {
    guard case .invalid(let diagnostics)? = failure(of: [fixture.manifest]) else {
      Issue.record("it was not found invalid")
      return
    }
    try fixture.expect(diagnostics.map { "\($0)\n" }.joined())
  }

  @Test func `there are fixtures of both kinds`() {
    #expect(GoldenCase.all("valid").count >= 5)
    #expect(GoldenCase.all("invalid").count >= 10)
  }
}

/// Returns why manifests are refused; nil if they are not.
func failure(of paths: [String]) -> ManifestFailure? {
  do throws(ManifestFailure) {
    _ = try validateManifests(paths: paths)
    return nil
  } catch {
    return error
  }
}

/// Returns a desired state as lines of text.
func outline(_ desired: DesiredState) -> String {
  var lines = ["  prune \(desired.policy.prune)"]
  if let most = desired.policy.maxRemovals { lines.append("  at most \(most) removals") }
  for domain in desired.domains {
    lines.append("  domain \(domain.name)" + (domain.uuid.map { " \($0)" } ?? ""))
    for device in domain.devices {
      var words = ["    \(device.address)"]
      if let id = device.id { words.append("[\(id)]") }
      if let label = device.label { words.append("(\(label))") }
      if device.options != DeviceOptions() { words.append(device.options.storeText) }
      if let slot = device.options.virtualSlot { words.append("slot \(slot)") }
      if !device.isRequired { words.append("optional") }
      lines.append(words.joined(separator: " "))
    }
    for selection in domain.selections {
      var words = ["    \(selection.selector) (\(selection.label))"]
      if selection.selector.takesAllFunctions { words.append("all functions") }
      if selection.selector.follows { words.append("follow") }
      if selection.options != DeviceOptions() { words.append(selection.options.storeText) }
      if !selection.isRequired { words.append("optional") }
      lines.append(words.joined(separator: " "))
    }
  }
  return lines.joined(separator: "\n") + "\n"
}
