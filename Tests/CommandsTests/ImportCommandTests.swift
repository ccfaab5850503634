import Model
import Planning
import Ports
import Synchronization
import Testing

@Suite struct ImportCommandTests {
  @Test func `import says what it can import, and takes one source`() {
    let world = FakeWorld()
    #expect(world.run("import") == 64)
    #expect(world.messages.contains("say what to import: --host, --xl FILE... or --libvirt FILE..."))
    #expect(world.run("import", "--host", "--xl", "a.cfg") == 64)
    #expect(world.run("import", "--xl") == 64)
    #expect(world.state.withLock(\.opened).isEmpty)
  }

  @Test func `a host without devices declares none`() {
    let world = FakeWorld()
    #expect(world.run("import", "--host") == 0)
    #expect(world.output.contains(#"metadata: {name: "host17"}"#) && world.output.contains("domains: {}"))
    #expect(world.messages.isEmpty, "\(world.messages)")
  }

  @Test func `a host that does not answer is an error, and no manifest`() {
    var given = FakeWorld.Given()
    given.observeFailure = HostError.hypervisor(HypervisorError(.unreachable, operation: "xc_interface_open"))
    let world = FakeWorld()
    #expect(world.run(["import", "--host"], given: given) == 69)
    #expect(world.output.isEmpty)
  }

  @Test func `a damaged file of Berth's is named in the manifest`() {
    var given = FakeWorld.Given()
    given.damaged = [
      DamagedFile(.record, .everything, RecordError(.damaged, operation: "read", place: "/var/lib/berth/domains/x"))
    ]
    let world = FakeWorld()
    #expect(world.run(["import", "--host"], given: given) == 0)
    #expect(world.output.contains("# Warning: ") && world.messages.contains("warning"))
  }
}
