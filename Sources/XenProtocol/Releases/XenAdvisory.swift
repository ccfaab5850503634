/// An advisory of the Xen Project that concerns PCI passthrough.
package struct XenAdvisory: Sendable {
  package let name: String
  package let text: String
  /// The first version of each release that has the correction; releases that are not named are not known to lack it.
  package let corrected: [XenVersion]

  /// XSA-476: the removal path cut 64-bit addresses of a device's memory to 32 bits (libxl_pci.c).
  package static let known = [
    XenAdvisory(
      name: "XSA-476",
      text: "`xl pci-detach` leaves a PV guest the right to 64-bit memory ranges of the device",
      corrected: [
        XenVersion(XenRelease(4, 17), patch: 6), XenVersion(XenRelease(4, 18), patch: 6),
        XenVersion(XenRelease(4, 19), patch: 4), XenVersion(XenRelease(4, 20), patch: 2),
      ])
  ]

  package var correctedText: String { corrected.map { "\($0)" }.joined(separator: ", ") }

  /// Returns whether a version such as `4.17.5` or `4.17.6-pre` lacks the correction.
  package func affects(_ text: String) -> Bool {
    guard let version = XenVersion(text) else { return false }
    return corrected.contains { $0.release == version.release && version < $0 }
  }
}
