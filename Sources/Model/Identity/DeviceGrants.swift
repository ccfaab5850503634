/// A range that a device decodes, from the first seven lines of its `resource` file.
package struct DeviceResource: Hashable, Sendable {
  package enum Space: String, Sendable { case ports, memory }
  package var space: Space
  /// First and last byte or port, both included.
  package var range: ClosedRange<UInt64>
  package init(space: Space, range: ClosedRange<UInt64>) { (self.space, self.range) = (space, range) }

  /// The whole 4 KiB frames that hold a memory range, even if the range starts inside a frame.
  package var frames: ClosedRange<UInt64> { range.lowerBound >> 12...range.upperBound >> 12 }
}

/// What must be granted to a domain for the use of a device.
package struct DeviceGrants: Hashable, Sendable {
  package var resources: [DeviceResource]
  /// The legacy interrupt line; nil if there is none (0, 255 and 0x80000000 mean none).
  package var interrupt: UInt32?
  package init(resources: [DeviceResource], interrupt: UInt32?) {
    self.resources = resources
    self.interrupt = interrupt
  }
}
