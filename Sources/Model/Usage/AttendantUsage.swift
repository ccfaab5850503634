/// What people and the firmware use to work with dom0: consoles, keyboards and the like.
package struct AttendantUsage: Hashable, Sendable, Codable {
  /// What the kernel writes its messages to.
  package var consoles: [Attendant] = []
  /// What has the keys of a keyboard. Other devices with keys, such as a power button, are left out.
  package var keyboards: [Attendant] = []
  /// Security modules: `tpm0`.
  package var securityModules: [Attendant] = []
  package var watchdogs: [Attendant] = []
  /// The interfaces to the board's own controller: `ipmi0`.
  package var managementControllers: [Attendant] = []

  package init() {}
}

/// A device by which somebody attends to dom0.
package struct Attendant: Hashable, Sendable, Codable {
  package let name: String
  /// Every PCI function in the path of its folder; empty if it is on no PCI device.
  package let functions: [FunctionName]

  package init(name: String, functions: [FunctionName] = []) { (self.name, self.functions) = (name, functions) }
}
