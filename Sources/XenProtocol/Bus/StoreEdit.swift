package import Model

/// One write of a transaction, decided from that transaction's reads.
package enum StoreEdit: Hashable, Sendable {
  case write(StorePath, String)
  case remove(StorePath)
  case makeDirectory(StorePath, StorePermissions)
}

/// The names of an entry's nodes: the three mandatory ones, then the optional ones.
package enum EntryNode: String, CaseIterable, Sendable {
  case dev, key, state, opts, vdev, vdevfn, name

  package func path(_ index: Int, in backEnd: StorePath) -> StorePath { backEnd.child("\(rawValue)-\(index)") }
}

extension BackEndEntry {
  /// Returns a wanted entry that pciback has not seen: state 1.
  package init(wanted device: PCIAddress, options: DeviceOptions) {
    self.init(
      index: 0, device: device, state: StateNode(.initialising), optionsText: options.storeText,
      virtualFunctionText: options.storeVirtualFunction)
  }

  /// Returns the value of a node; nil if the node does not exist.
  fileprivate func value(of node: EntryNode) -> String? {
    switch node {
    case .dev: device?.description
    // Nobody reads the node's text. But an existing node must be removed, and a missing one created.
    case .key: hasKey ? device?.description ?? "" : nil
    case .state: state.text
    case .opts: optionsText
    case .vdev: virtualAddress?.virtualText
    case .vdevfn: virtualFunctionText
    case .name: name
    }
  }

  /// Returns the writes that put this entry at `index`; `before` is the entry at that index now.
  package func edits(at index: Int, replacing before: BackEndEntry?, in backEnd: StorePath) -> [StoreEdit] {
    EntryNode.allCases.compactMap { node in
      let old = before?.value(of: node)
      guard let new = value(of: node) else {
        return old == nil ? nil : .remove(node.path(index, in: backEnd))
      }
      return new == old ? nil : .write(node.path(index, in: backEnd), new)
    }
  }

  /// Returns the removals of this entry's nodes.
  package func removals(in backEnd: StorePath) -> [StoreEdit] {
    EntryNode.allCases.compactMap { node in
      value(of: node) == nil ? nil : .remove(node.path(index, in: backEnd))
    }
  }
}
