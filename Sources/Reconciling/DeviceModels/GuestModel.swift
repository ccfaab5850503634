import Model
import Planning
import XenProtocol

/// What became of devices that QEMU was asked to show.
struct DeviceModelAnswer {
  /// The place at which QEMU shows each.
  var places: [PCIAddress: EmulatedDevice] = [:]
  /// Those it refused, with its words.
  var refused: [PCIAddress: String] = [:]
  /// Why it is not known what became of the others.
  var open: OutcomeDetail?
}

/// The program that shows a guest the devices of its bus. It is chosen once, from the domain's route.
///
/// The caller must hold no lock: a conversation with QEMU comes before libxl's lock.
protocol GuestModel {
  /// Whether a program has to show the guest a device, and to take it from the guest.
  var showsDevices: Bool { get }
  /// Notes that devices are about to be listed which the program cannot have.
  func willList(_ devices: [PCIAddress]) throws(EngineError)
  /// Shows the guest devices that are on the bus.
  func show(_ held: [ClaimedDevice]) throws(EngineError) -> DeviceModelAnswer
  /// Takes devices from the guest, and waits until they are gone. Returns those that are; of the others an outcome is
  /// reported.
  func withdraw(_ steps: [Removal]) throws(EngineError) -> [Removal]
}

extension GuestModel {
  var showsDevices: Bool { true }
  func willList(_ devices: [PCIAddress]) {}
}

/// For a guest whose own driver finds what is on the bus.
struct NoGuestModel: GuestModel {
  var showsDevices: Bool { false }
  func show(_ held: [ClaimedDevice]) -> DeviceModelAnswer { DeviceModelAnswer() }
  func withdraw(_ steps: [Removal]) -> [Removal] { steps }
}

extension DeviceRoute {
  /// Returns the model of a guest whose devices take this route.
  func guestModel(
    _ session: DomainSession, _ report: RunReport, _ records: DomainRecords, _ intents: IntentLog
  ) -> any GuestModel {
    switch deviceModel {
    case nil: NoGuestModel()
    case .traditional:
      CommandNodeGuestModel(session: session, report: report, records: records, intents: intents)
    case .upstream, .unknown: QMPGuestModel(session: session, report: report)
    }
  }
}
