package import XenProtocol

extension StoreEdit {
  /// Does this write in the transaction that decided it.
  package func apply(to access: borrowing any StoreAccess & ~Copyable) throws(HostError) {
    switch self {
    case .write(let path, let value): try access.write(path, value)
    case .remove(let path): try access.remove(path)
    case .makeDirectory(let path, let permissions): try access.makeDirectory(path, permissions)
    }
  }
}
