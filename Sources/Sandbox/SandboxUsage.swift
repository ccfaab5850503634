package import Model
package import Ports

/// What the dom0 of a sandbox uses its devices for. Its disks are no devices, so whoever holds one is known from its files
/// alone.
package struct SandboxUsage: HostUsagePort {
  private let reader: any HostUsagePort

  /// `reader` reads the sandbox's files.
  package init(_ reader: any HostUsagePort) { self.reader = reader }

  package func usage() -> HostUsage { reader.usage() }

  /// A disk is held if it is mounted or swapped to.
  package func openings(of disks: [String]) -> [DiskOpening] {
    let usage = reader.usage()
    return disks.map { name in
      let number = usage.blocks.first { $0.name == name }?.number
      let isMounted = usage.mounts.contains { $0.source == name || $0.number == number }
      return DiskOpening(disk: name, answer: isMounted || usage.swaps.contains(name) ? .held : .free)
    }
  }
}
