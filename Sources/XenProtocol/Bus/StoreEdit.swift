package import Model

/// One write of a transaction, decided from that transaction's reads.
package enum StoreEdit: Hashable, Sendable {
  case write(StorePath, String)
  case remove(StorePath)
  case makeDirectory(StorePath, StorePermissions)
}

/// The names of an entry's nodes: the mandatory three, then the ones that may be missing.
package enum EntryNode: String, CaseIterable, Sendable {
  case dev, key, state, opts, vdev, vdevfn, name

  package func path(_ index: Int, in backEnd: StorePath) -> StorePath { backEnd.child("\(rawValue)-\(index)") }
}

extension BackEndEntry {
  /// A wanted entry that pciback has not seen: state 1.
  package init(wanted device: PCIAddress, options: DeviceOptions) {
    self.init(
      index: 0, device: device, state: StateNode(.initialising), optionsText: options.storeText,
      virtualFunctionText: options.storeVirtualFunction)
  }

  /// The value each node has; nil for nodes that are not there.
  fileprivate func value(of node: EntryNode) -> String? {
    switch node {
    case .dev: device?.description
    // Its text is read by nobody, but what is there must be taken away, and what is missing made.
    case .key: hasKey ? device?.description ?? "" : nil
    case .state: state.text
    case .opts: optionsText
    case .vdev: virtualAddress?.virtualText
    case .vdevfn: virtualFunctionText
    case .name: name
    }
  }

  /// The writes that put this entry at `index`, where `before` is what stands there now.
  package func edits(at index: Int, replacing before: BackEndEntry?, in backEnd: StorePath) -> [StoreEdit] {
    EntryNode.allCases.compactMap { node in
      let old = before?.value(of: node)
      guard let new = value(of: node) else {
        return old == nil ? nil : .remove(node.path(index, in: backEnd))
      }
      return new == old ? nil : .write(node.path(index, in: backEnd), new)
    }
  }

  /// The removals that take this entry's nodes away.
  package func removals(in backEnd: StorePath) -> [StoreEdit] {
    EntryNode.allCases.compactMap { node in
      value(of: node) == nil ? nil : .remove(node.path(index, in: backEnd))
    }
  }
}
