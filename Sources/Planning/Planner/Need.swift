/// What a declared device needs, before its domain is asked whether it can take a change now.
struct Need {
  enum Kind {
    case nothing
    case change(Change)
    case blocked(Obstacle)
    case pending(Wait)

    /// Whether the device is put into the domain.
    var isPut: Bool {
      switch self {
      case .change(.attach), .change(.reattach), .change(.move): true
      case .change(.detach), .change(.repair), .change(.adopt), .nothing, .blocked, .pending: false
      }
    }
  }
  let kind: Kind
  var evidence: String?
  var remedy: String?
  /// The domain that has the device and can lose it.
  var holder: DomainTarget?
  /// Whether the host lacks the device.
  var isMissing: Bool
  /// What stands on the device.
  let interlocks: [Interlock]

  init(
    _ kind: Kind, evidence: String? = nil, remedy: String? = nil, holder: DomainTarget? = nil, isMissing: Bool = false,
    interlocks: [Interlock] = []
  ) {
    self.interlocks = interlocks
    self.isMissing = isMissing
    self.kind = kind
    self.evidence = evidence
    self.remedy = remedy
    self.holder = holder
  }

  /// Says what stands in the way of every change to the domain, and returns the step that follows from that.
  mutating func obstruct(_ obstruction: Guest.Obstruction) -> DeviceStep.Kind {
    evidence = obstruction.evidence
    remedy = obstruction.remedy
    return .blocked(obstruction.obstacle)
  }
}
