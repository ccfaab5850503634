package import Model
package import Planning
package import Ports
package import Reconciling
package import Rendering
package import Snapshots

/// Why an answer is not whole.
package enum OutputLoss: Hashable, Sendable {
  /// The reader ended early, or there was never one.
  case unread
  /// A write failed, with this cause.
  case failed(String)
}

/// Everything a command knows of its environment. The executable fills it; tests fill in less.
package struct CommandContext: Sendable {
  package var environment: Environment
  /// Writes the answer.
  package var standardOutput: @Sendable (TerminalText) -> Void
  /// Writes messages.
  package var standardError: @Sendable (TerminalText) -> Void
  /// Reads one line from the person at the terminal; returns nil at the end of input.
  package var readLine: @Sendable () -> String?
  package var isInputTerminal: Bool
  package var isOutputTerminal: Bool
  package var isErrorTerminal: Bool
  package var userID: UInt32
  /// How many processors may work at once.
  package var processorCount: Int
  /// Returns the seconds since 1970.
  package var wallClock: @Sendable () -> Int64
  /// Returns the machine's name, by which manifests select their hosts.
  package var hostName: @Sendable () -> String
  /// The name of a sandbox's host.
  package var sandboxHostName: @Sendable (_ directory: String) -> Result<String, Failure>
  /// Opens the machine, or the sandbox in a directory, under the name it has. Each answer of xenstored and of the
  /// hypervisor must come within `answerTimeout`. Throws if the directory is not one that a sandbox can have, for example
  /// because it belongs to another user.
  package var openHost:
    @Sendable (_ sandbox: String?, _ name: String, _ answerTimeout: Duration) throws(Failure) -> HostSession
  /// Returns the pulls of the machine, or of the sandbox in a directory.
  package var openPulls: @Sendable (_ sandbox: String?) throws(Failure) -> any PullPort
  /// Looks up names of devices; called only if some are shown.
  package var names: @Sendable (Set<DeviceID>) -> [DeviceID: String]
  /// Looks up names of classes, each of 24 bits; called only if some are shown.
  package var classNames: @Sendable (Set<UInt32>) -> [UInt32: String]
  /// Replaces a text file at a path that a person named, as a whole.
  package var replaceFile: @Sendable (_ path: String, _ bytes: [UInt8]) throws(HostError) -> Void
  /// Replaces a text file by another text, if it still has the text `old`. Returns why the file was left alone, to be put
  /// behind its name; nil if it was replaced.
  package var rewriteFile: @Sendable (_ path: String, _ old: [UInt8], _ new: [UInt8]) throws(HostError) -> String?
  /// Replaces a file that only its owner may read, as a whole.
  package var replacePrivateFile: @Sendable (_ path: String, _ bytes: [UInt8]) throws(HostError) -> Void
  /// Returns what became of an answer that standard output did not take whole; nil if it did.
  package var outputLoss: @Sendable () -> OutputLoss?
  /// What the program is too short of to begin; nil if it has enough.
  package var shortage: String?

  package init(
    environment: Environment, standardOutput: @escaping @Sendable (TerminalText) -> Void,
    standardError: @escaping @Sendable (TerminalText) -> Void, readLine: @escaping @Sendable () -> String? = { nil },
    isInputTerminal: Bool = false, isOutputTerminal: Bool = false, isErrorTerminal: Bool = false, userID: UInt32 = 0,
    processorCount: Int = 1,
    wallClock: @escaping @Sendable () -> Int64 = { 0 },
    hostName: @escaping @Sendable () -> String,
    sandboxHostName: @escaping @Sendable (_ directory: String) -> Result<String, Failure>,
    openHost:
      @escaping @Sendable (_ sandbox: String?, _ name: String, _ answerTimeout: Duration) throws(Failure) ->
      HostSession,
    openPulls: @escaping @Sendable (_ sandbox: String?) throws(Failure) -> any PullPort = { (_) throws(Failure) in
      throw Failure(.hostNotPrepared, "this program cannot pull")
    },
    names: @escaping @Sendable (Set<DeviceID>) -> [DeviceID: String] = { _ in [:] },
    classNames: @escaping @Sendable (Set<UInt32>) -> [UInt32: String] = { _ in [:] },
    replaceFile: @escaping @Sendable (_ path: String, _ bytes: [UInt8]) throws(HostError) -> Void = {
      (path, _) throws(HostError) in throw .record(RecordError(.notPermitted, operation: "write", place: path))
    },
    rewriteFile: @escaping @Sendable (_ path: String, _ old: [UInt8], _ new: [UInt8]) throws(HostError) -> String? = {
      (path, _, _) throws(HostError) in throw .record(RecordError(.notPermitted, operation: "write", place: path))
    },
    replacePrivateFile: @escaping @Sendable (_ path: String, _ bytes: [UInt8]) throws(HostError) -> Void = {
      (path, _) throws(HostError) in throw .record(RecordError(.notPermitted, operation: "write", place: path))
    },
    outputLoss: @escaping @Sendable () -> OutputLoss? = { nil }, shortage: String? = nil
  ) {
    self.environment = environment
    self.standardOutput = standardOutput
    self.standardError = standardError
    self.readLine = readLine
    self.isInputTerminal = isInputTerminal
    self.isOutputTerminal = isOutputTerminal
    self.isErrorTerminal = isErrorTerminal
    self.userID = userID
    self.processorCount = processorCount
    self.wallClock = wallClock
    self.hostName = hostName
    self.sandboxHostName = sandboxHostName
    self.openHost = openHost
    self.openPulls = openPulls
    self.names = names
    self.classNames = classNames
    self.replaceFile = replaceFile
    self.rewriteFile = rewriteFile
    self.replacePrivateFile = replacePrivateFile
    self.outputLoss = outputLoss
    self.shortage = shortage
  }

  /// Returns the place of a host, which has the words for failures of its ports.
  package func place(sandbox: String?) -> HostPlace { HostPlace(sandbox: sandbox, userID: userID) }

  /// Returns the status and the words for a failure of a host's port.
  package func failure(for error: HostError, sandbox: String?) -> Failure {
    place(sandbox: sandbox).failure(for: error)
  }
}

