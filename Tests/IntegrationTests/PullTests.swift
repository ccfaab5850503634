import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// `berth pull` on a sandbox, with real repositories: which commits are accepted.
struct `Pulled commits` {
  @Test func `a pull applies the newest commit, and repairs the host at the same commit`() async throws {
    try await PullTrial.with { host, repository in
      let shown = try await PullTrial.pull(host, repository, "--dry-run", says: "the first one on this host: \"first\"")
      #expect(shown.output.contains("Plan: 1 to attach."), "\(shown)")
      #expect(try await host.status().domain("net").assigned.isEmpty)
      #expect(!FileManager.default.fileExists(atPath: host.folder.path + "/" + PullTrial.record))
      try await PullTrial.pull(host, repository, says: "Applied: 1 attached.")
      #expect(try await host.disagreements(of: "net", expecting: [PullTrial.devices[0]]) == [])
      try await PullTrial.expectUntouched(host) {
        try await PullTrial.pull(host, repository, says: "accepted before")
      }
      // Somebody takes the device away. The commit is no newer, and the device comes back.
      #expect(try await host.berth("apply", try host.manifest(["net": []]), "--yes", "--prune", "all").status == 0)
      #expect(try await host.status().domain("net").assigned.isEmpty)
      try await PullTrial.pull(host, repository, says: "Applied: 1 attached.")
      try await repository.commit("second", ["hosts/test.yaml": PullTrial.manifest(PullTrial.devices)])
      let newer = try await PullTrial.pull(host, repository, says: "new since")
      #expect(newer.output.contains("Applied: 1 attached."), "\(newer)")
      #expect(try await host.disagreements(of: "net", expecting: Set(PullTrial.devices)) == [])
      // A file that the next commit lacks is gone.
      try await repository.git("mv", "hosts/test.yaml", "hosts/other.yaml")
      try await repository.commit("third", ["hosts/other.yaml": PullTrial.manifest([PullTrial.devices[1]])])
      try await PullTrial.pull(host, repository, says: "Applied: 1 detached.")
      #expect(try await host.disagreements(of: "net", expecting: [PullTrial.devices[1]]) == [])
    }
  }

  @Test func `no commit is applied that does not continue the accepted one`() async throws {
    try await PullTrial.with { host, repository in
      let first = try await repository.tip()
      try await repository.commit("second")
      try await PullTrial.pull(host, repository)
      try await PullTrial.expectUntouched(host) {
        try await repository.git("reset", "--quiet", "--hard", first.text)
        try await PullTrial.pull(host, repository, status: 3, says: "does not continue commit")
        try await repository.commit("other second", ["hosts/test.yaml": PullTrial.manifest([])])
        try await PullTrial.pull(host, repository, status: 3, says: "does not continue commit")
        let folder = host.folder
        try FileManager.default.removeItem(atPath: folder.path + "/host/root" + "/var/lib/berth/pull/repository.git")
        // What was fetched before is gone, so the accepted commit is unknown to git.
        try await PullTrial.pull(host, repository, status: 3, says: "does not continue commit")
        try await PullTrial.pull(host, repository, "--accept-new-history", "--dry-run", says: "accepted in place of")
      }
      try await PullTrial.pull(host, repository, "--accept-new-history", says: "accepted in place of")
      try await PullTrial.pull(host, repository, says: "accepted before")
    }
  }

  @Test func `another place is refused until a person accepts it`() async throws {
    try await PullTrial.with { host, repository in
      try await PullTrial.pull(host, repository)
      try await repository.git("branch", "next")
      let other = try await TestRepository(in: host.folder, name: "other")
      try await other.commit("elsewhere", ["hosts/test.yaml": PullTrial.manifest([PullTrial.devices[0]])])
      try await PullTrial.expectUntouched(host) {
        try await PullTrial.pull(host, repository, "--branch", "next", status: 3, says: "is of another place")
        try await PullTrial.pull(host, other, status: 3, says: "is of another place")
      }
      try await PullTrial.pull(host, other, "--accept-new-history", says: "accepted in place of")
      try await PullTrial.pull(host, repository, status: 3, says: "is of another place")
    }
  }

