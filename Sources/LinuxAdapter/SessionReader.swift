import Glibc
import Model

/// From where people and programs work on a host now: the connections of its ssh servers, and those of the processes that
/// started this one.
///
/// A terminal multiplexer is no child of the server by which a person came. So each server's connections count.
struct SessionReader {
  /// A conversation over TCP, or what is known of it.
  struct Session: Hashable {
    let peer: InternetAddress
    /// The host's own address in it.
    let own: InternetAddress?
  }

  /// What the kernel calls servers of ssh: since OpenSSH 9.8, a session has a program of its own.
  private static let servers: Set<String> = ["dropbear", "sshd", "sshd-auth", "sshd-session"]
  /// The processes above this one. More are a sign that what is read is wrong.
  private static let mostAncestors = 64

  private let root: Root
  private let files = FactFiles()

  init(root: Root) { self.root = root }

  /// Returns the sessions, each once.
  func sessions() throws(ReadFailure) -> [Session] {
    let connections = try root.connections.map { (file) throws(ReadFailure) in try self.connections(file) }
    var sockets: [Substring: Session] = [:]
    for (socket, session) in connections.joined() { sockets[socket] = session }
    let ancestors = root.isThisMachine ? try ancestors() : []
    var result: [Session] = []
    for process in try files.names(root.hostProcesses) where decimal(process) != nil {
      let isAncestor = ancestors.contains(process)
      if !isAncestor, try !isServer(process) { continue }
      let open = try self.sockets(of: process)
      result += open.compactMap { sockets[$0] }
      if isAncestor, let session = try declaredSession(process) { result.append(session) }
    }
    var known: Set<Session> = []
    return result.filter { known.insert($0).inserted }.sorted { $0.peer.text < $1.peer.text }
  }

  // MARK: Connections

  /// Returns the established connections with the numbers of their sockets.
  ///
  /// ` 0: 0A00000A:0016 0B00000A:C35A 01 00000000:00000000 00:00000000 00000000     0        0 18342 …`
  /// (`get_tcp4_sock`, Linux net/ipv4/tcp_ipv4.c, 6.1).
  private func connections(_ file: String) throws(ReadFailure) -> [(Substring, Session)] {
    // A kernel without IPv6 has no such file for it.
    let isOptional = file == root.connections.last
    guard let lines = try files.optionalLines(file) ?? (isOptional ? [] : nil) else {
      throw ReadFailure(place: file, .failed(ENOENT))
    }
    return try lines.dropFirst().map { (line) throws(ReadFailure) -> (Substring, Session)? in
      let words = line.split(separator: " ")
      guard words.count > 9, let own = Self.address(words[1]), let peer = Self.address(words[2]) else {
        throw ReadFailure(place: file, .malformed)
      }
      // TCP_ESTABLISHED (include/net/tcp_states.h).
      return words[3] == "01" ? (words[9], Session(peer: peer, own: own)) : nil
    }.compactMap(\.self)
  }

  /// Reads words of 32 bits in the order of this machine, each as eight digits, and a port.
  private static func address(_ text: Substring) -> InternetAddress? {
    guard let digits = text.split(separator: ":").first.map({ Array($0.utf8) }), digits.count % 8 == 0 else {
      return nil
    }
    var bytes: [UInt8] = []
    for start in stride(from: 0, to: digits.count, by: 8) {
      guard let word = hexadecimal(String(decoding: digits[start..<start + 8], as: UTF8.self), digits: 8...8) else {
        return nil
      }
      bytes += unsafe withUnsafeBytes(of: UInt32(word)) { unsafe Array($0) }
    }
    return InternetAddress(bytes: bytes)
  }

  // MARK: Processes

  private func isServer(_ process: String) throws(ReadFailure) -> Bool {
    // A process may have ended.
    try ifAlive { () throws(ReadFailure) in try files.text("\(root.hostProcesses)/\(process)/comm") }
      .map(Self.servers.contains) ?? false
  }

  /// Returns the numbers of the sockets that a process has open: links such as `socket:[18342]`.
  private func sockets(of process: String) throws(ReadFailure) -> [Substring] {
    let folder = "\(root.hostProcesses)/\(process)/fd"
    var sockets: [Substring] = []
    for name in try ifAlive({ () throws(ReadFailure) in try files.names(folder) }) ?? [] {
      guard let target = try ifAlive({ () throws(ReadFailure) in try files.link("\(folder)/\(name)") }) ?? nil,
        target.hasPrefix("socket:[")
      else { continue }
      sockets.append(target.dropFirst(8).prefix { $0 != "]" })
    }
    return sockets
  }

  /// Returns this process and those above it, up to process 1.
  private func ancestors() throws(ReadFailure) -> Set<String> {
    var ancestors: Set<String> = []
    var process = String(getpid())
    while ancestors.count < Self.mostAncestors, process != "0", process != "1", ancestors.insert(process).inserted {
      // `1234 (a name) S 1200 …` (proc(5), stat). A name may have blanks and parentheses.
      guard
        let stat = try ifAlive({ () throws(ReadFailure) in
          try files.content("\(root.hostProcesses)/\(process)/stat")
        }) ?? nil,
        let end = stat.lastIndex(of: ")")
      else { break }
      let words = stat[stat.index(after: end)...].split(separator: " ")
      guard words.count > 1 else { break }
      process = String(words[1])
    }
    return ancestors
  }

  /// Returns what the ssh server wrote into the environment of a process: `SSH_CONNECTION=10.0.0.9 50010 10.0.0.1 22` (ssh(1)).
  private func declaredSession(_ process: String) throws(ReadFailure) -> Session? {
    let file = "\(root.hostProcesses)/\(process)/environ"
    let text: String?
    do throws(ReadFailure) { text = try files.content(file, atMost: 1 << 20) } catch {
      // Another user's process is above this one. The same words are in this user's own environment, too.
      if error.cause == .failed(EACCES) || error.cause == .failed(EPERM) || error.cause == .failed(ESRCH) { return nil }
      throw error
    }
    guard let line = text?.split(separator: "\0").first(where: { $0.hasPrefix("SSH_CONNECTION=") }) else { return nil }
    let words = line.dropFirst(15).split(separator: " ").map(String.init)
    guard words.count == 4, let peer = InternetAddress(words[0]) else { return nil }
    return Session(peer: peer, own: InternetAddress(words[2]))
  }

  /// Returns nil if the process has ended meanwhile.
  private func ifAlive<Value>(_ body: () throws(ReadFailure) -> Value?) throws(ReadFailure) -> Value? {
    do throws(ReadFailure) { return try body() } catch {
      if error.cause == .failed(ESRCH) { return nil }
      throw error
    }
  }
}
