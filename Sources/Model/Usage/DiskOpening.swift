/// Whether somebody holds a block device, by an attempt to open it exclusively.
package struct DiskOpening: Hashable, Sendable {
  package enum Answer: Hashable, Sendable {
    case free
    /// Somebody in the kernel, or a program, has opened it exclusively: as a file system, a member, an export.
    case held
    case failed(ReadFailure)
  }

  /// The name of the block device.
  package let disk: String
  package let answer: Answer
  package init(disk: String, answer: Answer) { (self.disk, self.answer) = (disk, answer) }
}
