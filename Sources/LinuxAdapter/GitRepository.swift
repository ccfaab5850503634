import FoundationEssentials
import Glibc
import Model
import Ports

/// What git has fetched, in a repository without a work tree. Only objects are read from it, by their numbers.
///
/// A fetch works on a repository of another name, which gets the lasting name only after success. So whatever ends a
/// fetch half-way, the next one begins with a whole repository, or with none.
struct GitRepository: Sendable {
  /// More fetches than this make a pull begin with an empty repository, because each leaves a file behind.
  private static let mostPacks = 50
  /// The most that a listing of a folder may have.
  private static let mostListing = 16 << 20
  /// What this fetch brings. It is not there while a fetch begins: git can end well and have fetched nothing.
  private static let tip = "refs/berth/tip"
  /// What the fetch before brought. It only tells the other side which objects are here.
  private static let base = "refs/berth/base"

  private let folder: String
  let programs: GitPrograms
  /// What only this pull needs: the home of the programs that it starts.
  let scratch: String
  private let fetching: String

  init(folder: String, programs: GitPrograms) {
    (self.folder, self.programs) = (folder, programs)
    let mark = "\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    scratch = folder + "/scratch-" + mark
    fetching = folder + "/fetching-" + mark
  }

  private var kept: String { folder + "/repository.git" }

  // MARK: Fetching

  func fetch(
    _ url: RepositoryURL, _ branch: BranchName, within time: Duration
  ) throws(RepositoryFault) -> CommitID {
    _ = try programs.path(of: "git")
    try sweep()
    try makeScratch()
    var isKept = false
    if canKeep {
      try move(kept, to: fetching)
      isKept = try putTipAside()
    }
    if !isKept {
      for folder in [kept, fetching] { try remove(folder) }
      let made = try programs.git(["init", "--quiet", "--bare", "--template=", "--", fetching], home: scratch)
      guard made.status == 0 else { throw fault(made, "init") }
    }
    do throws(RepositoryFault) {
      let answer = try programs.git(
        [
          "--git-dir=" + fetching, "fetch", "--quiet", "--force", "--no-tags", "--no-recurse-submodules",
          "--no-write-fetch-head", "--no-auto-maintenance", "--end-of-options", url.text,
          "+refs/heads/\(branch.text):\(Self.tip)",
        ], home: scratch, within: time)
      guard answer.status == 0 else { throw fetchFault(answer) }
      let commit = try fetchedTip()
      try move(fetching, to: kept)
      return commit
    } catch {
      // The cause is worth more than a second failure, and the next pull removes the folder, too.
      do throws(RepositoryFault) { try remove(fetching) } catch {}
      throw error
    }
  }

  /// Makes what was fetched before the base of this fetch. Returns whether that is possible: if not, the repository is
  /// damaged, or nothing has been fetched.
  private func putTipAside() throws(RepositoryFault) -> Bool {
    for words in [[Self.base, Self.tip], ["-d", Self.tip]] {
      let answer = try programs.git(["--git-dir=" + fetching, "update-ref", "--no-deref"] + words, home: scratch)
      if answer.status != 0 { return false }
    }
    return true
  }

  /// Returns the commit that the fetch brought.
  private func fetchedTip() throws(RepositoryFault) -> CommitID {
    let found = try programs.git(
      ["--git-dir=" + fetching, "rev-parse", "--quiet", "--verify", "--end-of-options", Self.tip + "^{commit}"],
      home: scratch)
    guard found.status == 0, let commit = CommitID(text: text(found).trimmed) else {
      // git leaves such a branch out without a word (fetch-pack.c: `update_shallow`).
      throw .notFetched("git ended well and brought no commit, as it does if the repository is a shallow clone")
    }
    return commit
  }

