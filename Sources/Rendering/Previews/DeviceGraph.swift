package import Model
import Planning

/// What manifests declare, as a diagram of Mermaid: hosts with their domains, and the devices of each.
///
/// The same manifests give the same text. Names of nodes are numbers in it, so that no text from outside is one.
package struct DeviceGraph: Sendable {
  /// One host. Its name is nil for each host that no document names.
  package struct Host: Sendable {
    let name: String?
    let state: DesiredState

    package init(name: String?, state: DesiredState) { (self.name, self.state) = (name, state) }
  }

  /// How many lines between nodes, and how many characters, Mermaid draws (`maxEdges` and `maxTextSize` of its
  /// configuration, Mermaid 11).
  package static let mostEdges = 500
  package static let longest = 50_000

  private let hosts: [Host]

  package init(hosts: [Host]) { self.hosts = hosts }

  /// The number of lines between domains and devices.
  package var edgeCount: Int {
    hosts.reduce(0) { $0 + $1.state.domains.reduce(0) { $0 + Self.devices(of: $1).count } }
  }

  /// The diagram, ended by a newline.
  package var text: TerminalText { mermaid.output }

  /// The diagram as a block of code in Markdown, as GitHub and GitLab draw it.
  package var markdown: TerminalText { "```mermaid\n\(mermaid.output)```\n" }

  /// The number of characters of the diagram.
  package var length: Int { mermaid.length }

  private var mermaid: MermaidText {
    var text: MermaidText = "flowchart LR\n"
    for (number, host) in hosts.enumerated() {
      let name = host.name ?? (hosts.count == 1 ? "every host" : "any other host")
      text += "  subgraph h\(number + 1)[\"\(Self.bounded(name))\"]\n"
      text += Self.nodes(of: host.state, "h\(number + 1)")
      text += "  end\n"
    }
    return text
  }

  /// Returns a text from outside that is not too long for a node.
  fileprivate static func bounded(_ outside: String) -> String { Model.cut(visible(outside), to: 100) }

  private static func nodes(of state: DesiredState, _ host: MermaidText) -> MermaidText {
    let cards = Dictionary(grouping: state.domains.flatMap(devices), by: \.card)
    var text: MermaidText = ""
    for (number, domain) in state.domains.enumerated() {
      text += "    \(host)d\(number + 1)[\"\(bounded(domain.name.text))\"]\n"
    }
    let order = cards.keys.sorted()
    var names: [GraphDevice.Card: MermaidText] = [:]
    for (number, card) in order.enumerated() {
      let name: MermaidText = "\(host)c\(number + 1)"
      names[card] = name
      let lines = Set(cards[card] ?? []).sorted {
        ($0.address?.sbdf ?? 0, $0.title) < ($1.address?.sbdf ?? 0, $1.title)
      }
      text += "    \(name)(\"\(lines.map(\.lines).joined("<br>"))\")\n"
    }
    for (number, domain) in state.domains.enumerated() {
      // A card is drawn once, and each domain has one line to it.
      let own = Dictionary(grouping: devices(of: domain), by: \.card)
      for card in own.keys.sorted() {
        let devices = own[card] ?? []
        let isShared = Set((cards[card] ?? []).map(\.domain)).count > 1
        let words = devices.flatMap { $0.words(isShared: isShared) }
        let label: MermaidText =
          words.isEmpty ? "" : "|\"\(words.map { MermaidText(bounded($0)) }.joined("<br>"))\"|"
        text += "    \(host)d\(number + 1) -->\(label) \(names[card] ?? "")\n"
      }
    }
    return text
  }

  private static func devices(of domain: DesiredDomain) -> [GraphDevice] {
    domain.devices.map { GraphDevice($0, of: domain.name) } + domain.selections.map { GraphDevice($0, of: domain.name) }
  }
}

/// One device that a domain declares.
private struct GraphDevice: Hashable {
  /// What a node stands for: a slot with its functions, or a device whose address no manifest says.
  enum Card: Hashable, Comparable {
    case slot(UInt32)
    case named(Name)
  }

  let domain: Name
  let card: Card
  let address: PCIAddress?
  /// The name in the manifest, and where the device is.
  let title: String
  let facts: [String]
  let options: DeviceOptions
  let isRequired: Bool

  init(_ device: DesiredDevice, of domain: Name) {
    self.domain = domain
    card = .slot(device.address.sbdf & ~7)
    address = device.address
    title = [device.label, device.address.description].compactMap(\.self).joined(separator: " ")
    facts = [device.id?.description].compactMap(\.self)
    options = device.options
    isRequired = device.isRequired
  }

  init(_ selection: DeviceSelection, of domain: Name) {
    let selector = selection.selector
    self.domain = domain
    card = selector.address.map { .slot($0.sbdf & ~7) } ?? .named(Name(selection.label))
    address = selector.address
    title = [selection.label, selector.address?.description].compactMap(\.self).joined(separator: " ")
    facts =
      selector.keys.filter { $0 != .address }.compactMap { key in
        selector.value(of: key).map { key == .id ? $0 : "\(key.rawValue) \($0)" }
      } + (selector.takesAllFunctions ? ["all functions"] : [])
    options = selection.options
    isRequired = selection.isRequired
  }

  /// The lines of the node that show the device.
  var lines: MermaidText {
    ([title] + facts).map { MermaidText(DeviceGraph.bounded($0)) }.joined("<br>")
  }

  /// Returns what stands at the line to the device: which function it is if domains share the card, and its options.
  func words(isShared: Bool) -> [String] {
    let words = options.unusual.map(\.description) + (isRequired ? [] : ["optional"])
    guard isShared else { return words }
    return [([title] + words).joined(separator: ", ")]
  }
}
