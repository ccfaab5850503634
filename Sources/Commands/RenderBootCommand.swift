import ArgumentParser
import Manifest
import Model
import Planning
import Ports
import Rendering

extension BootSystem: ExpressibleByArgument {}

/// `berth render boot`: the files by which pciback takes devices when the host starts.
struct RenderBootCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "boot",
    abstract: "Print what makes pciback take devices when the host starts.",
    discussion: """
      For the devices with `hideAtBoot: true`. Nothing is run and, without --write, nothing is written. A device on which \
      dom0 has files is refused.
      """)

  @OptionGroup var manifests: ManifestOptions
  @OptionGroup var global: GlobalOptions

  @Option(
    name: .customLong("for"),
    help: "What makes the host start: initramfs-tools, dracut, grub or nixos.")
  var system: BootSystem

  @Flag(help: "Hide every declared device.") var all = false

  @Flag(help: "Write modprobe.d/berth.conf of the host; print the other files.") var write = false

  func validate() throws {
    if write, !system.usesModuleOptions {
      throw ValidationError("--write writes a file for modprobe, which --for \(system.rawValue) does not use")
    }
  }

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let loaded = try load(try manifests.resolved(in: context), in: context)
    let look = try lookAtDevices(DesiredState.lockedFacts.union(FunctionFact.usual), in: context)
    let inventory = Inventory(functions: look.listing.devices.map(\.function), facts: DesiredState.lockedFacts)
    let open = loaded.desired.locked(on: "", in: inventory).open
    var warnings = look.warnings
    for step in open {
      warnings.append(warn("\(step.label): \(step.obstacle.rawValue), \(step.evidence)", in: context))
    }
    guard !open.contains(where: \.countsAsBlocked) else {
      throw Failure(.blocked, "not every declared device is found", hint: "`berth plan` shows what to do")
    }
    let desired = loaded.desired.resolved(in: inventory)
    let functions = inventory.functions.filter { function in
      desired.domains.contains { $0.devices.contains { $0.address == function.address } }
    }
    let drivers = try nativeDrivers(of: functions, look.session, in: context)
    let facts = look.session.boot()
    let plan = BootPlan(
      host: try hostName(in: context), desired: desired, takesAll: all, listing: look.listing, drivers: drivers,
      commandLine: system == .grub ? facts.commandLine : nil)
    try check(plan)
    warnings += remarks(on: plan, facts).map { warn($0, in: context) }
    let view = BootView(plan: plan, system: system, warnings: warnings)
    if write {
      let bytes = Array(view.moduleOptions.description.utf8)
      let path = try asking(context) { () throws(HostError) in try look.session.replaceModuleOptions(bytes) }
      context.standardError("\(global.errorStyle(in: context).printable("wrote \(path)"))\n")
    }
    try show(view, in: context)
    return .done
  }

  /// Returns the drivers before which pciback has to come. Only a kernel's command line comes before all of them.
  private func nativeDrivers(
    of functions: [PCIFunction], _ session: HostSession, in context: CommandContext
  ) throws(Failure) -> [FunctionName: [NativeDriver]] {
    do throws(HostError) { return try session.nativeDrivers(functions) } catch {
      if system == .grub { return [:] }
      let failure = context.failure(for: error, sandbox: global.sandboxDirectory(in: context))
      throw Failure(
        .failed, "\(failure.message), so it is not known before which drivers pciback has to be loaded",
        hint: "run it on the host itself, with the kernel that is to be started")
    }
  }

  private func check(_ plan: BootPlan) throws(Failure) {
    guard !plan.devices.isEmpty else {
      throw Failure(
        .failed, "no declared device has `hideAtBoot: true`", hint: "add it under 'spec.devices', or give --all")
    }
    guard plan.refusals.isEmpty else {
      throw Failure(
        .blocked, plan.refusals.map(\.words).joined(separator: "; "),
        hint: "remove the device from the manifest, or what dom0 has on it from the device")
    }
  }

  /// What a person should know of the files.
  private func remarks(on plan: BootPlan, _ facts: BootFacts) -> [String] {
    var remarks: [String] = []
    for device in plan.devices {
      if !device.isThere { remarks.append("the host has no device at \(device.address) now") }
      for driver in device.drivers.compactMap(\.builtIn) where system != .grub {
        remarks.append(
          "the driver \(driver) of \(device.address) is a part of the kernel, so no module can come before it")
      }
    }
    if facts.isPCIBackBuiltIn == true, system != .grub {
      remarks.append("pciback is a part of this kernel, so only the kernel's command line counts: use --for grub")
    }
    if system == .grub, facts.commandLine == nil {
      remarks.append("dom0's command line could not be read, so its length is not checked")
    }
    return remarks
  }
}