  /// Whether a repository is there that can be fetched into. One that has grown too large is fetched again as a whole.
  private var canKeep: Bool {
    do throws(SystemFailure) {
      let packs = try listFolder(kept + "/objects/pack")
      let bytes = packs.reduce(UInt64(0)) { sum, name in
        var found = stat()
        let isThere = unsafe lstat(kept + "/objects/pack/" + name, &found) == 0
        return sum + (isThere ? UInt64(max(0, found.st_size)) : 0)
      }
      return packs.count { $0.hasSuffix(".pack") } <= Self.mostPacks && bytes <= programs.mostFileBytes
    } catch { return false }
  }

  private func fetchFault(_ answer: BoundedProgram.Answer) -> RepositoryFault {
    let messages = answer.messages
    // The words of git 2.39 and 2.47 in its own language (builtin/fetch.c, fetch-pack.c).
    if messages.contains("couldn't find remote ref") { return .noBranch }
    return fault(answer, "fetch")
  }

  // MARK: Reading

  func isAncestor(_ commit: CommitID, of tip: CommitID) throws(RepositoryFault) -> Bool {
    // The whole history of the tip is here, so a commit that is missing is not in it.
    let known = try git(["rev-parse", "--quiet", "--verify", "--end-of-options", commit.text + "^{commit}"], or: [1])
    if known.status == 1 { return false }
    return try git(["merge-base", "--is-ancestor", commit.text, tip.text], or: [1]).status == 0
  }

  func subject(of commit: CommitID) throws(RepositoryFault) -> String {
    do throws(RepositoryFault) {
      return text(
        try git([
          "show", "-s", "--no-notes", "--no-show-signature", "--no-mailmap", "--encoding=UTF-8",
          "--format=%<(100,trunc)%s",
          commit.text,
        ])
      ).trimmed
    } catch {
      // The subject is only shown, so it keeps no commit from being applied.
      if case .tooLarge = error { return "(a subject without end)" }
      throw error
    }
  }

  func entries(of commit: CommitID, in folder: RepositoryFolder) throws(RepositoryFault) -> [RepositoryEntry] {
    guard !folder.text.isEmpty else { return try list(commit.text) }
    // git takes the path as it is, and follows no link in it.
    guard let found = try list(commit.text, below: folder.text).first else { throw .noFolder(.missing) }
    switch found.kind {
    case .folder: return try list(found.object)
    case .link: throw .noFolder(.link)
    case .submodule: throw .noFolder(.submodule)
    case .file: throw .noFolder(.file)
    }
  }

  private func list(_ tree: String, below path: String? = nil) throws(RepositoryFault) -> [RepositoryEntry] {
    let answer = try git(
      ["ls-tree", "-z", "-l", "--full-tree", tree] + (path.map { ["--", $0] } ?? []), mostBytes: Self.mostListing)
    return try answer.output.split(separator: 0).map { (line) throws(RepositoryFault) in
      // `100644 blob 0f1e…      42<tab>name`
      guard let tab = line.firstIndex(of: UInt8(ascii: "\t")) else { throw fault(answer, "ls-tree") }
      let words = line[..<tab].split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
      guard words.count == 4, let kind = Self.kind(words) else { throw fault(answer, "ls-tree") }
      return RepositoryEntry(
        name: String(validating: line[(tab + 1)...], as: UTF8.self), kind: kind, object: words[2])
    }
  }

  private static func kind(_ words: [String]) -> RepositoryEntry.Kind? {
    switch (words[0], words[1]) {
    case ("120000", "blob"): .link
    case ("160000", "commit"): .submodule
    case (_, "tree"): .folder
    case (_, "blob"): Int(words[3]).map { .file(size: $0) }
    default: nil
    }
  }

