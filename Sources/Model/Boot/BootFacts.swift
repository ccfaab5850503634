/// What dom0's kernel was started with, as far as it could be read.
package struct BootFacts: Hashable, Sendable {
  /// `6.1.0-18-amd64`, as `uname -r` prints it.
  package var kernel: String?
  /// dom0's command line, without its line end.
  package var commandLine: String?
  /// Whether pciback is a part of the kernel and no module.
  package var isPCIBackBuiltIn: Bool?
  package init() {}

  /// The number of bytes that Xen has for the command line of a PV dom0. It cuts a longer one without a word
  /// (`MAX_GUEST_CMDLINE`, xen/include/public/xen.h, and `create_dom0`, xen/arch/x86/setup.c, Xen 4.17).
  package static let longestCommandLine = 1023
}

/// A module that drives a function when no other driver has taken it.
package struct NativeDriver: Hashable, Sendable {
  /// The module's name, with `_` for `-`.
  package var module: String?
  /// The driver that has the function now and is a part of the kernel: no module can come before it.
  package var builtIn: String?
  package init(module: String? = nil, builtIn: String? = nil) { (self.module, self.builtIn) = (module, builtIn) }
}
