import CLinux
import Glibc
import Model

/// Reads files that are given up if the kernel does not answer in time.
///
/// The kernel reads some files of a device under the device's lock, and a driver's `probe` and `remove` run under the
/// same lock. If a driver hangs there, each reader of such a file waits with it, and no signal ends the wait.
///
/// So a process of its own reads all these files of a look, one after the other. A process per file would cost a
/// hundred times as much. A thread that hangs would keep this program from ending. Nothing that is read without a lock
/// shows the hang. If the process stays at one file, another one begins at the next file, and the first one is waited for no
/// longer than `patience`. Several devices that hang take hardly more time than one.
enum BoundedRead {
  /// How long the kernel may take for one file. Every lookup under a lock that is free takes microseconds. A driver
  /// that loads firmware can keep its lock for longer, and then the fact is unknown.
  static let patience = Duration.seconds(5)
  /// How long a process may stay at one file before another process begins at the next one.
  private static let step = Duration.milliseconds(100)

  struct Question: Hashable {
    enum Kind: UInt32 {
      /// The whole file.
      case file = 1
      /// The words of a PCI configuration space by which a function is known (`ConfigurationSpace`).
      case configuration = 2
    }
    let path: String
    let kind: Kind

    /// Makes the question about a file of sysfs.
    init(_ path: String, _ kind: Kind = .file) { (self.path, self.kind) = (path, kind) }
  }

  typealias Answer = Result<[UInt8], SystemFailure>

  /// Returns whether a driver can keep the kernel from reading the file, or from writing it.
  ///
  /// `driver_override` and `sriov_numvfs` are read under the device's lock (`driver_override_show`, Linux
  /// drivers/pci/pci-sysfs.c, 6.1, and up to some 6.12; `sriov_numvfs_show`, drivers/pci/iov.c). The others are read from
  /// the device, for which the kernel waits until the driver has suspended it (`pci_config_pm_runtime_get`), and until its
  /// reset, which calls the driver, is over (`pci_dev_lock`, `pci_wait_cfg`). The files `vendor`, `modalias`,
  /// `resource`, `irq`, `reset_method`, `power_state`, `d3cold_allowed`, `numa_node` and `boot_vga`, and all links, take
  /// no such lock (drivers/pci/pci-sysfs.c and drivers/pci/pci.c, 6.1 and 6.12).
  static func mayHang(_ path: String) -> Bool {
    guard let slash = path.lastIndex(of: "/") else { return false }
    return names.contains(path[path.index(after: slash)...])
  }

  private static let names: Set<Substring> = [
    "driver_override", "sriov_numvfs", "config", "vpd", "secondary_bus_number",
  ]

  /// Returns the answer to one question.
  static func answer(
    to question: Question, patience: Duration = patience
  ) throws(SystemFailure) -> [UInt8] {
    guard let answer = answers(to: [question], patience: patience).first else { throw SystemFailure("read", EIO) }
    return try answer.get()
  }

  /// Returns an answer per question, in their order.
  static func answers(to questions: [Question], patience: Duration = patience) -> [Answer] {
    LeftProcesses.reap()
    var round = Round(questions, patience: patience, step: step)
    round.run()
    LeftProcesses.reap()
    return round.answers.map { $0 ?? .failure(SystemFailure("read", EIO)) }
  }
}

extension SystemFailure {
  private static let silence = "the kernel does not answer: a driver may hang in its remove or its probe"

  /// Makes the failure of a call that the kernel does not answer in time.
  init(_ operation: String, unanswered: Void) { self.init(operation, ETIMEDOUT, oddity: Self.silence) }

  /// Whether the kernel did not answer in time. Then it may still do what was asked.
  var isUnanswered: Bool { errno == ETIMEDOUT && oddity == Self.silence }
}

extension ReadFailure {
  /// Makes the failure to read a file.
  init(_ failure: SystemFailure, _ place: String) {
    self.init(place: place, failure.isUnanswered ? .unanswered : .failed(failure.errno))
  }
}

/// One process that reads.
@safe private final class Reader {
  let process: pid_t
  /// Closed by the process's end.
  let end: Descriptor
  /// The question that the process is at.
  var index: Int
  /// Since when it is there.
  var since = ContinuousClock.now
  private let memory: OpaquePointer
  /// The room for the process's answers. If it does not suffice, another process goes on.
  private static let room = 1 << 20
  /// How many bytes of the answers have been taken.
  private var taken = 0

  /// Whether the process has answered anything.
  var hasAnswered: Bool { taken > 0 }

  init(_ questions: ArraySlice<UInt8>, from index: Int) throws(SystemFailure) {
    guard let memory = unsafe berth_make_answers(Self.room) else { throw SystemFailure("mmap", errno) }
    var ends: [Int32] = [0, 0]
    do throws(SystemFailure) { _ = try retrying("pipe") { unsafe berth_pipe(&ends) } } catch {
      unsafe berth_free_answers(memory)
      throw error
    }
    end = Descriptor(opened: ends[0])
    let other = Descriptor(opened: ends[1])
    process = unsafe questions.withUnsafeBytes { bytes in
      unsafe berth_begin_reads(bytes.baseAddress, bytes.count, UInt32(index), memory, other.number)
    }
    let failure = errno
    unsafe self.memory = memory
    self.index = index
    guard process > 0 else { throw SystemFailure("fork", failure) }
  }

