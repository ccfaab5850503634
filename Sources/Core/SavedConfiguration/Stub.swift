package struct SavedConfigurationError: Error { package var description: String { "" } }
package struct SavedConfiguration {
  package var bytes: [UInt8]
  package var devices: [SavedDevice] { [] }
  package init(_ bytes: [UInt8]) throws(SavedConfigurationError) { self.bytes = bytes }
  package func adding(_ devices: [SavedDevice]) -> SavedConfiguration { self }
  package func removing(_ devices: Set<PCIAddress>) -> SavedConfiguration { self }
}
