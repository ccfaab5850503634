import Model

/// A release series of Xen, such as 4.20.
package struct XenRelease: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let major: Int
  package let minor: Int

  package init(_ major: Int, _ minor: Int) { (self.major, self.minor) = (major, minor) }

  /// Returns the release that a text such as `4.20` names; nil if the text is no such name.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, let major = decimal(parts[0]), let minor = decimal(parts[1]) else { return nil }
    self.init(major, minor)
  }

  package var description: String { "\(major).\(minor)" }

  package static func < (one: XenRelease, other: XenRelease) -> Bool {
    (one.major, one.minor) < (other.major, other.minor)
  }
}

/// A version of Xen as its hypervisor reports it (`xc_version`, tools/libs/ctrl/xc_misc.c), such as `4.17.5`.
package struct XenVersion: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let release: XenRelease
  package let patch: Int
  /// Whether the version precedes its own number: `4.17.6-pre` and `4.17.6-rc1` do.
  package let isPreview: Bool

  package init(_ release: XenRelease, patch: Int, isPreview: Bool = false) {
    (self.release, self.patch, self.isPreview) = (release, patch, isPreview)
  }

  /// Returns the version that a text names; nil if it has no three numbers. Distributions add their own endings.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, let major = decimal(parts[0]), let minor = decimal(parts[1]) else { return nil }
    let digits = parts[2].prefix { ("0"..."9").contains($0) }
    guard let patch = decimal(digits) else { return nil }
    let ending = parts[2].dropFirst(digits.count)
    self.init(
      XenRelease(major, minor), patch: patch, isPreview: ending.hasPrefix("-pre") || ending.hasPrefix("-rc"))
  }

  package var description: String { "\(release).\(patch)" + (isPreview ? "-pre" : "") }

  package static func < (one: XenVersion, other: XenVersion) -> Bool {
    (one.release, one.patch, one.isPreview ? 0 : 1) < (other.release, other.patch, other.isPreview ? 0 : 1)
  }
}

extension XenRelease: TextCodable {
  package init?(text: String) { self.init(text) }
  package var text: String { description }
}