/// One host, opened: what the commands ask of the planner and the engine.
package struct HostSession: Sendable {
  package var observe: @Sendable (DesiredState?) throws(HostError) -> Observation
  /// Observes also devices on which no plan depends.
  package var observeEverything: @Sendable (DesiredState?) throws(HostError) -> Observation
  /// Returns all PCI functions of dom0, with these facts.
  package var inventory: @Sendable (Set<FunctionFact>) throws(HostError) -> Inventory
  /// Returns what a device says of itself as a product.
  package var productData: @Sendable (FunctionName) throws(HostError) -> ProductData?
  /// Returns what dom0 itself uses its devices for.
  package var usage: @Sendable () -> HostUsage
  /// Returns what dom0 serves to guests. The observation is nil if Xen or xenstored did not answer.
  package var served: @Sendable (ObservationIndex?) -> ServedDevices
  /// Tries to open each of these block devices exclusively, and returns whether somebody holds it.
  package var openings: @Sendable ([String]) -> [DiskOpening]
  /// Returns what dom0's kernel was started with.
  package var boot: @Sendable () -> BootFacts
  /// Returns the kernel's number of this start of dom0; nil if it is not known.
  package var bootID: @Sendable () -> String?
  /// Returns the drivers that would take each function.
  package var nativeDrivers: @Sendable ([PCIFunction]) throws(HostError) -> [FunctionName: [NativeDriver]]
  /// Replaces Berth's own file of options for modules, and returns its path.
  package var replaceModuleOptions: @Sendable ([UInt8]) throws(HostError) -> String
  /// Asks whatever can be asked, even if some parts of the host do not answer.
  package var examine: @Sendable () -> Examination
  /// Asks everything that a command may ask of the host, and returns the answers. A failure is an answer, too.
  package var record: @Sendable (_ userID: UInt32, _ sandbox: String?) -> Snapshot
  package var plan: @Sendable (DesiredState, ObservationIndex) -> Plan
  /// Makes the changes that were shown and are still necessary. Throws if a fresh look at the host fails.
  package var apply:
    @Sendable (ShownPlan, ApplyOptions, @escaping @Sendable (RunEvent) -> Void) throws(HostError) -> AppliedPlan

  /// Returns devices to their drivers.
  package var release: @Sendable ([DriverStep], ApplyOptions) throws(HostError) -> ApplyOutcome

  package init(
    observe: @escaping @Sendable (DesiredState?) throws(HostError) -> Observation,
    observeEverything: (@Sendable (DesiredState?) throws(HostError) -> Observation)? = nil,
    inventory: @escaping @Sendable (Set<FunctionFact>) throws(HostError) -> Inventory = {
      Inventory(functions: [], facts: $0)
    },
    productData: @escaping @Sendable (FunctionName) throws(HostError) -> ProductData? = { _ in nil },
    usage: @escaping @Sendable () -> HostUsage = { HostUsage() },
    served: @escaping @Sendable (ObservationIndex?) -> ServedDevices = { _ in ServedDevices() },
    openings: @escaping @Sendable ([String]) -> [DiskOpening] = { _ in [] },
    boot: @escaping @Sendable () -> BootFacts = { BootFacts() },
    bootID: @escaping @Sendable () -> String? = { nil },
    nativeDrivers: @escaping @Sendable ([PCIFunction]) throws(HostError) -> [FunctionName: [NativeDriver]] = { _ in [:]
    },
    replaceModuleOptions: @escaping @Sendable ([UInt8]) throws(HostError) -> String = { (_) throws(HostError) in
      throw .record(RecordError(.notPermitted, operation: "write", place: "berth.conf"))
    },
    examine: @escaping @Sendable () -> Examination,
    record: @escaping @Sendable (_ userID: UInt32, _ sandbox: String?) -> Snapshot = {
      Snapshot(hostName: "", takenAt: 0, userID: $0, sandbox: $1, answers: Answers())
    },
    plan: @escaping @Sendable (DesiredState, ObservationIndex) -> Plan = { makePlan(desired: $0, index: $1) },
    apply:
      @escaping @Sendable (ShownPlan, ApplyOptions, @escaping @Sendable (RunEvent) -> Void) throws(HostError) ->
      AppliedPlan,
    release: @escaping @Sendable ([DriverStep], ApplyOptions) throws(HostError) -> ApplyOutcome = { _, _ in
      ApplyOutcome()
    }
  ) {
    self.observe = observe
    self.observeEverything = observeEverything ?? observe
    self.inventory = inventory
    self.productData = productData
    self.usage = usage
    self.served = served
    self.openings = openings
    self.boot = boot
    self.bootID = bootID
    self.nativeDrivers = nativeDrivers
    self.replaceModuleOptions = replaceModuleOptions
    self.examine = examine
    self.record = record
    self.plan = plan
    self.apply = apply
    self.release = release
  }

  /// Returns the planner and the engine over a host's ports.
  ///
  /// `applying` opens the host again for an apply, the only operation that a signal must not end half-way. The apply
  /// waits for locks of Berth's records as long as its argument says.
  package init(host: Host, applying: @escaping @Sendable (_ lockTimeout: Duration) -> Host) {
    self.init(
      observe: { (desired) throws(HostError) in try Observer(host: host).observe(desired: desired) },
      observeEverything: { (desired) throws(HostError) in
        try Observer(host: host).observeEverything(desired: desired)
      },
      inventory: { (facts) throws(HostError) in
        try host.inventory(of: facts, recalling: host.preparations.readPreparations().contents)
      },
      productData: { (device) throws(HostError) in try host.inventory.productData(of: device) },
      usage: { host.usage.usage() },
      served: { ServedDeviceReader(host: host).served($0) },
      openings: { host.usage.openings(of: $0) },
      boot: { host.boot.boot() },
      bootID: { host.boot.bootID() },
      nativeDrivers: { (functions) throws(HostError) in
        do throws(DeviceTreeError) { return try host.boot.nativeDrivers(of: functions) } catch { throw .tree(error) }
      },
      replaceModuleOptions: { (bytes) throws(HostError) in
        do throws(RecordError) { return try host.boot.replaceModuleOptions(with: bytes) } catch { throw .record(error) }
      },
      examine: { Examiner(host: host).examine() },
      record: { (userID, sandbox) in
        let recording = Recording(of: host)
        WholeLook(host: recording.host).look()
        return Snapshot(
          hostName: host.name, takenAt: recording.takenAt, userID: userID, sandbox: sandbox,
          answers: recording.answers)
      },
      apply: { (shown, options, report) throws(HostError) in
        try PlanRunner(host: applying(options.lockTimeout), options: options, report: report).apply(shown)
      },
      release: { (steps, options) throws(HostError) in
        let host = applying(options.lockTimeout)
        var outcome = ApplyOutcome()
        outcome.drivers = DriverRun(host: host, options: options).apply(steps)
        outcome.wasInterrupted = host.isInterrupted()
        return outcome
      })
  }
}
