import FoundationEssentials
import Model
import Planning
import Rendering
import Sandbox
import TestSupport
import Testing

@testable import SandboxCommands

@Suite struct SandboxViewTests {
  private func golden() throws -> String {
    try String(
      contentsOfFile: "\(repositoryRoot)/Tests/SandboxCommandsTests/Fixtures/sandbox-status.json", encoding: .utf8)
  }

  /// The document is the status itself with a head, so that reading the document and writing it gives the same bytes.
  @Test func `a sandbox's status as a document`() throws {
    let text = try golden()
    let view = SandboxView(status: try JSONDecoder().decode(SandboxStatus.self, from: Data(text.utf8)))
    #expect(try render(view, as: .json, style: TextStyle()).description == text)
  }

  @Test(arguments: [(13, 77), (1, 77), (28, 1)] as [(Int32, Int32)])
  func `what the kernel does not permit in a sandbox is 77`(_ number: Int32, _ status: Int32) {
    let failure = #expect(throws: Failure.self) {
      try asSandbox { () throws(SandboxError) in throw SandboxError(.system, "connecting to /box", errno: number) }
    }
    #expect(failure?.status.rawValue == status)
    #expect((failure?.hint != nil) == (status == 77))
  }

  @Test func `the document's schema knows the words of the sandbox`() throws {
    let schema = try #require(try DocumentSchemas().all["SandboxStatus-v1.schema.json"])
    let parts = try #require(schema["$defs"])
    func words(_ schema: JSON?) throws -> Set<String> { Set(try #require(schema?["enum"]?.strings)) }
    #expect(try words(schema["properties"]?["store"]) == Set(StoreKind.allCases.map(\.rawValue)))
    #expect(try words(parts["domain"]?["properties"]?["answers"]) == Set(GuestAnswers.allCases.map(\.rawValue)))
    #expect(
      try words(parts["deviceModel"]?["properties"]?["faults"]?["items"])
        == Set(DeviceModelFault.Kind.allCases.map(\.rawValue)))
  }
}
