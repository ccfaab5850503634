import Glibc
package import Model
package import Ports

/// dom0's PCI functions, from sysfs.
package struct SysfsInventory: InventoryPort {
  private let root: Root
  private let patience: Duration
  /// How long a device may take for what it says of itself. Each word of that can take an eighth of a second
  /// (`pci_vpd_wait`, Linux drivers/pci/vpd.c, 6.1).
  private static let productPatience = Duration.seconds(30)

  /// `root` is `/`, or the folder that replaces it for a sandbox or a captured host. `patience` is how long the kernel may
  /// take for one file.
  package init(root: String, patience: Duration = BoundedRead.patience) {
    self.root = Root(root)
    self.patience = patience
  }

  package func inventory(of facts: Set<FunctionFact>) throws(HostError) -> Inventory {
    let names = try listed(root.pciDevices).compactMap { FunctionName($0) }.sorted()
    var readers = names.map { FunctionReader(name: $0, root: root) }
    // The others need the paths: a function's way is written with its bridges' buses.
    for index in readers.indices { readers[index].readChain() }
    let bridges = facts.contains(.path) ? Set(readers.flatMap { $0.function.chain.dropLast() }) : []
    let questions = readers.map { $0.questions(facts, isBridge: bridges.contains($0.function.name)) }
    var answers = BoundedRead.answers(to: questions.flatMap(\.self), patience: patience)[...]
    for (index, asked) in zip(readers.indices, questions) {
      readers[index].take(zip(asked, answers.prefix(asked.count)))
      answers = answers.dropFirst(asked.count)
    }
    if facts.contains(.path) {
      for index in readers.indices where bridges.contains(names[index]) { readers[index].readSecondaryBus() }
      let buses = Dictionary(
        readers.compactMap { reader in reader.function.secondaryBus.map { (reader.function.name, $0) } },
        uniquingKeysWith: { first, _ in first })
      for index in readers.indices { readers[index].readPath(buses: buses) }
    }
    let slots = facts.contains(.slot) ? slotLabels() : .success([:])
    for index in readers.indices {
      readers[index].read(facts)
      if facts.contains(.slot) { readers[index].setSlots(slots) }
    }
    return Inventory(functions: readers.map(\.function), facts: facts)
  }

  package func productData(of device: FunctionName) throws(HostError) -> ProductData? {
    let path = "\(root.pciDevices)/\(device)/vpd"
    do throws(SystemFailure) {
      let bytes = try BoundedRead.answer(to: .init(path), patience: Self.productPatience)
      guard bytes.count <= VitalProductData.mostBytes else { throw SystemFailure("read", EFBIG) }
      return VitalProductData(bytes).data
    } catch {
      // Most devices have none.
      if error.errno == ENOENT { return nil }
      throw .tree(DeviceTreeError(error, path))
    }
  }

  private func listed(_ folder: String) throws(HostError) -> [String] {
    do throws(SystemFailure) { return try listFolder(folder) } catch {
      if error.errno == ENOENT { return [] }
      throw .tree(DeviceTreeError(error, folder))
    }
  }

  /// Returns the labels of each slot by its segment, bus and device: `0000:03:00`.
  ///
  /// The file `address` has no function. A slot without a device has `0000:03` (`address_read_file`, Linux
  /// drivers/pci/slot.c, 6.1), and is of no use here.
  private func slotLabels() -> Result<[String: [String]], ReadFailure> {
    let names: [String]
    do throws(SystemFailure) { names = try listFolder(root.pciSlots) } catch {
      // A kernel without slots has no such folder.
      return error.errno == ENOENT
        ? .success([:]) : .failure(ReadFailure(place: root.pciSlots, .failed(error.errno)))
    }
    var labels: [String: [String]] = [:]
    for label in names {
      let file = "\(root.pciSlots)/\(label)/address"
      do throws(SystemFailure) {
        labels[String(try readAttribute(file).prefix { $0 != "\n" }), default: []].append(label)
      } catch { return .failure(ReadFailure(place: file, .failed(error.errno))) }
    }
    return .success(labels)
  }
}
