import Model
import Ports

extension ModelXl {
  private static let nodes = ["state", "key", "dev", "vdev", "opts", "vdevfn", "name"]

  /// `libxl__device_pci_remove_common` of a PV guest: access is revoked first, then the guest is asked.
  package func detach() -> Ending {
    let count = read("\(back)/num_devs").flatMap { Int($0) } ?? 0
    var isListed = false
    for index in 0..<count {
      guard let found = read("\(back)/dev-\(index)") else { return .crash }
      if found == device.description { isListed = true }
    }
    guard isListed else { return .failure("not attached to this domain") }
    do throws(HostError) { try grant(false) } catch { store.turns?.note("\(error)") }
    do throws(HostError) { _ = try ModelTree(model: model).reset(device, alone: false) } catch {
      store.turns?.note("\(error)")
    }
    do throws(HostError) { try ModelHypervisor(model: model).deassign(device, from: domain.id) } catch {
      store.turns?.note("\(error)")
    }
    // Its failure is ignored (`pci_remove_done`); a crash ends everything.
    if unlist() == .crash { return .crash }
    write(claim, nil)
    return .success
  }

  /// `libxl__device_pci_remove_xenstore`: it uses one index and one count, read before two waits and without the lock.
  private func unlist() -> Ending {
    guard let count = read("\(back)/num_devs").flatMap({ Int($0) }), count > 0 else { return .failure("no devices") }
    guard awaitConnected() else { return .failure("back end not ready") }
    var own: Int?
    for index in 0..<count where own == nil {
      guard let found = read("\(back)/dev-\(index)") else { return .crash }
      if found == device.description { own = index }
    }
    guard let own else { return .failure("not listed") }
    let marked = transact { transaction in
      transaction.write("\(back)/state-\(own)", "5")
      transaction.write("\(back)/state", "7")
      return nil
    }
    if let marked { return marked }
    guard awaitConnected() else { return .failure("guest did not answer") }
    if let ending = transact({ compact($0, own, count) }) { return ending }
    guard count == 1 else { return .success }
    // `libxl__device_destroy`, in a transaction of its own.
    return transact { transaction in
      transaction.remove(front)
      transaction.remove(back)
      return nil
    } ?? .success
  }

  private func compact(_ transaction: ModelTransaction, _ own: Int, _ count: Int) -> Ending? {
    for name in Self.nodes { transaction.remove("\(back)/\(name)-\(own)") }
    transaction.write("\(back)/num_devs", String(count - 1))
    for index in own + 1..<max(count, own + 1) {
      for name in Self.nodes {
        let value = transaction.read("\(back)/\(name)-\(index)")
        guard let value else {
          if ["state", "dev", "key"].contains(name) { return .crash }
          continue
        }
        transaction.write("\(back)/\(name)-\(index - 1)", value)
        transaction.remove("\(back)/\(name)-\(index)")
      }
    }
    return nil
  }
}