  func contents(of files: [RepositoryEntry]) throws(RepositoryFault) -> [[UInt8]] {
    if files.isEmpty { return [] }
    let sizes = files.map { entry in if case .file(let size) = entry.kind { size } else { 0 } }
    let answer = try git(
      ["cat-file", "--batch"], input: Array(files.map { $0.object + "\n" }.joined().utf8),
      mostBytes: sizes.reduce(0, +) + files.count * 128)
    var rest = answer.output[...]
    return try zip(files, sizes).map { (file, size) throws(RepositoryFault) in
      let head = Array("\(file.object) blob \(size)\n".utf8)
      guard rest.starts(with: head), rest.count > head.count + size else { throw fault(answer, "cat-file") }
      let content = Array(rest.dropFirst(head.count).prefix(size))
      rest = rest.dropFirst(head.count + size + 1)
      return content
    }
  }

  /// Runs git on what was fetched. Any exit code but 0 and those in `others` is a failure. After a failure nothing that was
  /// fetched is kept.
  func git(
    _ arguments: [String], or others: Set<Int32> = [], input: [UInt8] = [], mostBytes: Int = 64 << 10,
    settings: [String] = []
  ) throws(RepositoryFault) -> BoundedProgram.Answer {
    let answer = try programs.git(
      ["--git-dir=" + kept] + arguments, home: scratch, input: input, mostBytes: mostBytes, settings: settings)
    if answer.status == 0 || others.contains(answer.status) { return answer }
    // The cause is worth more than a second failure. What stays is a base for the next fetch, and never its result.
    do throws(RepositoryFault) { try remove(kept) } catch {}
    throw fault(answer, arguments.first ?? "git")
  }

  private func text(_ answer: BoundedProgram.Answer) -> Substring {
    String(decoding: answer.output, as: UTF8.self)[...]
  }

  private func fault(_ answer: BoundedProgram.Answer, _ command: String) -> RepositoryFault {
    let words = GitPrograms.words(answer.messages)
    // What the other side says of its own disk is not said of this one.
    let own = answer.messages.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("remote:") }
      .joined(separator: "\n")
    if own.contains(ErrorNumber.text(of: ENOSPC)) || own.contains("No space left on device") {
      return .full(folder)
    }
    if own.contains("File too large") { return .tooLarge("it has more than \(programs.mostFileBytes >> 20) MiB") }
    let said = words.isEmpty ? "it ended with status \(answer.status)" : words
    return command == "fetch" ? .notFetched(said) : .failed("git " + command, said)
  }

  // MARK: Folders

  /// Makes the folder of what only this pull needs.
  func makeScratch() throws(RepositoryFault) {
    do throws(SystemFailure) { try makeFolders(scratch) } catch { throw .files(RecordError(error, scratch)) }
  }

  func removeScratch() {
    // The next pull removes it, too.
    do throws(RepositoryFault) { try remove(scratch) } catch {}
  }

  /// Removes what pulls have left behind that were killed.
  private func sweep() throws(RepositoryFault) {
    let names: [String]
    do throws(SystemFailure) { names = try CheckedFile.names(in: folder) } catch {
      throw .files(RecordError(error, folder))
    }
    for name in names where name.hasPrefix("scratch-") || name.hasPrefix("fetching-") {
      // A process of a killed pull may still write into it for a moment. Nothing reads it, whatever stays.
      do throws(RepositoryFault) { try remove(folder + "/" + name) } catch {}
    }
  }

  private func move(_ from: String, to path: String) throws(RepositoryFault) {
    do throws(SystemFailure) { try renameFile(from, path) } catch { throw .files(RecordError(error, path)) }
  }

  /// Removes a folder with all that is in it. Links are not followed.
  private func remove(_ path: String) throws(RepositoryFault) {
    var found = stat()
    guard unsafe lstat(path, &found) == 0 else { return }
    do { try FileManager.default.removeItem(atPath: path) } catch {
      throw .files(RecordError(.other, operation: "remove", place: path, detail: "\(error)"))
    }
  }
}

extension Substring {
  /// The text without blanks and line ends around it.
  fileprivate var trimmed: String {
    var text = self
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text.drop { $0.isWhitespace })
  }
}
