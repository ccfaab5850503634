package import Model

/// How dom0 starts.
package protocol BootPort: Sendable {
  /// Returns what could be read; the rest is nil.
  func boot() -> BootFacts
  /// Returns the kernel's number of this start of dom0; nil if it cannot be read.
  func bootID() -> String?
  /// Returns the drivers that would take each function, in order of name. Throws if the kernel's list of modules cannot
  /// be read.
  func nativeDrivers(of functions: [PCIFunction]) throws(DeviceTreeError) -> [FunctionName: [NativeDriver]]
  /// Replaces Berth's own file of options for modules, and returns its path.
  func replaceModuleOptions(with bytes: [UInt8]) throws(RecordError) -> String
}
