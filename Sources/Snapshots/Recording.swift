package import Ports

/// A recording of one host: whoever asks its ports is answered by the host, and the answers are kept.
package struct Recording: Sendable {
  private let book = AnswerBook()
  /// The host to ask. Its ports refuse every change.
  package let host: Host
  /// When the recording began, in seconds since 1970.
  package let takenAt: Int64

  package init(of host: Host) {
    let takenAt = host.wallClock()
    self.takenAt = takenAt
    self.host = Host(name: host.name, playing: book, over: host, at: takenAt)
  }

  /// What was answered so far.
  package var answers: Answers { book.all }
}

extension Host {
  /// Returns a host that answers from a book, and asks `live` what the book does not know.
  init(name: String, playing book: AnswerBook, over live: Host?, at moment: Int64) {
    self.init(
      name: name,
      stores: SnapshotStores(book: book, live: live?.stores),
      hypervisor: SnapshotHypervisor(book: book, live: live?.hypervisor),
      tree: SnapshotTree(book: book, live: live?.tree),
      inventory: SnapshotInventory(book: book, live: live?.inventory),
      usage: SnapshotUsage(book: book, live: live?.usage),
      drivers: SnapshotDrivers(book: book, live: live?.drivers),
      preparations: SnapshotPreparations(book: book, live: live?.preparations),
      boot: SnapshotBoot(book: book, live: live?.boot),
      userdata: SnapshotUserdata(book: book, live: live?.userdata),
      deviceModels: SnapshotDeviceModels(book: book, live: live?.deviceModels),
      ownership: SnapshotOwnership(book: book, live: live?.ownership),
      intents: SnapshotIntents(book: book, live: live?.intents),
      runLocks: SnapshotRunLocks(book: book, live: live?.runLocks),
      wallClock: { moment }, isInterrupted: { live?.isInterrupted() ?? false })
  }
}