  deinit { unsafe berth_free_answers(memory) }

  /// Returns the answers that have come since the last call.
  func answers() -> [(index: Int, answer: BoundedRead.Answer)] {
    var used = 0
    guard let start = unsafe berth_answers_so_far(memory, &used) else { return [] }
    let bytes = unsafe UnsafeRawBufferPointer(start: start, count: used)
    var found: [(Int, BoundedRead.Answer)] = []
    while taken < used {
      let head = unsafe bytes.loadUnaligned(fromByteOffset: taken, as: berth_answer.self)
      let body = taken + MemoryLayout<berth_answer>.size
      let length = Int(head.length)
      found.append(
        unsafe (
          Int(head.index),
          head.failure == 0
            ? .success(Array(bytes[body..<(body + length)])) : .failure(SystemFailure("read", head.failure))
        ))
      taken = body + (length + 3) & ~3
    }
    if let last = found.last {
      index = last.0 + 1
      since = .now
    }
    return found
  }

  /// Lets the process end after the answer that it is at.
  func answerNoMore() { unsafe berth_answer_no_more(memory) }

  /// Waits for the end of the process, which has closed its files already.
  func reap() { _ = waitpid(process, nil, 0) }

  /// Ends the process, as soon as the kernel lets it.
  func leave() {
    kill(process, SIGKILL)
    LeftProcesses.add(process)
  }
}

/// The reading of some files.
private struct Round {
  private let patience: Duration
  private let step: Duration
  /// The questions as C has them, and where each begins.
  private let text: [UInt8]
  private let beginnings: [Int]
  private(set) var answers: [BoundedRead.Answer?]
  /// The process that reads one file after the other.
  private var lead: Reader?
  /// The processes that stay at one file each.
  private var stuck: [Reader] = []

  init(_ questions: [BoundedRead.Question], patience: Duration, step: Duration) {
    (self.patience, self.step) = (patience, min(step, patience))
    var text: [UInt8] = []
    var beginnings: [Int] = []
    for question in questions {
      beginnings.append(text.count)
      let path = question.path.utf8CString.map { UInt8(bitPattern: $0) }
      let head = berth_question(kind: question.kind.rawValue, length: UInt32(path.count))
      text += unsafe withUnsafeBytes(of: head) { unsafe Array($0) } + path
    }
    (self.text, self.beginnings) = (text, beginnings)
    answers = Array(repeating: nil, count: questions.count)
  }

  mutating func run() {
    begin(at: 0)
    while lead != nil || !stuck.isEmpty {
      let ended = wait()
      if let lead { take(lead.answers()) }
      for reader in stuck { take(reader.answers()) }
      if let reader = lead {
        if ended.contains(reader.process) {
          goOn(after: reader)
        } else if reader.index < answers.count, .now >= reader.since + step {
          reader.answerNoMore()
          stuck.append(reader)
          begin(at: reader.index + 1)
        }
      }
      giveUp(ended)
    }
  }

  /// Begins a process at a question, if there is such a question.
  private mutating func begin(at index: Int) {
    lead = nil
    guard index < answers.count else { return }
    do throws(SystemFailure) {
      lead = try Reader(text[beginnings[index]...], from: index)
    } catch {
      for later in index..<answers.count where answers[later] == nil { answers[later] = .failure(error) }
    }
  }

  /// Returns the processes that have ended, as soon as one has, or one has to be given up.
  private func wait() -> Set<pid_t> {
    let readers = stuck + [lead].compactMap(\.self)
    var next = stuck.map { $0.since + patience }
    if let lead, lead.index < answers.count { next.append(lead.since + step) }
    var entries = readers.map { pollfd(fd: $0.end.number, events: Int16(POLLIN), revents: 0) }
    // At least a millisecond, so that a wait does not become a loop.
    let left = next.min().map { max(.milliseconds(1), $0 - .now) }
    let count = unsafe poll(&entries, nfds_t(entries.count), left.map(BoundedWrite.milliseconds) ?? -1)
    guard count > 0 else { return [] }
    return Set(zip(readers, entries).filter { $0.1.revents != 0 }.map(\.0.process))
  }

  private mutating func take(_ found: [(index: Int, answer: BoundedRead.Answer)]) {
    for (index, answer) in found where answers.indices.contains(index) { answers[index] = answer }
  }

  /// Begins another process if the one that ended has not answered all questions: its memory was full, or somebody ended
  /// it.
  private mutating func goOn(after reader: Reader) {
    reader.reap()
    if reader.hasAnswered || reader.index >= answers.count { return begin(at: reader.index) }
    answers[reader.index] = .failure(SystemFailure("read", EIO))
    begin(at: reader.index + 1)
  }

  /// Forgets the processes that have ended, and those that were waited for long enough.
  private mutating func giveUp(_ ended: Set<pid_t>) {
    stuck.removeAll { reader in
      if ended.contains(reader.process) {
        reader.reap()
        return true
      }
      guard .now >= reader.since + patience else { return false }
      reader.leave()
      // If it got further before it was told to end, another process is at that question, or was.
      if reader.index < answers.count, answers[reader.index] == nil {
        answers[reader.index] = .failure(SystemFailure("read", unanswered: ()))
      }
      return true
    }
  }
}
