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
    .systemLibrary(name: "CXenStore", pkgConfig: "xenstore", providers: [.apt(["libxen-dev"])]),
    .systemLibrary(name: "CXenControl", pkgConfig: "xencontrol", providers: [.apt(["libxen-dev"])]),
    /** Preloaded into stock xenstored, libxl and xl. It replaces Xen by the sandbox's hypervisor. */
    .target(name: "CPreload", linkerSettings: [.linkedLibrary("dl")]),
    /** Linux calls that Swift's Glibc module lacks. */
    .target(name: "CLinux"),

    // MARK: Pure
    /** Values, the planner and the port protocols. Imports nothing. */
    .target(name: "Core"),
    /** Turns YAML text into checked desired state. Reports every error with file, line and column. */
    .target(name: "Manifest", dependencies: ["Core", "CYAML"]),
    /** Turns plans, status and events into text and JSON documents. */
    .target(name: "Rendering", dependencies: ["Core"]),

    // MARK: Effects
    /** The engine: observe, claim, change, wait, verify, undo. It knows ports, but no host. */
    .target(name: "Reconciling", dependencies: ["Core"]),
    /** xenstore and the hypervisor, through their C libraries. */
    .target(name: "XenAdapter", dependencies: ["Core", "CXenStore", "CXenControl"]),
    /** sysfs, pciback, libxl's userdata files and locks, Berth's own records. */
    .target(name: "LinuxAdapter", dependencies: ["Core", "CLinux"]),
    /** A simulated host: a private real xenstored, and a simulated kernel and hypervisor. */
    .target(name: "Sandbox", dependencies: ["Core", "Manifest", "CLinux"]),

    // MARK: Programs
    /** One file per command: arguments, operation, view, exit code. */
    .target(
      name: "Commands",
      dependencies: [
        "Core", "Manifest", "Rendering", "Reconciling", "Sandbox",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    /** The only target that joins ports and adapters. */
    .executableTarget(
      name: "berth", dependencies: ["Commands", "Sandbox", "LinuxAdapter", "XenAdapter", "Core"]),

    // MARK: Measuring
    /** The program of `make bench`. It is not part of the product, so it is among the tests. */
    .executableTarget(
      name: "berth-bench",
      dependencies: ["Core", "Reconciling", "Sandbox", "LinuxAdapter", "XenAdapter", "CXenStore"],
      path: "Tests/Bench"),

    // MARK: Tests
    /** Preloaded into a program under test. It ends the program at a call that changes what others see. */
    .target(name: "CCut", path: "Tests/CutPoints"),
    /** In-memory ports, golden files, temporary folders, and one sandbox per test. */
    .target(name: "TestSupport", dependencies: ["Core"]),
    .testTarget(name: "CoreTests", dependencies: ["Core", "TestSupport"], exclude: ["Fixtures"]),
    .testTarget(name: "ManifestTests", dependencies: ["Core", "Manifest", "TestSupport"], exclude: ["Fixtures"]),
    .testTarget(name: "RenderingTests", dependencies: ["Core", "Rendering", "TestSupport"], exclude: ["Fixtures"]),
    .testTarget(
      name: "CommandsTests", dependencies: ["Commands", "Core", "Reconciling", "Rendering", "Sandbox", "TestSupport"],
      exclude: ["Fixtures"]),
    .testTarget(
      name: "ReconcilingTests", dependencies: ["Core", "Reconciling", "TestSupport"]),
    .testTarget(
      name: "AdapterTests", dependencies: ["Core", "LinuxAdapter", "XenAdapter", "TestSupport"]),
    .testTarget(
      name: "SandboxTests", dependencies: ["Core", "Sandbox", "TestSupport"], exclude: ["Fixtures"]),
    .testTarget(
      name: "IntegrationTests", dependencies: ["Core", "TestSupport", "berth"]),
  ]
)

// libFuzzer provides the program's `main`, so only `Scripts/fuzz.py` builds this target, with its sanitizer.
if Context.environment["BERTH_FUZZ"] != nil {
  package.targets.append(
    .executableTarget(
      name: "berth-fuzz", dependencies: ["Core", "Manifest", "Reconciling", "LinuxAdapter"], path: "Tests/Fuzz",
      exclude: ["corpus", "words.dict"]))
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
