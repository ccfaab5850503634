import Model
import Ports

/// Goes through all answers, and replaces what names a person, a machine or a card.
struct AnswerRedaction {
  let redactor: Redactor

  func redacted(_ answers: Answers) -> Answers {
    var new = answers
    new.hypervisor = hypervisor(answers.hypervisor)
    new.store = StoreRedaction(redactor: redactor).redacted(answers.store)
    new.tree = tree(answers.tree)
    new.inventory.names = redactor.recorded(answers.inventory.names) { $0.map { function($0) } }
    new.inventory.functions = redactor.recorded(answers.inventory.functions) { $0.map { function($0) } }
    new.usage = UsageRedaction(redactor: redactor).redacted(answers.usage)
    new.toolstack = toolstack(answers.toolstack, answers.store)
    new.records = records(answers.records)
    return new
  }

  private func hypervisor(_ answers: HypervisorAnswers) -> HypervisorAnswers {
    var new = answers
    new.facts = redactor.recorded(answers.facts)
    new.domains = redactor.recorded(answers.domains)
    new.domain = redactor.recorded(answers.domain)
    new.devices = redactor.recorded(answers.devices)
    new.passthrough = redactor.recorded(answers.passthrough)
    new.companions = redactor.recorded(answers.companions)
    new.reservedMemory = redactor.recorded(answers.reservedMemory)
    return new
  }

  private func tree(_ answers: TreeAnswers) -> TreeAnswers {
    var new = answers
    new.hasPCIBack = redactor.recorded(answers.hasPCIBack)
    new.pcibackDevices = redactor.recorded(answers.pcibackDevices)
    new.permissiveDevices = redactor.recorded(answers.permissiveDevices)
    new.isPermissiveForAll = redactor.recorded(answers.isPermissiveForAll)
    new.facts = redactor.recorded(answers.facts)
    new.hasVirtualFunctions = redactor.recorded(answers.hasVirtualFunctions)
    new.backEndObjects = redactor.recorded(answers.backEndObjects)
    new.exports = redactor.recorded(answers.exports)
    new.bindings = redactor.recorded(answers.bindings)
    new.slots = redactor.recorded(answers.slots)
    return new
  }

  private func function(_ function: PCIFunction) -> PCIFunction {
    var new = function
    new.interfaces = function.interfaces.map { interface($0) }
    new.nvme = function.nvme.map { controller($0) }
    new.unread = function.unread.mapValues { redactor.failure($0) }
    // Other forms of serial numbers than the kernel's own are no number by themselves.
    new.serial = function.serial.map { serialNumber($0) == nil ? redactor.replace($0, .serial) : $0 }
    return new
  }

  private func interface(_ interface: NetworkInterface) -> NetworkInterface {
    NetworkInterface(name: redactor.interface(interface.name), address: interface.address)
  }

  private func controller(_ controller: NVMeController) -> NVMeController {
    NVMeController(
      name: controller.name, serial: controller.serial.map { redactor.replace($0, .serial) }, model: controller.model)
  }

  // MARK: Files

  private func toolstack(_ answers: ToolstackAnswers, _ store: StoreAnswers) -> ToolstackAnswers {
    var new = answers
    new.savedConfigurations = redactor.recorded(answers.savedConfigurations) { text in text.map { saved($0) } }
    new.locks = redactor.recorded(answers.locks) { $0.map { lock($0) } }
    new.deviceModels = redactor.recorded(answers.deviceModels)
    return new
  }

  /// Replaces the names of devices in a saved configuration. The text is Berth's own, so each name stands as a JSON string
  /// behind its key.
  private func saved(_ text: String) -> String {
    var result = ""
    var rest = text[...]
    while let key = rest.firstRange(of: "\"name\"") {
      result += rest[..<key.upperBound]
      rest = rest[key.upperBound...]
      guard let start = rest.firstIndex(of: "\""), rest[..<start].allSatisfy({ $0 == ":" || $0.isWhitespace }),
        let end = rest[rest.index(after: start)...].firstIndex(of: "\"")
      else { continue }
      let name = rest[rest.index(after: start)..<end]
      result += rest[..<start] + jsonString(redactor.replace(String(name), .device))
      rest = rest[rest.index(after: end)...]
    }
    return result + rest
  }

  private func lock(_ lock: UserdataLock) -> UserdataLock {
    var new = lock
    new.path = redactor.path(lock.path)
    new.holder = redactor.holder(lock.holder)
    return new
  }

  private func records(_ answers: RecordAnswers) -> RecordAnswers {
    var new = answers
    new.owned = redactor.recorded(answers.owned) { redactor.files($0) { owned($0) } }
    new.intents = redactor.recorded(answers.intents) { redactor.files($0) { $0 } }
    new.preparations = redactor.recorded(answers.preparations) { redactor.files($0) { preparation($0) } }
    new.runs = redactor.recorded(answers.runs) { runs in
      RunMarks(marks: runs.marks.mapValues { mark($0) }, damaged: runs.damaged.map { redactor.damaged($0) })
    }
    return new
  }

  private func owned(_ record: OwnershipRecord) -> OwnershipRecord {
    var new = record
    new.name = redactor.name(record.name)
    new.refusals = record.refusals.map { refusal in
      RefusalRecord(device: refusal.device, domain: refusal.domain, words: redactor.text(refusal.words))
    }
    return new
  }

  private func preparation(_ record: PreparationRecord) -> PreparationRecord {
    var new = record
    new.interfaces = record.interfaces.map { interface($0) }
    new.controllers = record.controllers.map { controller($0) }
    new.override = record.override.map { override in
      InterlockOverride(
        reason: redactor.replace(override.reason, .item), user: redactor.replace(override.user, .person))
    }
    return new
  }

  private func mark(_ mark: RunMark) -> RunMark {
    var new = mark
    new.holder?.command = redactor.command(mark.holder?.command)
    new.holder?.stranger = mark.holder?.stranger.map { redactor.replace($0, .person) }
    return new
  }
}
