import Glibc
import Sandbox
import TestSupport
import Testing

/// Where a sandbox may be. Nothing is written to, or removed from, a directory that is not one.
struct SandboxDirectoryTests {
  private let folder: TemporaryFolder
  private var directory: String { folder.path + "/host" }

  init() throws { folder = try TemporaryFolder() }

  /// Makes the directory as `start` does, without its processes.
  @discardableResult
  private func prepare(_ directory: String? = nil) throws -> SandboxPaths {
    try SandboxController().prepare(
      scenario: Array(Scenarios.laboratory().utf8), scenarioName: "scenario.yaml",
      directory: directory ?? self.directory, store: .c, preload: "/usr/lib/none.so")
  }

  private func stop(_ directory: String? = nil) throws -> [String] {
    var left: [String] = []
    try SandboxController().stop(directory: directory ?? self.directory, removeDirectory: true) { left = $0 }
    return left
  }

  private func mode(_ path: String) -> mode_t {
    var found = stat()
    return unsafe lstat(path, &found) == 0 ? found.st_mode & 0o7777 : 0
  }

  // MARK: What is no sandbox

  /// A directory that is in the way of a sandbox.
  enum Obstacle: String, CaseIterable {
    case checkout, foreignDescription, copiedDescription, olderDescription, directory, pipe, link, danglingLink, wide
  }

