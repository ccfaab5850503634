package import Model

/// One reason not to take a device from dom0: what stands on the device, with the way that proves it.
package struct Interlock: Hashable, Sendable {
  /// One thing on the way from a device to what stands on it.
  package struct Link: Hashable, Sendable {
    /// What a thing is. The raw values are stable: scripts depend on them.
    package enum Kind: String, Hashable, Sendable, CaseIterable {
      /// A PCI function.
      case function
      case blockDevice = "block-device"
      case pool, file
      /// A mounted file system, by its folder.
      case mount
      case swap
      case interface
      /// The address of another host.
      case peer
      case route, session, guest
      case display, console, keyboard
      case securityModule = "tpm"
      case watchdog
      case managementController = "ipmi"
      /// What a block device is a member of.
      case membership
      case driver
      /// Somebody in the kernel, or a process of dom0.
      case holder
      /// What leads from the device to the next link is not known.
      case gap
    }

    package let what: Kind
    package let name: String
    package init(_ what: Kind, _ name: String) { (self.what, self.name) = (what, name) }
  }

  package let name: InterlockName
  /// From the device to the thing that counts; at least two links.
  package let chain: [Link]
  /// Whether dom0 would keep another thing of the kind.
  package let hasSpare: Bool

  package init(_ name: InterlockName, chain: [Link], hasSpare: Bool = false) {
    (self.name, self.chain, self.hasSpare) = (name, chain, hasSpare)
  }

  package var strength: InterlockStrength { name.strength }

  /// Whether the device must not be taken. Otherwise the interlock is only a warning.
  package var isRefusal: Bool {
    switch strength {
    case .refuse: true
    case .refuseUnlessSpare: !hasSpare
    case .warn: false
    }
  }
}

extension Interlock: CustomStringConvertible {
  /// The way in one line: `0000:02:00.0 → nvme0n1 → md0 → vg0-root → /`.
  package var description: String { chain.map(\.name).joined(separator: " → ") }
}

extension Interlock.Link {
  /// Returns the link of a PCI function.
  package static func function(_ name: FunctionName) -> Self { Self(.function, name.description) }
  /// The link behind which nothing is known.
  package static let gap = Self(.gap, "?")
}

extension [Interlock] {
  /// Returns the obstacle that the refusals among them are; nil if there are none. What is known goes before what is not.
  ///
  /// An override leaves those that no person can override.
  package func obstacle(overriddenBy override: InterlockOverride?) -> Obstacle? {
    let refusals = refusals(overriddenBy: override)
    if refusals.isEmpty { return nil }
    return refusals.allSatisfy { $0.name == .unknown } ? .interlockUnknown : .interlocked
  }

  /// Returns the refusals that are left.
  package func refusals(overriddenBy override: InterlockOverride?) -> [Interlock] {
    filter { $0.isRefusal && (override == nil || !$0.name.canBeOverridden) }
  }

  /// All of them in one line, each with its name and its way.
  package var line: String { map { "\($0.name.rawValue): \($0)" }.joined(separator: "; ") }
}
