import Glibc
import Model

/// Where the routes of a host come from.
protocol RouteSource {
  /// Returns the routes to everywhere, of all tables and both families.
  func defaultRoutes() throws(ReadFailure) -> [DefaultRoute]
  /// Returns the interfaces by which packets to an address leave; none if that is not known. `source` is the host's own
  /// address in the conversation.
  func interfaces(to peer: InternetAddress, from source: InternetAddress?) throws(ReadFailure) -> [String]
}

/// The routes of a host that is not this machine, from a text: as `ip -o route show table all` prints them.
///
/// `default via 10.0.0.1 dev eth0 proto dhcp metric 100` is a route, and `default proto static metric 1 \	nexthop via
/// 10.0.0.1 dev eth0 weight 1 \	nexthop via 10.0.1.1 dev eth1 weight 1` one with two ways. Which table the kernel would ask
/// is not in the text, so every table is asked, and each answer counts.
struct CapturedRoutes: RouteSource {
  private struct Route {
    let destination: InternetAddress?
    let bits: Int
    let table: String
    let interfaces: [String]
  }

  private let routes: [DefaultRoute.Family: [Route]]

  /// Throws if there is no text of either family, or if one is not understood.
  init(root: Root) throws(ReadFailure) {
    var routes: [DefaultRoute.Family: [Route]] = [:]
    for (family, file) in root.capturedRoutes.sorted(by: { $0.value < $1.value }) {
      guard let lines = try FactFiles().optionalLines(file) else { throw ReadFailure(place: file, .failed(ENOENT)) }
      routes[family] = try lines.map { (line) throws(ReadFailure) in try Self.route(line, family, file) }.compactMap(
        \.self)
    }
    self.routes = routes
  }

  /// Types of routes by which no packet leaves the host as it came, or none at all (`ip-route(8)`).
  private static let otherTypes: Set<Substring> = [
    "anycast", "blackhole", "broadcast", "local", "multicast", "prohibit", "throw", "unreachable",
  ]

  private static func route(
    _ line: Substring, _ family: DefaultRoute.Family, _ file: String
  ) throws(ReadFailure) -> Route? {
    var words = line.split { $0 == " " || $0 == "\t" || $0 == "\\" }
    guard let first = words.first else { return nil }
    if otherTypes.contains(first) { return nil }
    if first == "unicast" { words.removeFirst() }
    guard let target = words.first else { throw ReadFailure(place: file, .malformed) }
    func values(of key: Substring) -> [String] {
      words.indices.dropLast().filter { words[$0] == key }.map { String(words[$0 + 1]) }
    }
    let (table, interfaces) = (values(of: "table").first ?? "main", values(of: "dev"))
    if target == "default" { return Route(destination: nil, bits: 0, table: table, interfaces: interfaces) }
    let parts = target.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = InternetAddress(String(parts[0])), address.family == family else {
      throw ReadFailure(place: file, .malformed)
    }
    let bits = parts.count == 2 ? decimal(parts[1]) : address.bytes.count * 8
    guard let bits, bits <= address.bytes.count * 8 else { throw ReadFailure(place: file, .malformed) }
    return Route(destination: address, bits: bits, table: table, interfaces: interfaces)
  }

  func defaultRoutes() -> [DefaultRoute] {
    [.ipv4, .ipv6].flatMap { family in
      (routes[family] ?? []).filter { $0.bits <= family.mostBitsOfEverywhere }.map {
        DefaultRoute(family: family, table: $0.table, interfaces: $0.interfaces)
      }
    }
  }

  func interfaces(to peer: InternetAddress, from source: InternetAddress?) -> [String] {
    if peer.isOwn { return ["lo"] }
    let fitting = (routes[peer.family] ?? []).filter { route in
      route.destination.map { peer.isIn($0, bits: route.bits) } ?? true
    }
    var names: Set<String> = []
    for (_, routes) in Dictionary(grouping: fitting, by: \.table) {
      let longest = routes.map(\.bits).max()
      names.formUnion(routes.filter { $0.bits == longest }.flatMap(\.interfaces))
    }
    return names.sorted()
  }
}

extension DefaultRoute.Family {
  /// The most bits of a destination that is half of everywhere, or more. Two halves, `0.0.0.0/1` and `128.0.0.0/1`, come
  /// before a default route without replacing it. For IPv6, `2000::/3` is everything that is given out (RFC 4291).
  var mostBitsOfEverywhere: Int { self == .ipv4 ? 1 : 3 }
}
