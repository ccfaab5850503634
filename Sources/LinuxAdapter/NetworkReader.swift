import Glibc
import Model

/// How a host is reached, and how it reaches others: interfaces from sysfs, routes from the kernel, sessions from the
/// processes that have them.
struct NetworkReader {
  private let root: Root
  private let files = FactFiles()

  init(root: Root) { self.root = root }

  /// Reads what can be read into `usage`, which has the storage already.
  func read(into usage: inout HostUsage) {
    var network = NetworkUsage()
    do throws(ReadFailure) { (network.interfaces, network.hidden) = (try interfaces(), try hidden()) } catch {
      usage.unread[.interfaces] = error
    }
    let isAlone = network.interfaces.isEmpty && usage.unread[.interfaces] == nil
    var sessions: [SessionReader.Session] = []
    do throws(ReadFailure) { sessions = try SessionReader(root: root).sessions() } catch {
      if !(isAlone && error.cause == .failed(ENOENT)) { usage.unread[.sessions] = error }
    }
    network.sessions = sessions.map(\.peer.text)
    var ways = sessions.map { Way(peer: $0.peer, source: $0.own) }
    for text in usage.mounts.flatMap(\.peers) + usage.blocks.flatMap({ $0.peers ?? [] }) {
      if let peer = InternetAddress(text) { ways.append(Way(peer: peer, source: nil)) }
    }
    do throws(ReadFailure) {
      let routes: any RouteSource = root.isThisMachine ? KernelRoutes() : try CapturedRoutes(root: root)
      network.defaultRoutes = try routes.defaultRoutes()
      network.ways = try self.ways(ways, routes)
    } catch {
      // A host without interfaces has no routes.
      if !(isAlone && error.cause == .failed(ENOENT)) { usage.unread[.routes] = error }
    }
    usage.network = network
  }

  // MARK: Ways

  private struct Way {
    let peer: InternetAddress
    /// The host's own address in the conversation, by which the kernel may choose another way.
    let source: InternetAddress?
  }

  /// Returns the interfaces by which each peer is reached. A peer is left out if one of its ways is not known.
  private func ways(_ ways: [Way], _ routes: any RouteSource) throws(ReadFailure) -> [String: [String]] {
    var found: [String: [String]] = [:]
    var unknown: Set<String> = []
    for way in ways {
      if let names = try interfaces(for: way, routes) {
        found[way.peer.text, default: []] += names.filter { found[way.peer.text]?.contains($0) != true }
      } else if !way.peer.isOfOneLink {
        // For an address of one link, another look at the same session may say on which link it is.
        unknown.insert(way.peer.text)
      }
    }
    return found.filter { !unknown.contains($0.key) }
  }

  /// Returns the interfaces by which packets to a peer leave; nil if they are not known.
  private func interfaces(for way: Way, _ routes: any RouteSource) throws(ReadFailure) -> [String]? {
    if way.peer.isOfOneLink { return way.peer.scope.map { [$0] } }
    let names = try routes.interfaces(to: way.peer, from: way.source)
    return names.isEmpty ? nil : names
  }

  // MARK: Interfaces

  private func interfaces() throws(ReadFailure) -> [HostInterface] {
    let names = try files.names(root.networkInterfaces)
    var indices: [String: String]?
    var interfaces: [HostInterface] = []
    for name in names {
      // The folder also has a file of the bonding driver.
      guard let target = try files.link("\(root.networkInterfaces)/\(name)") else { continue }
      let kind = try kind(of: name, target)
      var lower = try files.names("\(root.networkInterfaces)/\(name)").filter { $0.hasPrefix("lower_") }
        .map { String($0.dropFirst(6)) }
      if kind == .tunnel {
        if indices == nil { indices = try self.indices(of: names) }
        lower += try below(name, indices ?? [:])
      }
      interfaces.append(
        HostInterface(name: name, kind: kind, functions: FactFiles.functions(in: target), lower: lower))
    }
    return interfaces
  }

  /// Returns the functions that have an interface which is not visible here.
  ///
  /// The folder `net` of a device stays while the device has an interface, and shows only those of the reader's network
  /// namespace (`net_ns_type_operations`, Linux net/core/net-sysfs.c, 6.1).
  private func hidden() throws(ReadFailure) -> [FunctionName] {
    try files.names(root.pciDevices).map { (name) throws(ReadFailure) -> FunctionName? in
      let folder = "\(root.pciDevices)/\(name)/net"
      guard try files.isFolder(folder), try files.names(folder).isEmpty else { return nil }
      return FunctionName(name)
    }.compactMap(\.self)
  }

  /// Types of interfaces whose packets leave by others: `ARPHRD_TUNNEL`, `ARPHRD_TUNNEL6`, `ARPHRD_SIT`, `ARPHRD_IPGRE`,
  /// `ARPHRD_IP6GRE` and `ARPHRD_NONE` (include/uapi/linux/if_arp.h, Linux 6.1).
  private static let tunnelTypes: Set<Int> = [768, 769, 776, 778, 823, 0xFFFE]
  private static let tunnelNames: Set<String> = ["vxlan", "geneve", "wireguard", "gretap", "bareudp", "gtp"]
  /// `ARPHRD_LOOPBACK`.
  private static let loopback = 772

  private func kind(of name: String, _ target: String) throws(ReadFailure) -> HostInterface.Kind {
    let parts = target.split(separator: "/")
    if let guest = parts.lazy.compactMap(Self.guest).first { return .guest(guest) }
    guard parts.contains("virtual") else { return .device }
    let folder = "\(root.networkInterfaces)/\(name)"
    let type = try files.text("\(folder)/type").flatMap { decimal($0) }
    if type == Self.loopback { return .loopback }
    // The master of all ports is an interface that nothing but this module makes (`ovs_netdev_link`, Linux
    // net/openvswitch/vport-netdev.c, 6.1).
    if name == "ovs-system" { return .datapath }
    // A line is `DEVTYPE=vxlan` (`netdev_uevent`, Linux net/core/net-sysfs.c, and each driver's `SET_NETDEV_DEVTYPE`).
    let lines = (try files.content("\(folder)/uevent") ?? "").split(separator: "\n")
    let driver = lines.first { $0.hasPrefix("DEVTYPE=") }.map { String($0.dropFirst(8)) }
    let isTunnel = driver.map(Self.tunnelNames.contains) ?? false
    if isTunnel || type.map(Self.tunnelTypes.contains) ?? false { return .tunnel }
    return try files.text("\(folder)/tun_flags") == nil ? .virtual : .tunnel
  }

  /// Returns the guest of a back end's device: `vif-3-0` (`backend_bus_id`, Linux drivers/xen/xenbus/xenbus_probe_backend.c,
  /// 6.1).
  private static func guest(_ part: Substring) -> DomainID? {
    let words = part.split(separator: "-")
    guard words.count == 3, words[0] == "vif", let guest = decimal(words[1]), decimal(words[2]) != nil else {
      return nil
    }
    return DomainID(UInt32(guest))
  }

  private func indices(of names: [String]) throws(ReadFailure) -> [String: String] {
    var indices: [String: String] = [:]
    for name in names {
      if let index = try files.text("\(root.networkInterfaces)/\(name)/ifindex") { indices[index] = name }
    }
    return indices
  }

  /// Returns the interface by which a tunnel's packets leave, if the tunnel is bound to one (`iflink`).
  private func below(_ name: String, _ indices: [String: String]) throws(ReadFailure) -> [String] {
    let below = try files.text("\(root.networkInterfaces)/\(name)/iflink").flatMap { indices[$0] }
    return below.map { $0 == name ? [] : [$0] } ?? []
  }
}
