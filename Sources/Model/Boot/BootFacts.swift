/// What dom0's kernel was started with, as far as it could be read.
package struct BootFacts: Hashable, Sendable, Codable {
  /// `6.1.0-18-amd64`, as `uname -r` prints it.
  package var kernel: String?
  /// dom0's command line, without its line end.
  package var commandLine: String?
  /// Whether pciback is a part of the kernel and no module.
  package var isPCIBackBuiltIn: Bool?
  /// The value of pciback's parameter `hide`, which is in force; nil if pciback is not loaded, or if that is not known.
  package var hideParameter: String?
  /// The files of modprobe that set the parameter.
  package var moduleOptions: [ModuleOptions] = []
  /// The image from which the running kernel starts, as far as it has a usual name.
  package var image: DatedFile?
  /// The kernel's number of this start of the host.
  package var bootID: String?
  package init() {}

  /// A file that sets `hide`.
  package struct ModuleOptions: Hashable, Sendable, Codable {
    package var path: String
    package var hide: String
    /// Seconds since 1970.
    package var changedAt: Int64
    package init(path: String, hide: String, changedAt: Int64) {
      (self.path, self.hide, self.changedAt) = (path, hide, changedAt)
    }
  }

  /// A file, and when its content last changed, in seconds since 1970.
  package struct DatedFile: Hashable, Sendable, Codable {
    package var path: String
    package var changedAt: Int64
    package init(path: String, changedAt: Int64) { (self.path, self.changedAt) = (path, changedAt) }
  }

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
