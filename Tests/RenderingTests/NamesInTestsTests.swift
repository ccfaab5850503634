import FoundationEssentials
import Planning
import TestSupport
import Testing

/// Each name must stand in a test of the planner, the drift matrix or the doctor.
///
/// This does not show that the test produces the name. It finds a name that no test expects.
@Suite struct NamesInTestsTests {
  /// Tests that decide names from observations. The tests of this target are not among them, because most of them show
  /// steps that they make themselves; two of its documents are, because they come from observations.
  private static let folders = ["Tests/PlanningTests", "Tests/ReconcilingTests", "Tests/IntegrationTests"]
  private static let documents = ["everything/drift.json", "everything/doctor.json"]

  @Test func `every name stands in a test`() throws {
    let text = try Self.texts().joined(separator: "\n")
    let used = Set(text.matches(of: /[.]([a-z]\w+)/).map { String($0.1) })
    let literals = text.matches(of: /"[^"\n]*"/).map(\.0)
    let quoted = Set(literals.flatMap { $0.matches(of: /[a-z]+(-[a-z]+)*/).map { String($0.0) } })
    #expect(used.count > 100 && quoted.count > 10)
    let missing = Self.names.filter { !used.contains($0.case) && !quoted.contains($0.raw) }.map(\.raw)
    #expect(missing.isEmpty, "no test has: \(missing.sorted().joined(separator: ", "))")
  }

  private static func texts() throws -> [String] {
    var paths = documents.map { "Tests/RenderingTests/Fixtures/" + $0 }
    for folder in folders {
      let files = try FileManager.default.subpathsOfDirectory(atPath: "\(repositoryRoot)/\(folder)")
      paths += files.filter { $0.hasSuffix(".swift") }.map { "\(folder)/\($0)" }
    }
    return try paths.map { try repositoryFile($0) }
  }

  /// Every name as documents have it, and as sources do.
  private static var names: [(raw: String, case: String)] {
    func pairs<Name: RawRepresentable<String> & CaseIterable>(_ type: Name.Type) -> [(raw: String, case: String)] {
      type.allCases.map { ($0.rawValue, "\($0)") }
    }
    return pairs(ChangeReason.self) + pairs(Obstacle.self) + pairs(Wait.self) + pairs(PlanRefusal.Name.self)
      + pairs(DriftName.self) + pairs(Ailment.self) + pairs(InterlockName.self)
  }
}
