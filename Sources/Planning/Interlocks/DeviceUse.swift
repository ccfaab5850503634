/// Something that dom0 stores on a device, and the way from the device to it.
package struct DeviceUse: Hashable, Sendable {
  package enum Subject: Hashable, Sendable {
    /// A mounted file system, by the folder where it is.
    case mount(String)
    /// A device or file that is swapped to.
    case swap(String)
  }

  package let subject: Subject
  /// The device, then what is made of it, and at last what a person knows: a folder, or `swap`.
  package let chain: [String]

  /// Returns nil if the interlock is about something else than a file system or swap, or if its way is not known.
  package init?(_ interlock: Interlock) {
    guard let last = interlock.chain.last, !interlock.chain.contains(.gap) else { return nil }
    switch last.what {
    case .mount: subject = .mount(last.name)
    case .swap: subject = .swap(last.name)
    default: return nil
    }
    chain = interlock.chain.map(\.name)
  }
}
