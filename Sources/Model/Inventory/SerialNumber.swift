/// Returns the serial number of PCI Express in a text such as `a0-36-9f-ff-ff-12-34-56`, the highest byte first; nil if the
/// text is none.
package func serialNumber(_ text: String) -> UInt64? {
  let parts = text.split(separator: "-", omittingEmptySubsequences: false)
  let bytes = parts.compactMap { hexadecimal($0, digits: 2...2) }
  return parts.count == 8 && bytes.count == 8 ? bytes.reduce(0) { $0 << 8 | $1 } : nil
}
