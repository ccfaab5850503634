import Glibc
import LinuxAdapter
import Model
import Ports
import Sandbox
import XenAdapter

/// A domain of a bench's scenario: its devices at the start.
struct BenchDomain {
  var name: Name
  var isCold = false
  /// Further keys, in a scenario's form: `kind: hvm`.
  var rest = ""
  var devices: [PCIAddress] = []
}

/// The sandbox of one part, with a real C xenstored. It ends with this object.
final class BenchSandbox {
  let paths: SandboxPaths
  private let controller = SandboxController()

  init(
    _ domains: [BenchDomain], devices: [PCIAddress], programs: Programs, within limit: Duration = .seconds(60)
  ) throws {
    // The sandbox is in memory if possible, like sysfs: file systems on disk create tens of thousands of files slowly.
    // The path is short, because sockets below it must fit in 108 bytes.
    let hasMemory = unsafe access("/dev/shm", W_OK) == 0
    let isLarge = devices.count > 1000 && hasMemory
    var template = Array((isLarge ? "/dev/shm/berth-XXXXXX" : "/tmp/berth-bench-XXXXXX").utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw BenchError("cannot make a folder: errno \(errno)") }
    let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    paths = SandboxPaths(directory: folder)
    do {
      _ = try controller.start(
        scenario: Array(Self.scenario(domains, devices).utf8), scenarioName: "scenario", directory: folder, store: .c,
        serverCommand: [programs.berth, "sandbox", "serve"], preload: programs.preload, until: .now + limit)
    } catch {
      _ = unsafe rmdir(folder)
      throw error
    }
  }

  deinit {
    do { try controller.stop(directory: paths.directory, removeDirectory: true) } catch {
      tell("berth-bench: left behind: \(paths.directory): \(error)", to: STDERR_FILENO)
    }
  }

  /// Returns the sandbox as a host for Berth, over this connector.
  func host(_ stores: any StoreConnector) -> Host {
    Host(
      name: "bench", stores: stores, hypervisor: SandboxHypervisor(paths: paths), tree: SysfsTree(root: paths.root),
      inventory: SysfsInventory(root: paths.root), usage: UsageReader(root: paths.root),
      drivers: SysfsDrivers(root: paths.root), preparations: PreparationFiles(root: paths.root),
      boot: BootReader(root: paths.root),
      userdata: UserdataFiles(root: paths.root),
      deviceModels: QMPDeviceModels(root: paths.root),
      ownership: OwnershipFiles(root: paths.root),
      intents: IntentFiles(root: paths.root), runLocks: RunLockFiles(root: paths.root),
      wallClock: { Machine.secondsSince1970 }, isInterrupted: { false })
  }

  var connector: XenStoreConnector { XenStoreConnector(StorePlace(socket: paths.storeSocket)) }

  /// The path of this sandbox's next manifest.
  var manifest: String { paths.root + "/manifest.yaml" }

  private static func scenario(_ domains: [BenchDomain], _ devices: [PCIAddress]) -> String {
    var text = """
      apiVersion: berth/v1alpha1
      kind: SandboxScenario
      metadata: {name: bench}
      spec:
        host: {introduce: \(domains.count < 100)}
        devices:

      """
    for device in devices {
      let base = 0x1_0000_0000 + UInt64(device.sbdf) << 16
      text += "    - {address: '\(device)', id: '8086:1533', irq: \(16 + device.sbdf % 8), resources: "
      text += "['memory 0x\(hex(base, 1))-0x\(hex(base + 0x3FFF, 1))']}\n"
    }
    text += "  domains:\n"
    for domain in domains {
      text += "    - name: \(domain.name)\n      lifecycle: \(domain.isCold ? "cold" : "running")\n"
      if !domain.rest.isEmpty { text += "      \(domain.rest)\n" }
      text += "      devices: [\(domain.devices.map { "'\($0)'" }.joined(separator: ", "))]\n"
    }
    return text
  }
}

/// Hands out devices of a bench's host, eight functions per slot, from bus 1 on.
struct DeviceSource {
  private(set) var all: [PCIAddress] = []

  mutating func take(_ count: Int) -> [PCIAddress] {
    let first = UInt32(0x100 + all.count)
    // A slot holds the functions of one domain only.
    let aligned = (first + 7) & ~7
    let taken = (0..<UInt32(count)).map { PCIAddress(sbdf: aligned + $0) }
    all += (first..<aligned).map { PCIAddress(sbdf: $0) } + taken
    return taken
  }
}

extension DesiredDomain {
  /// Returns a domain that should have exactly these devices.
  init(_ name: Name, _ devices: [PCIAddress]) {
    self.init(name: name, devices: devices.map { DesiredDevice(address: $0) })
  }
}

/// Returns a manifest for exactly these domains.
func manifestText(_ domains: [DesiredDomain]) -> String {
  var text = "apiVersion: berth/v1alpha1\nkind: HostAssignments\nspec:\n  domains:\n"
  for domain in domains {
    text += "    \(domain.name):\n      devices:\n"
    for device in domain.devices { text += "        - {address: '\(device.address)', id: '8086:1533'}\n" }
  }
  return text
}
