import CLinux
import Dispatch
import Glibc
import Synchronization

/// Makes calls that may not return, each on a thread that the caller can leave behind.
///
/// A call into a device of the kernel cannot be given a deadline, and no signal is sure to end it.
final class BoundedCalls: Sendable {
  /// How a call ended.
  enum Outcome<Answer: Sendable>: Sendable {
    case returned(Answer)
    /// The call has not returned. It goes on, and its answer is dropped.
    case timedOut
    /// No thread could be made for the call, for the reason with this error number. The call was not made.
    case notMade(Int32)
  }

  private let limit: AnswerLimit
  private let idle = Mutex<[CallThread]>([])
  /// The number of calls that were left behind and have not returned yet.
  private let overdue = Overdue()

  init(limit: AnswerLimit) { self.limit = limit }

  deinit { idle.withLock { $0 }.forEach { $0.end() } }

  /// Makes a call, and waits for it as long as the limit allows. While an earlier call is overdue, the time is a second:
  /// many calls in a row do not wait the whole time for each answer.
  func make<Answer: Sendable>(_ call: @escaping @Sendable () -> Answer) -> Outcome<Answer> {
    let thread: CallThread
    if let waiting = idle.withLock({ $0.popLast() }) {
      thread = waiting
    } else {
      do throws(CallThread.Failure) { thread = try CallThread.start() } catch { return .notMade(error.errno) }
    }
    let pending = PendingCall<Answer>()
    var deadline = overdue.isNone ? limit.deadline() : limit.shortened.deadline()
    thread.begin { [overdue] in
      if pending.noteReturn(call()) { overdue.remove() }
    }
    if thread.awaitEnd(&deadline), let answer = pending.answer {
      idle.withLock { $0.append(thread) }
      return .returned(answer)
    }
    // The thread ends itself after the call.
    thread.end()
    overdue.add()
    // The call may have returned at this very moment.
    if pending.abandon() { overdue.remove() }
    return .timedOut
  }
}

/// How many calls were left behind.
private final class Overdue: Sendable {
  private let count = Atomic(0)
  var isNone: Bool { count.load(ordering: .relaxed) == 0 }
  func add() { count.add(1, ordering: .relaxed) }
  func remove() { count.subtract(1, ordering: .relaxed) }
}

/// A call that was begun, and its answer.
private final class PendingCall<Answer: Sendable>: Sendable {
  private enum State {
    case running
    case returned(Answer)
    case abandoned
  }
  private let state = Mutex(State.running)

  /// The answer; nil while there is none.
  var answer: Answer? {
    state.withLock { state in
      if case .returned(let answer) = state { answer } else { nil }
    }
  }

  /// Records the answer. Returns whether nobody waits for the answer any more.
  func noteReturn(_ answer: Answer) -> Bool {
    state.withLock { state in
      if case .abandoned = state { return true }
      state = .returned(answer)
      return false
    }
  }

  /// Records that nobody waits any more. Returns whether the answer had come before.
  func abandon() -> Bool {
    state.withLock { state in
      if case .returned = state { return true }
      state = .abandoned
      return false
    }
  }
}

/// A thread that makes one call after the other.
private final class CallThread: Sendable {
  struct Failure: Error { let errno: Int32 }

  private enum Order {
    case call(@Sendable () -> Void)
    case end
  }

  private let orders = Mutex<[Order]>([])
  private let ordered = DispatchSemaphore(value: 0)
  /// An eventfd, readable when the call has returned.
  private let returned: Int32

  private init(returned: Int32) { self.returned = returned }

  deinit { _ = close(returned) }

  /// Starts a thread that waits for its first call.
  static func start() throws(Failure) -> CallThread {
    let descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    guard descriptor >= 0 else { throw Failure(errno: errno) }
    let thread = CallThread(returned: descriptor)
    var attributes = pthread_attr_t()
    _ = unsafe pthread_attr_init(&attributes)
    defer { _ = unsafe pthread_attr_destroy(&attributes) }
    _ = unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    // libxenctrl needs little, and the usual 8 MiB would use up a limit of the address space. If the size is refused, the
    // usual one is taken.
    _ = unsafe pthread_attr_setstacksize(&attributes, 1 << 20)
    // Signals are left to the threads that were there before.
    var (all, before) = (sigset_t(), sigset_t())
    unsafe sigfillset(&all)
    unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
    let reference = unsafe Unmanaged.passRetained(thread)
    var identifier = pthread_t()
    let failure = unsafe pthread_create(
      &identifier, &attributes,
      { reference in
        guard let reference = unsafe reference else { return nil }
        unsafe Unmanaged<CallThread>.fromOpaque(reference).takeRetainedValue().serve()
        return nil
      }, reference.toOpaque())
    guard failure == 0 else {
      unsafe reference.release()
      throw Failure(errno: failure)
    }
    return thread
  }

  /// Lets the thread make a call.
  func begin(_ call: @escaping @Sendable () -> Void) { order(.call(call)) }

  /// Lets the thread end, after the call that it is making.
  func end() { order(.end) }

  /// Waits for the end of the call. Returns false if the deadline has passed.
  func awaitEnd(_ deadline: inout AnswerLimit.Deadline) -> Bool {
    guard deadline.awaitReady(returned, POLLIN) else { return false }
    var count: UInt64 = 0
    _ = unsafe read(returned, &count, MemoryLayout<UInt64>.size)
    return true
  }

  private func order(_ order: Order) {
    orders.withLock { $0.append(order) }
    ordered.signal()
  }

  private func serve() {
    while true {
      ordered.wait()
      switch orders.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) {
      case .call(let call):
        call()
        var one: UInt64 = 1
        _ = unsafe write(returned, &one, MemoryLayout<UInt64>.size)
      case .end, nil: return
      }
    }
  }
}
