import ArgumentParser
import Manifest
import Model
import Planning
import Ports
import Rendering

/// `berth pull`: applies the manifests of the newest commit of a branch.
struct PullCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "pull",
    abstract: "Apply the manifests of a branch of a git repository.",
    discussion: """
      Fetches the branch, and refuses its newest commit if it does not continue the last commit that was accepted on this \
      host. If keys are configured, one of them must have signed that commit. Then it does what `berth apply --yes` does \
      with the manifests of the commit, even if the commit is an old one. What changed on the host is repaired so.
      """)

  @OptionGroup var pull: PullOptions
  @OptionGroup var policy: PolicyOptions
  @OptionGroup var waits: WaitOptions
  @OptionGroup var source: LiveHostOnly
  @OptionGroup var global: GlobalOptions

  @Flag(name: .customLong("dry-run"), help: "Only show the plan, and accept nothing.")
  var dryRun = false

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    try source.requireHost("pull")
    let configuration = try pull.resolved(by: self, in: context)
    let keys = try configuration.keys()
    let name = try hostName(in: context)
    let work = try begin(in: context)
    defer { work.end() }
    let accepted = try accepted(by: work, in: context)
    let pulled = try pulled(configuration.source, keys, accepted, by: work, in: context)
    let read = try readFolder(configuration.source, of: pulled, hostName: name, by: work, in: context)
    let loaded = try load(in: context) { () throws(ManifestFailure) in
      try loadManifests(in: read.folder, hostName: name)
    }
    var prepared = try prepare(
      loaded, policy.applied(to: loaded.desired, in: context), requiresRunning: policy.requireRunning, in: context)
    prepared.lock = try compareLock(
      desired: loaded.desired, inventory: prepared.inventory, of: prepared.session, in: context
    ) { () throws(ManifestFailure) -> LoadedLock? in
      guard let lock = read.lock else { return nil }
      return try loadLock(at: lock.path, lock.bytes)
    }
    let carrying = CarryingOut(command: self, prepared: prepared, requiresRunning: policy.requireRunning)
    if dryRun { return try carrying.show(in: context) }
    // Before anything changes: if this run is ended half-way, no older commit may be applied after it.
    if pulled != accepted { try asking(context) { () throws(HostError) in try work.accept(pulled) } }
    return try carrying.apply(isAgreed: true, waits, in: context)
  }

  // MARK: The commit

  private func begin(in context: CommandContext) throws(Failure) -> any OpenPull {
    let port = try context.openPulls(global.sandboxDirectory(in: context))
    do throws(HostError) { return try port.begin() } catch {
      guard case .record(let fault) = error, fault.code == .busy else {
        throw context.failure(for: error, sandbox: global.sandboxDirectory(in: context))
      }
      throw Failure(
        .lockBusy, "another pull is at work on this host" + (fault.holder.map { ": process \($0)" } ?? ""),
        hint: "run again when it has ended")
    }
  }

  private func accepted(by work: any OpenPull, in context: CommandContext) throws(Failure) -> AcceptedCommit? {
    do throws(HostError) { return try work.accepted() } catch {
      guard case .record(let fault) = error, fault.code == .damaged, let file = fault.place else {
        throw context.failure(for: error, sandbox: global.sandboxDirectory(in: context))
      }
      throw Failure(
        .blocked,
        "the record of the last accepted commit \(fault.detail ?? "was not written by Berth, or is damaged"): \(file)",
        hint: "find out why, and remove the file: the next pull then accepts whatever commit the branch has")
    }
  }

  /// Fetches the branch, decides about its newest commit, and says which one it is. Throws if it is refused.
  private func pulled(
    _ source: PullSource, _ keys: SigningKeys?, _ accepted: AcceptedCommit?, by work: any OpenPull,
    in context: CommandContext
  ) throws(Failure) -> AcceptedCommit {
    let mayBeNew = pull.acceptsNewHistory
    let early = PullVerdict.ofSource(source, accepted: accepted, acceptsNewHistory: mayBeNew)
    if let refusal = early?.refusal { throw refusal }
    let tip = try asking(source, in: context) { () throws(RepositoryFault) in
      try work.fetch(source.url, source.branch, within: pull.fetchTimeout.duration)
    }
    let ancestry = try asking(source, in: context) { () throws(RepositoryFault) -> Ancestry in
      guard let accepted, accepted.commit != tip else { return .same }
      return try work.isAncestor(accepted.commit, of: tip) ? .descendant : .other
    }
    let verdict = early ?? PullVerdict(accepted: accepted, ancestry: ancestry, acceptsNewHistory: mayBeNew)
    if let refusal = verdict.refusal(of: tip) { throw refusal }
    let signer = try asking(source, tip, in: context) { () throws(RepositoryFault) -> CommitSigner? in
      guard let keys else { return nil }
      return try work.signer(of: tip, among: keys)
    }
    let subject = try asking(source, in: context) { () throws(RepositoryFault) in try work.subject(of: tip) }
    let style = global.errorStyle(in: context)
    let view = PulledCommit(commit: tip, branch: source.branch, subject: subject, signer: signer, verdict: verdict)
    context.standardError("\(style.printable(view.text))\n")
    return AcceptedCommit(url: source.url, branch: source.branch, commit: tip)
  }

  /// Runs `body`, which asks the repository, and gives its failures their words.
  private func asking<Result>(
    _ source: PullSource, _ tip: CommitID? = nil, in context: CommandContext,
    _ body: () throws(RepositoryFault) -> Result
  ) throws(Failure) -> Result {
    do throws(RepositoryFault) { return try body() } catch {
      throw error.failure(of: source, tip, at: context.place(sandbox: global.sandboxDirectory(in: context)))
    }
  }

  // MARK: Its manifests

  /// Returns the folder of manifests, and the lock of the host that is beside them; nil if there is none.
  ///
  /// Only files are read, and only their contents. So a commit cannot make Berth read or write any file of the host.
  private func readFolder(
    _ source: PullSource, of commit: AcceptedCommit, hostName: String, by work: any OpenPull, in context: CommandContext
  ) throws(Failure) -> (folder: HeldFolder, lock: (path: String, bytes: [UInt8])?) {
    let entries = try asking(source, in: context) { () throws(RepositoryFault) in
      try work.entries(of: commit.commit, in: source.folder)
    }
    var folder = HeldFolder(
      name: source.folder.text.isEmpty ? "of the repository" : source.folder.text, prefix: source.folder.path(of: ""))
    let lockFile = lockName(hostName: hostName)
    var files: [(name: String, entry: RepositoryEntry)] = []
    var bytes = 0
    for entry in entries {
      guard let name = entry.name else {
        throw Failure(
          .invalidManifest, "a file in \(source.place) has a name that is not UTF-8", hint: "give the file another name"
        )
      }
      guard name == lockFile || !folder.takes(name, HeldFolder.Entry(entry.kind)) else { continue }
      guard case .file(let size) = entry.kind else {
        throw Failure(.invalidManifest, "\(source.folder.path(of: name)) is the lock of this host, and is no file")
      }
      guard size <= HeldFolder.mostBytes else {
        folder.add(name, .tooLarge)
        continue
      }
      bytes += size
      files.append((name, entry))
      guard files.count <= HeldFolder.mostManifests + 1, bytes <= HeldFolder.mostBytesInAll else {
        throw Failure(
          .invalidManifest,
          "\(source.place) has more than \(HeldFolder.mostManifests) manifests, or they are too large in all")
      }
    }
    let contents = try asking(source, in: context) { () throws(RepositoryFault) in
      try work.contents(of: files.map(\.entry))
    }
    var lock: (path: String, bytes: [UInt8])?
    for (file, content) in zip(files, contents) {
      if file.name == lockFile {
        lock = (source.folder.path(of: file.name), content)
      } else {
        folder.add(file.name, .file(content))
      }
    }
    return (folder, lock)
  }
}

extension HeldFolder.Entry {
  fileprivate init(_ kind: RepositoryEntry.Kind) {
    switch kind {
    case .file: self = .file
    case .folder: self = .folder
    case .link: self = .other(reason: "is a link, and no link in a repository is followed")
    case .submodule: self = .other(reason: "is a submodule, and no submodule is read")
    }
  }
}
