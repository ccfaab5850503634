// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "berth",
  products: [
    .executable(name: "berth", targets: ["berth"]),
    .library(name: "BerthPreload", type: .dynamic, targets: ["CPreload"]),
    .library(name: "BerthCut", type: .dynamic, targets: ["CCut"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
  ],
  targets: [
    // MARK: C libraries: a module map and shim.h, no Swift
    .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(name: "CMessageDigest", pkgConfig: "libmd", providers: [.apt(["libmd-dev"])]),
    .systemLibrary(name: "CXenStore", pkgConfig: "xenstore", providers: [.apt(["libxen-dev"])]),
    .systemLibrary(name: "CXenControl", pkgConfig: "xencontrol", providers: [.apt(["libxen-dev"])]),
    /** Preloaded into stock xenstored, libxl and xl. It replaces Xen by the sandbox's hypervisor. */
    .target(name: "CPreload", linkerSettings: [.linkedLibrary("dl")]),
    /** Linux calls that Swift's Glibc module lacks. */
    .target(name: "CLinux"),

    // MARK: Pure
    /** Values: addresses, domains, options, desired state, records. */
    .target(name: "Model"),
    /** What Xen's programs agree on: xenstore's paths and nodes, the bus and its edits, libxl's saved configuration. */
    .target(name: "XenProtocol", dependencies: ["Model"]),
    /** What may be asked of a host, and its failures. Adapters see this, and not the planner. */
    .target(name: "Ports", dependencies: ["Model", "XenProtocol"]),
    /** All that decides: plan, drift, status, findings, exit status. */
    .target(name: "Planning", dependencies: ["Model", "XenProtocol", "Ports"]),
    /** YAML text to checked desired state; every error with file, line and column. */
    .target(name: "Manifest", dependencies: ["Model", "CYAML"]),
    /** Plans, status and events to text and JSON documents. */
    .target(name: "Rendering", dependencies: ["Model", "XenProtocol", "Ports", "Planning", "CMessageDigest"]),

    // MARK: Effects
    /** The engine: observe, claim, change, wait, verify, undo. Knows ports, no host. */
    .target(name: "Reconciling", dependencies: ["Model", "XenProtocol", "Ports", "Planning"]),
    /** Keeps a host as declared: triggers, the decision after each look, and the loop. Knows ports, no host. */
    .target(name: "Daemon", dependencies: ["Model", "Ports", "Planning", "Reconciling"]),
    /** Recorded answers of a host's ports: taking, keeping, hiding and playing them. */
    .target(name: "Snapshots", dependencies: ["Model", "XenProtocol", "Ports"]),
    /** xenstore, in its own protocol; the hypervisor, through libxenctrl. */
    .target(name: "XenAdapter", dependencies: ["Model", "XenProtocol", "Ports", "CLinux", "CXenControl"]),
    /** sysfs, pciback, libxl's userdata files and locks, Berth's own records. */
    .target(name: "LinuxAdapter", dependencies: ["Model", "XenProtocol", "Ports", "CLinux"]),
    /** A host to play with: a private real xenstored, simulated kernel and hypervisor. */
    .target(name: "Sandbox", dependencies: ["Model", "XenProtocol", "Ports", "Manifest", "CLinux"]),

    // MARK: Programs
    /** One file per command: arguments, operation, view, exit code. */
    .target(
      name: "Commands",
      dependencies: [
        "Model", "XenProtocol", "Ports", "Planning", "Manifest", "Rendering", "Reconciling", "Snapshots",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    /** `berth sandbox`: brought by the program, so that an engine without the sandbox can be built. */
    .target(
      name: "SandboxCommands",
      dependencies: [
        "Model", "XenProtocol", "Ports", "Planning", "Rendering", "Commands", "Snapshots", "Sandbox",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    /** The only target that joins ports and adapters. */
    .executableTarget(
      name: "berth",
      dependencies: ["Commands", "SandboxCommands", "Sandbox", "LinuxAdapter", "XenAdapter", "Model", "Ports"]),

    // MARK: Measuring
    /** The program of `make bench`. It is not part of the product, so it is among the tests. */
    .executableTarget(
      name: "berth-bench",
      dependencies: [
        "Model", "XenProtocol", "Ports", "Planning", "Reconciling", "Sandbox", "LinuxAdapter", "XenAdapter",
        "CXenStore",
      ],
      path: "Tests/Bench"),

    // MARK: Tests
    /** Preloaded into a program under test. It ends the program at a call that changes what others see. */
    .target(name: "CCut", path: "Tests/CutPoints"),
    /** In-memory ports, golden files, temporary folders, a sandbox for each test. */
    .target(name: "TestSupport", dependencies: ["Model", "XenProtocol", "Ports", "Planning", "Sandbox"]),
    .testTarget(name: "ModelTests", dependencies: ["Model"]),
    .testTarget(
      name: "DaemonTests", dependencies: ["Model", "Ports", "Planning", "Reconciling", "Daemon", "TestSupport"]),
    .testTarget(
      name: "XenProtocolTests", dependencies: ["Model", "XenProtocol", "TestSupport"], exclude: ["Fixtures"]),
    .testTarget(name: "PortsTests", dependencies: ["Ports"]),
    .testTarget(name: "PlanningTests", dependencies: ["Model", "XenProtocol", "Ports", "Planning", "TestSupport"]),
    .testTarget(
      name: "ManifestTests", dependencies: ["Model", "XenProtocol", "Manifest", "TestSupport"], exclude: ["Fixtures"]),
    .testTarget(
      name: "RenderingTests",
      dependencies: ["Model", "XenProtocol", "Ports", "Planning", "Rendering", "TestSupport"], exclude: ["Fixtures"]),
    .testTarget(
      name: "CommandsTests",
      dependencies: [
        "Model", "XenProtocol", "Ports", "Planning", "Commands", "SandboxCommands", "Reconciling", "Rendering",
        "TestSupport",
      ]),
    .testTarget(
      name: "SandboxCommandsTests",
      dependencies: ["Model", "Planning", "Rendering", "Sandbox", "SandboxCommands", "TestSupport"],
      exclude: ["Fixtures"]),
    .testTarget(
      name: "ReconcilingTests",
      dependencies: ["Model", "XenProtocol", "Ports", "Planning", "Reconciling", "TestSupport"]),
    .testTarget(
      name: "SnapshotsTests",
      dependencies: [
        "Model", "XenProtocol", "Ports", "Planning", "Commands", "SandboxCommands", "Reconciling", "Rendering",
        "Snapshots", "LinuxAdapter", "TestSupport",
      ],
      exclude: ["Fixtures"]),
    .testTarget(
      name: "AdapterTests",
      dependencies: [
        "Model", "XenProtocol", "Ports", "Planning", "Snapshots", "LinuxAdapter", "XenAdapter", "TestSupport",
      ],
      exclude: ["Fixtures"]),
    .testTarget(
      name: "SandboxTests",
      dependencies: ["Model", "XenProtocol", "Ports", "LinuxAdapter", "Sandbox", "TestSupport"],
      exclude: ["Fixtures"]),
    .testTarget(
      name: "IntegrationTests", dependencies: ["Model", "XenProtocol", "Ports", "Planning", "TestSupport", "berth"]),
    /** Random attacks on the program's promises. */
    .testTarget(
      name: "AttackTests", dependencies: ["Model", "XenProtocol", "Ports", "Planning", "TestSupport", "berth"],
      path: "Tests/Attacks"),
  ]
)

// libFuzzer provides the program's `main`, so only `Scripts/fuzz.py` builds this target, with its sanitizer.
if Context.environment["BERTH_FUZZ"] != nil {
  package.targets.append(
    .executableTarget(
      name: "berth-fuzz",
      dependencies: [
        "Model", "XenProtocol", "Ports", "Planning", "Manifest", "Reconciling", "LinuxAdapter", "Snapshots",
        "Rendering",
      ],
      path: "Tests/Fuzz", exclude: ["corpus", "words.dict"]))
}

// The strict settings hold for every Swift target from the first commit, because adding them later is expensive.
let cTargets: Set<String> = ["CPreload", "CLinux", "CCut"]
for target in package.targets where target.type != .system && !cTargets.contains(target.name) {
  target.swiftSettings = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
  ]
}
