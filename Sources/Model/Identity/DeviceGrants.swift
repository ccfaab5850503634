/// A range that a device decodes, from the first seven lines of its `resource` file.
package struct DeviceResource: Hashable, Sendable {
  package enum Space: String, Sendable { case ports, memory }
  package var space: Space
  /// First and last byte or port, both included.
  package var range: ClosedRange<UInt64>
  /// The last I/O port of a PC.
  package static let lastPort: UInt64 = 0xFFFF
  package init(space: Space, range: ClosedRange<UInt64>) { (self.space, self.range) = (space, range) }

  /// Returns the memory of 4 KiB frames, whose last byte must have an address.
  package init(frames: ClosedRange<UInt64>) {
    self.init(space: .memory, range: frames.lowerBound << 12...frames.upperBound << 12 | 0xFFF)
  }

  /// The whole 4 KiB frames that hold a memory range, even if the range starts inside a frame.
  package var frames: ClosedRange<UInt64> { range.lowerBound >> 12...range.upperBound >> 12 }
}

extension DeviceResource: CustomStringConvertible {
  /// `memory 0xa1000000-0xa101ffff`.
  package var description: String {
    "\(space.rawValue) 0x\(hex(range.lowerBound, 1))-0x\(hex(range.upperBound, 1))"
  }
}

extension DeviceResource: TextCodable {
  package init?(text: String) {
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 2, let space = Space(rawValue: String(words[0])) else { return nil }
    let ends = words[1].split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2, ends.allSatisfy({ $0.hasPrefix("0x") }),
      let first = hexadecimal(ends[0].dropFirst(2), digits: 1...16),
      let last = hexadecimal(ends[1].dropFirst(2), digits: 1...16), first <= last,
      space == .memory || last <= Self.lastPort
    else { return nil }
    self.init(space: space, range: first...last)
  }

  package var text: String { description }
}

/// What must be granted to a domain for the use of a device.
package struct DeviceGrants: Hashable, Sendable {
  package var resources: [DeviceResource]
  /// The legacy interrupt line; nil if there is none.
  package var interrupt: UInt32?
  package init(resources: [DeviceResource], interrupt: UInt32?) {
    self.resources = resources
    self.interrupt = interrupt
  }

  /// Returns whether a number in sysfs's file `irq` is an interrupt. 0, 255 and 2³¹ mean none: the line register's value
  /// for "not connected", and Linux's value for an unrouted line.
  package static func isInterrupt(_ line: UInt32) -> Bool { line != 0 && line != 255 && line != 0x8000_0000 }
}

extension DeviceGrants: CustomStringConvertible {
  /// `memory 0xa1000000-0xa101ffff, interrupt 17`.
  package var description: String {
    let parts = resources.map(\.description) + (interrupt.map { ["interrupt \($0)"] } ?? [])
    return parts.isEmpty ? "nothing" : parts.joined(separator: ", ")
  }
}
