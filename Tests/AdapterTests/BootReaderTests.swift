import Model
import Ports
import TestSupport
import Testing

@testable import LinuxAdapter

/// How dom0 starts, as its files show it.
struct BootReaderTests {
  private func function(_ change: (inout PCIFunction) -> Void = { _ in }) throws -> PCIFunction {
    var function = PCIFunction(name: try #require(FunctionName("0000:03:00.0")))
    (function.id, function.subsystem, function.deviceClass) = (
      DeviceID("8086:15f3"), DeviceID("1043:87d2"), 0x020000
    )
    change(&function)
    return function
  }

  private func folder(_ aliases: String = "", builtIn: String? = nil) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.write("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n")
    try folder.write("lib/modules/6.1.0-18-amd64/modules.alias", aliases)
    if let builtIn { try folder.write("lib/modules/6.1.0-18-amd64/modules.builtin", builtIn) }
    return folder
  }

  @Test func `an alias is what udev asks modprobe for`() throws {
    #expect(
      BootReader.alias(of: try function()) == "pci:v00008086d000015F3sv00001043sd000087D2bc02sc00i00")
    #expect(BootReader.alias(of: try function { $0.subsystem = nil })?.contains("sv00000000sd00000000") == true)
    #expect(BootReader.alias(of: try function { $0.id = nil }) == nil)
  }

  @Test(arguments: [
    ("*", "", true), ("", "", true), ("", "a", false), ("a*c", "abbc", true), ("a*c", "abb", false),
    ("a*b*c", "aXbXbc", true),
    ("**a", "ba", true), ("a", "ab", false), ("ab*", "ab", true), ("*ab*", "aab", true),
  ])
  func `a star stands for any part`(_ pattern: String, _ text: String, _ fits: Bool) {
    #expect(BootReader.matches(pattern.utf8, Array(text.utf8)) == fits)
  }

  @Test func `the modules that would take a function, and the driver that has it`() throws {
    let aliases = """
      # Aliases extracted from modules themselves.
      alias pci:v00008086d000015F3sv*sd*bc*sc*i* igc
      alias pci:v00008086d00001533sv*sd*bc*sc*i* igb
      alias pci:v*d*sv*sd*bc02sc00i* some-class
      alias pci:v00008086d*sv*sd*bc*sc*i* xen-pciback
      alias usb:v00008086* other
      alias pci:v00008086d000015F3sv*
      """
    let folder = try folder(aliases)
    let reader = BootReader(root: folder.path)
    let found = try reader.nativeDrivers(of: [try function()])
    #expect(found[try function().name] == [NativeDriver(module: "igc"), NativeDriver(module: "some_class")])
    // A driver without a module is a part of the kernel.
    let held = try reader.nativeDrivers(of: [try function { $0.driver = "ahci" }])
    #expect(held[try function().name]?.last == NativeDriver(builtIn: "ahci"))
    let free = try reader.nativeDrivers(of: [try function { $0.driver = "pciback" }])
    #expect(free[try function().name]?.contains { $0.builtIn != nil } == false)
  }

  @Test func `what was read of a start, and what could not be`() throws {
    let folder = try folder(builtIn: "kernel/drivers/xen/xen-pciback/xen-pciback.ko\nkernel/x.ko\n")
    try folder.write("proc/cmdline", "root=/dev/sda1 quiet\n")
    let facts = BootReader(root: folder.path).boot()
    #expect(facts.kernel == "6.1.0-18-amd64" && facts.commandLine == "root=/dev/sda1 quiet")
    #expect(facts.isPCIBackBuiltIn == true)
    try folder.write("lib/modules/6.1.0-18-amd64/modules.builtin", "kernel/x.ko\n")
    #expect(BootReader(root: folder.path).boot().isPCIBackBuiltIn == false)
    let empty = try TemporaryFolder()
    #expect(BootReader(root: empty.path).boot() == BootFacts())
    #expect(throws: DeviceTreeError.self) { try BootReader(root: empty.path).nativeDrivers(of: []) }
    // A release that would lead to another folder is none.
    try folder.write("proc/sys/kernel/osrelease", "../../etc\n")
    #expect(BootReader(root: folder.path).boot().kernel == nil)
  }

  @Test func `the file of options is replaced as a whole, and a missing folder is named`() throws {
    let folder = try TemporaryFolder()
    #expect(throws: RecordError.self) { try BootReader(root: folder.path).replaceModuleOptions(with: [1]) }
    try folder.write("etc/modprobe.d/berth.conf", "old, and longer")
    let path = try BootReader(root: folder.path).replaceModuleOptions(with: Array("new\n".utf8))
    #expect(path == "\(folder.path)/etc/modprobe.d/berth.conf")
    #expect(String(decoding: try folder.read("etc/modprobe.d/berth.conf"), as: UTF8.self) == "new\n")
  }

  @Test func `what is in force, and the files that should make it so`() throws {
    let folder = try folder()
    try folder.write("sys/module/xen_pciback/parameters/hide", "(0000:03:00.0)\n")
    try folder.write(
      "etc/modprobe.d/a.conf",
      """
      # options xen-pciback hide=(0000:01:00.0)
      options xen_pciback permissive=1 hide=(0000:03:00.0)
      options igb hide=(0000:02:00.0)
      options xen-pciback \\
        hide=(0000:04:00.0)
      """)
    try folder.write("etc/modprobe.d/b.conf~", "options xen-pciback hide=(0000:05:00.0)\n")
    try folder.write("boot/initramfs-6.1.0-18-amd64.img", "")
    try folder.write("proc/sys/kernel/random/boot_id", "6f6d3c2e-8b1a-4c52-9a53-0d6c1f0f2a11\n")
    let facts = BootReader(root: folder.path).boot()
    #expect(facts.hideParameter == "(0000:03:00.0)")
    #expect(facts.moduleOptions.map(\.hide) == ["(0000:03:00.0)", "(0000:04:00.0)"])
    #expect(facts.moduleOptions.allSatisfy { $0.path.hasSuffix("etc/modprobe.d/a.conf") && $0.changedAt > 0 })
    #expect(facts.image?.path.hasSuffix("boot/initramfs-6.1.0-18-amd64.img") == true)
    #expect(facts.bootID == "6f6d3c2e-8b1a-4c52-9a53-0d6c1f0f2a11")
    // What the kernel prints if nobody has set the parameter.
    try folder.write("sys/module/xen_pciback/parameters/hide", "(null)\n")
    #expect(BootReader(root: folder.path).boot().hideParameter == "")
  }
}
