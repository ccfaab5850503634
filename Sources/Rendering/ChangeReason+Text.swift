package import Planning

extension ChangeReason {
  /// Returns one sentence, without a full stop, that says what the name means.
  package var meaning: String {
    switch self {
    case .declared: "the manifest declares it for this domain"
    case .notDeclared: "no longer declared"
    case .optionsDiffer: "its options differ from the declared ones"
    case .declaredElsewhere: "declared for another domain than the one that has it"
    case .alreadyAttached: "declared, and attached already"
    case .inSync: "as declared"
    case .notOwned: "attached, but neither declared nor attached by Berth"
    }
  }

  /// Returns the next step, with ADDRESS and DOMAIN for the device and the domain; nil if a person has none to take.
  package var remedy: String? {
    switch self {
    case .notOwned: "declare it, or remove it with `xl pci-detach`; policy.prune: all lets Berth remove it"
    case .declared, .notDeclared, .optionsDiffer, .declaredElsewhere, .alreadyAttached, .inSync: nil
    }
  }

  /// Returns how it comes to be so, and what Berth does about it: a few sentences for `berth explain`.
  package var cause: String {
    switch self {
    case .declared:
      "The manifest names the device for this domain, and the domain does not have it, or has it only in part: an entry "
        + "that the guest has not taken yet counts as missing. Applying attaches it, or goes on where it was left."
    case .notDeclared:
      "Berth attached or adopted the device, or policy.prune is `all`, and the manifest no longer names it here. "
        + "Applying asks the guest to let go, then takes its rights away, then the reservation and the saved line."
    case .optionsDiffer:
      "The options in the back end's opts-N and vdevfn-N are others than the declared ones. None of them can be changed "
        + "in place, so the device is detached and attached again. A slot that nobody asked for is no difference."
    case .declaredElsewhere:
      "The manifest declares the device here, and another domain that Berth may take it from has it. Applying detaches "
        + "it there first; where that guest does not let go, the device stays with it."
    case .alreadyAttached:
      "Somebody else attached the device as it is declared. Applying writes it into Berth's record and changes nothing "
        + "on the host. From then on it is Berth's, and removed when it is no longer declared."
    case .inSync: "The device is attached as declared, and every place that is asked says so."
    case .notOwned:
      "The device is attached, and neither the manifest nor Berth's record knows it: another toolstack or a person put "
        + "it there. It is shown and left alone unless policy.prune is `all`."
    }
  }
}
