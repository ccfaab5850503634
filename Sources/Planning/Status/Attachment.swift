/// How far a device is into or out of a domain.
package enum Attachment: String, Encodable, Sendable, CaseIterable {
  /// Exported, the bus connected on both sides: the guest has it.
  case attached
  /// Exported before the guest has connected.
  case exported
  /// In the back end, and not shown to the guest by QEMU.
  case held
  /// In the back end, and not exported yet.
  case entered
  /// A removal is under way or was left half done.
  case removing
  /// Only in libxl's saved configuration.
  case saved
  /// Neither in the back end nor saved.
  case absent
  /// In the back end with a state that says nothing known.
  case unclear
}