  @Test func `a repository that does not answer, or has nothing, touches nothing`() async throws {
    try await PullTrial.with { host, repository in
      try await PullTrial.pull(host, repository)
      let empty = try await TestRepository(in: host.folder, name: "empty")
      try host.folder.makeFolder("none")
      let new = "--accept-new-history"
      try await PullTrial.expectUntouched(host) {
        try await repository.git("branch", "--move", "main", "trunk")
        try await PullTrial.pull(host, repository, status: 66, says: "has no branch main")
        try await PullTrial.pull(host, empty, new, status: 66, says: "has no branch main")
        for url in ["file://\(host.folder.path)/none", "file://\(host.folder.path)/nowhere"] {
          let answer = try await host.berth("pull", "--from", url, "--branch", "main", new)
          #expect(answer.status == 69 && answer.errors.contains("does not appear to be a git repository"), "\(answer)")
        }
        // Nobody listens at this port of the machine itself.
        for url in ["https://127.0.0.1:9/fleet", "ssh://git@127.0.0.1:9/fleet"] {
          let answer = try await host.berth("pull", "--from", url, "--branch", "main", new)
          #expect(answer.status == 69 && answer.errors.contains("cannot fetch main of \(url)"), "\(answer)")
        }
      }
      try await repository.git("branch", "--move", "trunk", "main")
      try await PullTrial.pull(host, repository, says: "accepted before")
    }
  }

  @Test func `a repository that hangs is given up with all its processes, and a second pull is told`() async throws {
    try await PullTrial.with { host, repository in
      let hanging = try await TestRepository(in: host.folder, name: "hanging")
      let head = hanging.path + "/.git/HEAD"
      #expect(unsafe unlink(head) == 0 && mkfifo(head, 0o600) == 0)
      try await PullTrial.expectUntouched(host) {
        try await PullTrial.pull(
          host, hanging, "--fetch-timeout", "1s", status: 69, says: "has not answered within 1 s")
        try PullTrial.expectEnd(ofProcessesNaming: hanging.path)
        let command = try Command.berth(
          ["--sandbox", host.directory] + PullTrial.words(hanging) + ["--fetch-timeout", "10m"])
        let first = try command.start()
        defer { first.end(SIGKILL) }
        // The first pull has the lock as soon as git runs.
        let deadline = ContinuousClock.now + .seconds(60)
        while try PullTrial.processes(naming: hanging.path).count < 2 {
          try #require(.now < deadline, "git did not start: \(first.errors)")
        }
        try await PullTrial.pull(
          host, repository, status: 75, says: "another pull is at work on this host: process \(first.pid)")
        // A pull that is killed takes git along, and leaves nothing that is in the way.
        kill(first.pid, SIGKILL)
        _ = first.waitForExit()
        try PullTrial.expectEnd(ofProcessesNaming: hanging.path)
      }
      try await PullTrial.pull(host, repository, says: "Applied: 1 attached.")
      #expect(try host.folder.names(in: "host/root/var/lib/berth/pull") == ["accepted.json", "lock", "repository.git"])
    }
  }

  @Test func `the record is written before the apply begins`() async throws {
    try await PullTrial.with(TestScenario.host(["{name: net, domid: 5, answers: never}"])) { host, repository in
      let first = try await repository.tip()
      let second = try await repository.commit("second")
      let command = try Command.berth(
        ["--sandbox", host.directory] + PullTrial.words(repository) + ["--wait-timeout", "10m"])
      let pull = try command.start()
      defer { pull.end(SIGKILL) }
      // The back end wants the guest's answer: the apply is at work.
      try await host.wait(for: "/local/domain/0/backend/pci/5/0/num_devs", toReach: 1)
      #expect(String(decoding: try host.folder.read(PullTrial.record), as: UTF8.self).contains(second.text))
      kill(pull.pid, SIGKILL)
      _ = pull.waitForExit()
      try await repository.git("reset", "--quiet", "--hard", first.text)
      try await PullTrial.pull(host, repository, status: 3, says: "does not continue commit")
    }
  }

  @Test func `a damaged record is no missing one`() async throws {
    try await PullTrial.with { host, repository in
      try await PullTrial.pull(host, repository)
      for text in ["", "{\"version\": 1}", "{\"version\": 9}"] {
        try host.folder.write(PullTrial.record, text)
        try await PullTrial.expectUntouched(host) {
          let status: Int32 = text.contains("9") ? 1 : 3
          try await PullTrial.pull(host, repository, status: status, says: "accepted.json")
          try await PullTrial.pull(host, repository, "--accept-new-history", status: status, says: "accepted.json")
        }
      }
      #expect(unsafe unlink(host.folder.path + "/" + PullTrial.record) == 0)
      try await PullTrial.pull(host, repository, says: "the first one on this host")
    }
  }
}
