import Model
import Planning
import Rendering
import Synchronization

/// Shows on standard error what an apply is doing: one line that is rewritten on a terminal, plain lines with -v.
final class Progress: Sendable {
  /// Why the run waits on a domain.
  private enum Wait: Equatable {
    /// Another run of Berth.
    case run
    case guest(devices: Int)
    /// The second look, because another toolstack may overwrite an entry.
    case audit
  }

  private struct State {
    /// The present waits, in the order in which they began.
    var waits: [(domain: RunEvent.Domain, wait: Wait)] = []
    var width = 0

    mutating func wait(for domain: RunEvent.Domain, _ wait: Wait) {
      endWait(for: domain)
      waits.append((domain, wait))
    }

    mutating func endWait(for domain: RunEvent.Domain) { waits.removeAll { $0.domain == domain } }
  }

  private let state = Mutex(State())
  private let write: @Sendable (TerminalText) -> Void
  private let style: TextStyle
  private let isTerminal: Bool

  init(context: CommandContext, style: TextStyle) {
    write = context.standardError
    self.style = style
    isTerminal = context.isErrorTerminal
  }

  func report(_ event: RunEvent) {
    state.withLock { state in
      switch event.kind {
      case .runBegan: say("run \(event.run)")
      case .waitingForRun(let domain, let holder, let deadline):
        let run = holder.map { "run \($0)" } ?? "another run"
        state.wait(for: domain, .run)
        say("\(domain.name): waiting for \(run) to end, at most \(Words.seconds(until: deadline)) s")
      case .driverBegan(let step): say("\(step.device): \(DriverWords.words(for: step))")
      case .driverEnded: break
      case .domainBegan(let domain, let steps):
        state.endWait(for: domain)
        say("\(domain.name): working on \(Words.count(steps.count, "device"))")
      case .phase(let phase, let domain, let steps):
        say("\(domain.name): \(Words.count(steps.count, "device")) \(phase.rawValue)")
      case .waiting(let domain, let steps, let deadline):
        state.wait(for: domain, .guest(devices: steps.count))
        say("\(domain.name): waiting for the guest, at most \(Words.seconds(until: deadline)) s")
      case .auditing(let domain, let deadline):
        state.wait(for: domain, .audit)
        let seconds = Words.seconds(until: deadline)
        say("\(domain.name): another toolstack may overwrite an entry, looking again in \(seconds) s")
      case .stepEnded: break
      case .domainEnded(let domain, _):
        state.endWait(for: domain)
        say("\(domain.name): finished")
      case .runEnded: break
      }
      draw(&state)
    }
  }

  /// Erases the line, so that the answer starts at the left.
  func end() {
    state.withLock { state in
      state.waits = []
      draw(&state)
    }
  }

  private func say(_ text: String) {
    if style.isVerbose { write("\(style.printable(text))\n") }
  }

  private func draw(_ state: inout State) {
    guard isTerminal, !style.isVerbose else { return }
    var guests: (names: [Name], devices: Int) = ([], 0)
    var (runs, audits): ([Name], [Name]) = ([], [])
    for (domain, wait) in state.waits {
      switch wait {
      case .guest(let devices): guests = (guests.names + [domain.name], guests.devices + devices)
      case .run: runs.append(domain.name)
      case .audit: audits.append(domain.name)
      }
    }
    var parts: [String] = []
    if !runs.isEmpty { parts.append("waiting for another run on \(Self.names(runs))") }
    if !guests.names.isEmpty {
      parts.append("waiting for \(Self.names(guests.names)), \(Words.count(guests.devices, "device"))")
    }
    if !audits.isEmpty { parts.append("looking again at \(Self.names(audits))") }
    let text = parts.isEmpty ? "" : style.printable(parts.joined(separator: "; ") + " …")
    guard !text.isEmpty || state.width > 0 else { return }
    write("\r\(text.padded(to: state.width))\(text.isEmpty ? "\r" : "" as TerminalText)")
    state.width = text.columns
  }

  /// Returns at most three names, because the line must not wrap.
  private static func names(_ names: [Name]) -> String {
    let shown = names.prefix(names.count <= 3 ? 3 : 2).map { cut(visible($0.text), to: widestName) }
    return shown.joined(separator: ", ") + (names.count <= 3 ? "" : " and \(names.count - 2) more")
  }

  /// The number of columns that a name on the line uses at most.
  private static let widestName = 20
}
