package import Model
package import Planning
import XenProtocol

extension ImportRemark {
  /// The remark's word in documents.
  var name: String {
    switch self {
    case .hostName: "host-name"
    case .keepsUndeclared: "keeps-undeclared"
    case .hostRepairs: "host-repairs"
    case .domainName: "domain-name"
    case .nameShared: "name-shared"
    case .domainWouldChange: "domain-would-change"
    case .deviceWouldChange: "device-would-change"
    case .ownedChanges: "owned-changes"
    case .deviceUnresolved: "device-unresolved"
    case .listedTwice: "listed-twice"
    case .slot: "slot"
    case .savedLine: "saved-line"
    case .configuration(let remark): remark.name
    case .declaredTwice: "declared-twice"
    case .domainAbsent: "domain-absent"
    case .otherName: "other-name"
    case .otherUUID: "other-uuid"
    case .deviceAbsent: "device-absent"
    case .bridge: "bridge"
    case .notOnPCIBack: "not-on-pciback"
    case .hostUnknown: "host-unknown"
    }
  }

  /// The remark for people, as whole sentences.
  package var words: String {
    switch self {
    case .hostName(let name):
      "Not carried over: the host's name, '\(name)', can be no manifest's. So this manifest is for every host."
    case .keepsUndeclared:
      "`prune: never` is here because an apply would otherwise take devices that Berth attached, and that this manifest "
        + "does not declare."
    case .hostRepairs(let count):
      "An apply also removes \(Words.count(count, "leftover")) of domains that are gone, whatever is declared here."
    case .domainName: "Not carried over: no manifest can have this name."
    case .nameShared: "Not carried over: another domain has the same name."
    case .domainWouldChange(let steps):
      "Not carried over as it is: if this domain is declared, an apply also does this: "
        + steps.map { "\($0.device) \(PlanView.words(for: $0))" }.joined(separator: "; ") + "."
    case .deviceWouldChange(let step):
      "Not carried over: if it is declared, an apply has to do more than adopt it: \(PlanView.words(for: step))."
    case .ownedChanges(let step): "Berth has it already, and the next apply does this: \(PlanView.words(for: step))."
    case .deviceUnresolved(let step): "Not carried over: \(step.obstacle.rawValue), \(step.evidence)."
    case .listedTwice(let name): "Not carried over: \(name) has it, too, and a device is declared once."
    case .slot(let slot, .kind):
      "Not carried over: the virtual slot \(slot), because only HVM guests have a choice."
    case .slot(let slot, .shared):
      "Not carried over: the virtual slot \(slot), because another device of the domain has the same slot."
    case .slot(let slot, .wholeSlot):
      "Not carried over: the virtual slot \(slot), because each function gets a slot of its own."
    case .savedLine(let line):
      "Not carried over: a line of libxl's saved configuration, because \(StatusView.words(for: line.oddity)): "
        + cut(line.text, to: 400)
    case .configuration(let remark): remark.words
    case .declaredTwice(let file): "Not carried over: \(file) has a domain of this name or UUID already."
    case .domainAbsent: "The host has no such domain now. Its devices are pending until it exists."
    case .otherName(let name):
      "The domain with this UUID is called '\(name)' on the host. Berth changes nothing in it until the name is right."
    case .otherUUID(let uuid):
      "The domain of this name has the UUID \(uuid) on the host. Berth changes nothing in it until the UUID is right."
    case .deviceAbsent: "Not carried over: the host has no such device."
    case .bridge: "Not carried over: it is a bridge, and no domain can have one."
    case .notOnPCIBack(let driver):
      (driver.map { "Its driver is \($0), not pciback." } ?? "No driver has it, not even pciback.")
        + " Its assignment is blocked until pciback has it."
    case .hostUnknown(let cause):
      "Only addresses are carried over, because the host could not be asked: \(cause). Add the ids before you rely on "
        + "this manifest."
    }
  }
}

extension ConfigurationRemark {
  /// The remark's word in documents.
  var name: String {
    switch self {
    case .seize: "seize"
    case .deviceName: "device-name"
    case .wholeSlot: "whole-slot"
    case .unknownKey: "unknown-key"
    case .notNumber: "not-a-number"
    case .domainPolicy: "rdm"
    case .otherDevice: "other-device"
    case .managed: "managed"
    case .interface: "interface"
    case .hypervisor: "hypervisor"
    }
  }

  /// The remark for people, as whole sentences.
  package var words: String {
    switch self {
    case .seize:
      "Not carried over: `seize`. `policy.hostDrivers` decides whether Berth takes devices from drivers of dom0."
    case .deviceName(let name, let line):
      "Not carried over: line \(line) finds a device by the name '\(name)'. `xl pci-assignable-list -n` shows its "
        + "address; such names are gone after a restart of the host."
    case .wholeSlot:
      "All functions of the slot. Each is attached as a device of its own, also where xl shows them in one slot."
    case .unknownKey(let key): "Not carried over: Berth does not know the key '\(key)'."
    case .notNumber(let key, let value): "'\(key)' is '\(value)', which xl takes for 0."
    case .domainPolicy(let policy):
      "Not carried over: the policy in `rdm = \(policy)`. No xl that Berth knows applies it to devices, so each has "
        + "`strict` unless its own entry says otherwise."
    case .otherDevice(let key):
      "Not carried over: '\(key)'. Only devices that `pci` lists are assignments of PCI devices."
    case .managed:
      "Not carried over: `managed`. `policy.hostDrivers` and `policy.afterDetach` decide that for the whole host."
    case .interface:
      "Not carried over: the hardware address and the network of this interface. The device itself is assigned."
    case .hypervisor(let name): "The domain is for '\(name)', and not for Xen."
    }
  }
}