  private func plant(_ obstacle: Obstacle) throws {
    try folder.makeFolder("host")
    _ = unsafe chmod(directory, 0o700)
    switch obstacle {
    case .checkout:
      try folder.write("host/.git/HEAD", "ref: refs/heads/main\n")
      try folder.write("host/root/work.txt", "precious")
    case .foreignDescription:
      try folder.write("host/sandbox.json", #"{"name":"my own thing"}"#)
      try folder.write("host/root/work.txt", "precious")
    case .copiedDescription:
      let other = folder.path + "/other"
      try prepare(other)
      try folder.write("host/sandbox.json", try folder.read("other/sandbox.json"))
      try folder.write("host/log/work.txt", "precious")
    case .olderDescription:
      let text =
        #"{"isTracing":false,"preload":"/x","simulatorProcess":1,"store":"c","storeProcess":1,"testEagain":false}"#
      try folder.write("host/sandbox.json", text)
    case .directory: try folder.makeFolder("host/sandbox.json")
    case .pipe: try #require(unsafe mkfifo(directory + "/sandbox.json", 0o600) == 0)
    case .link:
      try prepare(folder.path + "/other")
      try folder.link("host/sandbox.json", to: folder.path + "/other/sandbox.json")
    case .danglingLink: try folder.link("host/sandbox.json", to: folder.path + "/nowhere")
    case .wide:
      try prepare()
      _ = unsafe chmod(directory, 0o755)
    }
  }

  @Test(arguments: Obstacle.allCases)
  func `a directory that holds something else is refused, and nothing in it changes`(_ obstacle: Obstacle) throws {
    try plant(obstacle)
    let before = try TreeSnapshot(of: folder.path)
    let started = #expect(throws: SandboxError.self) { try prepare() }
    #expect(started?.code == .inUse, "\(started?.message ?? "")")
    #expect(started?.message.contains("choose another directory") == true, "\(started?.message ?? "")")
    #expect(throws: SandboxError.self) { try stop() }
    #expect(throws: SandboxError.self) { try SandboxController().status(directory: directory) }
    #expect(try TreeSnapshot(of: folder.path).differences(from: before) == [])
  }

  @Test func `a home directory is refused even if it is empty`() async throws {
    try folder.makeFolder("host")
    let scenario = repositoryRoot + "/examples/sandbox/home.yaml"
    let result = try await Command(
      try builtFile("berth"), ["sandbox", "start", scenario, "--sandbox", directory], environment: ["HOME": directory]
    ).run()
    #expect(result.status == 64, "\(result)")
    #expect(result.errors.contains("is your home directory"), "\(result)")
    #expect(try folder.names(in: "host") == [])
  }

  @Test func `what no sandbox makes is neither removed nor a reason to remove the rest`() throws {
    try prepare()
    try folder.write("host/notes.txt", "mine")
    try folder.write("host/root.old/dev/kmsg", "mine")
    let before = try TreeSnapshot(of: directory)
    let error = #expect(throws: SandboxError.self) { try prepare() }
    #expect(error?.message.contains("'notes.txt'") == true, "\(error?.message ?? "")")
    #expect(try TreeSnapshot(of: directory).differences(from: before) == [])
    #expect(try stop() == ["notes.txt", "root.old"])
    #expect(try folder.names(in: "host") == ["notes.txt", "root.old"])
  }

  // MARK: Its own

  @Test func `an empty directory is closed to others before it is used, and so is all that a sandbox makes`()
    async throws
  {
    try folder.makeFolder("host")
    _ = unsafe chmod(directory, 0o777)
    try prepare()
    #expect(mode(directory) == 0o700)
    for name in try folder.names(in: "host") {
      #expect(mode(directory + "/" + name) & 0o077 == 0, "\(name) is open to others")
    }
    #expect(try stop() == [])
    #expect(!fileExists(directory))
  }

  @Test func `links in a sandbox are removed, and what they name stays`() throws {
    try prepare()
    try folder.write("victim/keep", "keep")
    for name in ["root", "log/simulator.log", "dom-7", "xenstored/socket"] {
      try folder.link("host/" + name, to: folder.path + "/victim")
    }
    let before = try TreeSnapshot(of: folder.path + "/victim")
    try prepare()
    #expect(try folder.names(in: "host") == ["log", "sandbox.json", "scenario.yaml", "xenstored"])
    for name in ["root", "log/simulator.log"] { try folder.link("host/" + name, to: folder.path + "/victim") }
    #expect(try stop() == [])
    #expect(try TreeSnapshot(of: folder.path + "/victim").differences(from: before) == [])
  }

  @Test func `names of any bytes are removed`() throws {
    try prepare()
    let name = Array("\(directory)/log/".utf8CString.dropLast()) + [-1, -2, 10, 0]
    let file = unsafe open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    try #require(file >= 0)
    close(file)
    #expect(try stop() == [])
    #expect(!fileExists(directory))
  }

  // MARK: Other users

  /// A directory of another user: root's, or for root the one of `nobody`.
  private func foreign(_ name: String) throws -> String {
    guard geteuid() == 0 else { return "/usr" }
    try folder.makeFolder(name)
    try #require(unsafe chown(folder.path + "/" + name, 65534, 65534) == 0)
    return folder.path + "/" + name
  }

  @Test func `another user's directory is refused by every command`() throws {
    let foreign = try foreign("theirs")
    if geteuid() == 0 {
      // Even if everything else in it is a sandbox's.
      try prepare()
      for name in ["sandbox.json", "scenario.yaml"] {
        try folder.write("theirs/" + name, try folder.read("host/" + name))
      }
    }
    for body in [
      { _ = try prepare(foreign) }, { _ = try stop(foreign) },
      { _ = try SandboxController().status(directory: foreign) }, { _ = try SandboxDirectory.open(foreign) },
    ] {
      let error = #expect(throws: SandboxError.self, performing: body)
      #expect(error?.code == .notOwned, "\(error?.message ?? "")")
    }
  }

  @Test func `a link of another user, and a directory of another user above, are refused`() throws {
    // Only root can make something that belongs to another user.
    guard geteuid() == 0 else { return }
    try folder.makeFolder("mine")
    try folder.link("link", to: folder.path + "/mine")
    try #require(unsafe lchown(folder.path + "/link", 65534, 65534) == 0)
    let theirs = try foreign("theirs")
    try folder.makeFolder("open")
    _ = unsafe chmod(folder.path + "/open", 0o777)
    for place in [folder.path + "/link/host", folder.path + "/link", theirs + "/host", folder.path + "/open/host"] {
      let error = #expect(throws: SandboxError.self) { try prepare(place) }
      #expect(error?.code == .notOwned, "\(place): \(error?.message ?? "")")
    }
    #expect(try folder.names(in: "mine") == [] && folder.names(in: "theirs") == [] && folder.names(in: "open") == [])
  }

  @Test func `a link of one's own is followed, and the sandbox has the path behind it`() throws {
    try folder.makeFolder("mine")
    try folder.link("link", to: "mine/../mine")
    let paths = try prepare(folder.path + "/link/host")
    #expect(paths.directory.hasSuffix("/mine/host") && fileExists(paths.description))
    #expect(try stop(folder.path + "/link/host") == [])
  }

  // MARK: Clients

  @Test(arguments: ["root/var/lib/berth", "root/var/lib/xen", "root/run/berth", "root/dev", "root", "xenstored"])
  func `a sandbox with a link of its user's is not worked on`(_ name: String) throws {
    try prepare()
    for part in ["root/var/lib/berth", "root/var/lib/xen", "root/run/berth", "root/dev"] {
      try folder.makeFolder("host/" + part)
    }
    let sandbox = try SandboxDirectory.open(directory)
    try SandboxInspection(of: sandbox).requireUntouched()
    try folder.makeFolder("victim")
    #expect(unsafe rename("\(directory)/\(name)", "\(folder.path)/moved") == 0)
    try folder.link("host/" + name, to: folder.path + "/victim")
    let error = #expect(throws: SandboxError.self) { try SandboxInspection(of: sandbox).requireUntouched() }
    #expect(error?.message.contains("\(name) is not what the sandbox made") == true, "\(error?.message ?? "")")
  }

  @Test func `a sandbox whose socket leads to another sandbox gets no requests`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory()) { other in
      try prepare()
      try folder.link("host/hypervisor.sock", to: other.paths.hypervisorSocket)
      let error = #expect(throws: SandboxError.self) {
        try SandboxController().request("destroy pv1", directory: directory)
      }
      #expect(error?.code == .inUse, "\(error?.message ?? "")")
      #expect(try other.status().domains.count == 1)
      #expect(try stop() == [])
      #expect(try other.status().domains.count == 1)
    }
  }

  @Test func `a file with a second name is not worked on`() throws {
    try prepare()
    try folder.makeFolder("host/root/dev")
    try folder.write("victim", "as it was")
    #expect(unsafe Glibc.link(folder.path + "/victim", "\(directory)/root/dev/kmsg") == 0)
    let sandbox = try SandboxDirectory.open(directory)
    #expect(throws: SandboxError.self) { try SandboxInspection(of: sandbox).requireUntouched() }
  }

  // MARK: Processes

  @Test func `only a simulator is ended`() async throws {
    try prepare()
    let program = """
      import fcntl, sys
      f = open(sys.argv[1], "w"); fcntl.lockf(f, fcntl.LOCK_EX); print("locked", flush=True); sys.stdin.read()
      import signal; signal.pause()
      """
    let holder = try Command("/usr/bin/python3", ["-c", program, directory + "/simulator.lock"]).start()
    #expect(holder.collect(until: .now + .seconds(60)) { $0.output == "locked\n" })
    let error = #expect(throws: SandboxError.self) { _ = try stop() }
    #expect(error?.message.contains("process \(holder.pid)") == true, "\(error?.message ?? "")")
    #expect(kill(holder.pid, 0) == 0)
    #expect(throws: SandboxError.self) { try prepare() }
    #expect(fileExists(directory + "/scenario.yaml"))
    #expect(holder.end(SIGTERM) == 128 + SIGTERM, "no other signal has come before")
    #expect(try stop() == [])
  }
}
