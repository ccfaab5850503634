import Model
import Planning
import Rendering
import Synchronization

/// Tells on standard error what an apply is doing: one line that is rewritten on a terminal, plain lines with -v.
final class Progress: Sendable {
  private struct State {
    /// Domains that are waited for, and how many devices of each.
    var waiting: [(domain: String, devices: Int, isAudit: Bool)] = []
    var width = 0
  }

  private let state = Mutex(State())
  private let write: @Sendable (String) -> Void
  private let style: TextStyle
  private let isTerminal: Bool

  init(context: CommandContext, style: TextStyle) {
    write = context.standardError
    self.style = style
    isTerminal = context.isErrorTerminal
  }

  func report(_ event: ApplyEvent) {
    state.withLock { state in
      switch event {
      case .waitingForRun(let domain, let holder, let deadline):
        let run = holder.map { "run \($0)" } ?? "another run"
        say("\(domain): waiting for \(run) to end, at most \(Self.seconds(until: deadline)) s")
      case .began(let domain, let devices):
        say("\(domain): working on \(devices) device\(devices == 1 ? "" : "s")")
      case .waiting(let domain, let devices, let deadline):
        state.waiting.removeAll { $0.domain == domain }
        state.waiting.append((domain, devices, false))
        say("\(domain): waiting for the guest, at most \(Self.seconds(until: deadline)) s")
      case .auditing(let domain, let deadline):
        state.waiting.removeAll { $0.domain == domain }
        state.waiting.append((domain, 0, true))
        say("\(domain): another toolstack was at work, looking again in \(Self.seconds(until: deadline)) s")
      case .finished(let outcome):
        state.waiting.removeAll { $0.domain == outcome.name }
        say("\(outcome.name): finished")
      }
      draw(&state)
    }
  }

  /// Takes the line away, so that the answer starts at the left.
  func end() {
    state.withLock { state in
      state.waiting = []
      draw(&state)
    }
  }

  private func say(_ text: String) {
    if style.isVerbose { write(style.printable(text) + "\n") }
  }

  private func draw(_ state: inout State) {
    guard isTerminal, !style.isVerbose else { return }
    let asked = state.waiting.filter { !$0.isAudit }
    let audited = state.waiting.filter(\.isAudit)
    var parts: [String] = []
    if !asked.isEmpty {
      let devices = asked.reduce(0) { $0 + $1.devices }
      parts.append("waiting for \(Self.names(asked.map(\.domain))), \(devices) device\(devices == 1 ? "" : "s")")
    }
    if !audited.isEmpty { parts.append("looking again at \(Self.names(audited.map(\.domain)))") }
    let text = parts.isEmpty ? "" : style.printable(parts.joined(separator: "; ") + " …")
    guard !text.isEmpty || state.width > 0 else { return }
    write("\r" + text + String(repeating: " ", count: max(0, state.width - text.count)) + (text.isEmpty ? "\r" : ""))
    state.width = text.count
  }

  /// At most three names: the line must not wrap.
  private static func names(_ names: [String]) -> String {
    names.count <= 3
      ? names.joined(separator: ", ") : names.prefix(2).joined(separator: ", ") + " and \(names.count - 2) more"
  }

  private static func seconds(until deadline: ContinuousClock.Instant) -> Int64 {
    max(0, (deadline - .now + .milliseconds(500)).components.seconds)
  }
}
