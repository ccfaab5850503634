import Glibc
import Model
import TestSupport
import Testing

/// What the commands say about a directory that they do not take for a sandbox, and that they leave it as it is.
struct SandboxPlaceTests {
  private let device = Sample.address(0)
  private let scenario = repositoryRoot + "/examples/sandbox/home.yaml"

  @Test(arguments: ["var/lib/berth", "var/lib/xen", "run/berth", "run/xen", "sys/bus/pci/drivers/pciback"])
  func `a host's folder that is a link is not worked on`(_ name: String) async throws {
    try await TestHost.with(TestScenario.host()) { host in
      let manifest = try host.manifest(["net": [device]])
      try host.folder.makeFolder("victim")
      let place = "\(host.directory)/root/\(name)"
      #expect(unsafe rename(place, host.folder.path + "/aside") == 0)
      try host.folder.link("host/root/" + name, to: host.folder.path + "/victim")
      let before = try TreeSnapshot(of: host.folder.path + "/victim")
      for words in [["apply", manifest, "--yes"], ["plan", manifest], ["status"], ["doctor"]] {
        let result = try await host.berth(words)
        #expect(result.status == 64, "\(words): \(result)")
        #expect(result.errors.contains("\(name) is not what the sandbox made"), "\(words): \(result)")
      }
      #expect(try TreeSnapshot(of: host.folder.path + "/victim").differences(from: before) == [])
      #expect(unsafe unlink(place) == 0 && rename(host.folder.path + "/aside", place) == 0)
      #expect(try await host.berth("apply", manifest, "--yes").status == 0)
    }
  }

  @Test func `a device's reset file that is a link is not written`() async throws {
    try await TestHost.with(TestScenario.host()) { host in
      let reset = "host/root/sys/bus/pci/devices/\(device)/reset"
      try host.folder.write("victim", "as it was")
      #expect(unsafe unlink("\(host.folder.path)/\(reset)") == 0)
      try host.folder.link(reset, to: host.folder.path + "/victim")
      let apply = try await host.berth("apply", try host.manifest(["net": [device]]), "--yes")
      #expect(apply.status != 0, "\(apply)")
      #expect(String(decoding: try host.folder.read("victim"), as: UTF8.self) == "as it was")
    }
  }

  @Test func `a stop reports what it leaves`() async throws {
    try await TestHost.with(TestScenario.host()) { host in
      try host.folder.write("host/my notes\u{1B}[31m", "mine")
      let stop = try await host.berth("sandbox", "stop")
      #expect(stop.status == 0 && stop.errors.contains("'my notes\\u{1b}[31m'"), "\(stop)")
      #expect(try host.folder.names(in: "host") == ["my notes\u{1B}[31m"])
      // The test ends the sandbox once more, and needs one for that.
      let refused = try await host.berth("sandbox", "start", scenario)
      #expect(refused.status == 64 && refused.errors.contains("choose another directory"), "\(refused)")
      #expect(unsafe unlink(host.directory + "/my notes\u{1B}[31m") == 0)
      #expect(try await host.berth("sandbox", "start", scenario).status == 0)
    }
  }

  @Test(arguments: ["/", "$HOME", "."])
  func `a directory with a life of its own is refused`(_ place: String) async throws {
    let folder = try TemporaryFolder()
    try folder.write("work/keep", "keep")
    let before = try TreeSnapshot(of: folder.path)
    let berth = try Command.berth(["sandbox"], environment: ["HOME": folder.path + "/work"])
    for words in ["start \(scenario)", "stop"] {
      let script = "cd '\(folder.path)/work' && \"$0\" sandbox \(words) --sandbox \"\(place)\""
      let result = try await Command("/bin/bash", ["-c", script, berth.program], environment: berth.environment).run()
      #expect([64, 69, 77].contains(result.status), "\(words): \(result)")
    }
    #expect(try TreeSnapshot(of: folder.path).differences(from: before) == [])
  }

  @Test func `the simulator is this program's own file, whatever PATH has by its name`() async throws {
    let folder = try TemporaryFolder()
    try folder.write("bin/berth", "#!/bin/sh\ntouch '\(folder.path)/fooled'\n")
    _ = unsafe chmod(folder.path + "/bin/berth", 0o755)
    let berth = try Command.berth(["sandbox"], environment: ["BERTH_SANDBOX": folder.path + "/host"])
    let script = "PATH='\(folder.path)/bin':$PATH; exec -a berth \"$0\" sandbox start '\(scenario)'"
    let start = try await Command("/bin/bash", ["-c", script, berth.program], environment: berth.environment).run()
    #expect(start.status == 0, "\(start)")
    let stop = try await Command(berth.program, ["sandbox", "stop"], environment: berth.environment).run()
    #expect(stop.status == 0, "\(stop)")
    #expect(try folder.names(in: "") == ["bin"])
  }
}
