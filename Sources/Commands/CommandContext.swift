package import Model
package import Planning
package import Ports
package import Reconciling
package import Rendering

/// Everything a command knows of the world around it; the executable fills it, tests fill it with less.
package struct CommandContext: Sendable {
  package var environment: [String: String]
  /// The answer goes here.
  package var standardOutput: @Sendable (String) -> Void
  /// Messages go here.
  package var standardError: @Sendable (String) -> Void
  /// One line from the person at the terminal; nil at the end of input.
  package var readLine: @Sendable () -> String?
  package var isInputTerminal: Bool
  package var isOutputTerminal: Bool
  package var isErrorTerminal: Bool
  package var userID: UInt32
  /// By which this program was started, and can be again: a path, or a name to be looked for in PATH.
  package var programPath: String
  /// The machine's name, by which manifests select.
  package var hostName: @Sendable () -> String
  /// The name of a sandbox's host.
  package var sandboxHostName: @Sendable (_ directory: String) -> Result<String, Failure>
  /// Opens the machine, or the sandbox in a directory, under the name it has.
  package var openHost: @Sendable (_ sandbox: String?, _ name: String) -> HostSession
  /// Looks up names of devices; called only where some are shown.
  package var names: @Sendable (Set<DeviceID>) -> [DeviceID: String]

  package init(
    environment: [String: String], standardOutput: @escaping @Sendable (String) -> Void,
    standardError: @escaping @Sendable (String) -> Void, readLine: @escaping @Sendable () -> String? = { nil },
    isInputTerminal: Bool = false, isOutputTerminal: Bool = false, isErrorTerminal: Bool = false, userID: UInt32 = 0,
    programPath: String = "berth",
    hostName: @escaping @Sendable () -> String,
    sandboxHostName: @escaping @Sendable (_ directory: String) -> Result<String, Failure>,
    openHost: @escaping @Sendable (_ sandbox: String?, _ name: String) -> HostSession,
    names: @escaping @Sendable (Set<DeviceID>) -> [DeviceID: String] = { _ in [:] }
  ) {
    self.environment = environment
    self.standardOutput = standardOutput
    self.standardError = standardError
    self.readLine = readLine
    self.isInputTerminal = isInputTerminal
    self.isOutputTerminal = isOutputTerminal
    self.isErrorTerminal = isErrorTerminal
    self.userID = userID
    self.programPath = programPath
    self.hostName = hostName
    self.sandboxHostName = sandboxHostName
    self.openHost = openHost
    self.names = names
  }

  /// Returns the place of a host, which has the words for failures of its ports.
  package func place(sandbox: String?) -> HostPlace { HostPlace(sandbox: sandbox, userID: userID) }

  /// The status and the words for a failure of a host's port.
  package func failure(for error: HostError, sandbox: String?) -> Failure {
    place(sandbox: sandbox).failure(for: error)
  }
}

/// One host, opened: what the commands ask of the planner and the engine.
package struct HostSession: Sendable {
  package var observe: @Sendable (DesiredState?) throws(HostError) -> Observation
  /// Looks also at devices that no plan depends on.
  package var observeEverything: @Sendable (DesiredState?) throws(HostError) -> Observation
  /// Asks whatever can be asked, also where something does not answer.
  package var examine: @Sendable () -> Examination
  package var plan: @Sendable (DesiredState, ObservationIndex) -> Plan
  /// Does what was shown and is still needed; throws if the host cannot be looked at again.
  package var apply:
    @Sendable (ShownPlan, ApplyOptions, @escaping @Sendable (ApplyEvent) -> Void) throws(HostError) -> AppliedPlan

  package init(
    observe: @escaping @Sendable (DesiredState?) throws(HostError) -> Observation,
    observeEverything: (@Sendable (DesiredState?) throws(HostError) -> Observation)? = nil,
    examine: @escaping @Sendable () -> Examination,
    plan: @escaping @Sendable (DesiredState, ObservationIndex) -> Plan = { makePlan(desired: $0, index: $1) },
    apply:
      @escaping @Sendable (ShownPlan, ApplyOptions, @escaping @Sendable (ApplyEvent) -> Void) throws(HostError) ->
      AppliedPlan
  ) {
    self.observe = observe
    self.observeEverything = observeEverything ?? observe
    self.examine = examine
    self.plan = plan
    self.apply = apply
  }

  /// The planner and the engine over a host's ports.
  ///
  /// `applying` makes the host anew for an apply, the only work that a signal must not end half-way.
  package init(host: Host, applying: @escaping @Sendable () -> Host) {
    self.init(
      observe: { (desired) throws(HostError) in try Observer(host: host).observe(desired: desired) },
      observeEverything: { (desired) throws(HostError) in
        try Observer(host: host).observeEverything(desired: desired)
      },
      examine: { Examiner(host: host).examine() },
      apply: { (shown, options, report) throws(HostError) in
        try PlanRunner(host: applying(), options: options, report: report).apply(shown)
      })
  }
}
