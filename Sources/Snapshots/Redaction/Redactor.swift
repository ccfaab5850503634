import Model
import Ports

/// Replaces single texts by their kind. Without substitutes it only collects the originals, and returns each as it is.
final class Redactor {
  private(set) var originals: [Substitutes.Kind: Set<String>] = [:]
  private let substitutes: Substitutes?
  private let numbers: NumberPatterns
  /// The kernel's own names of block devices, which say nothing of their owner.
  private let blocks: Set<String>

  init(_ substitutes: Substitutes?, numbers: NumberPatterns, blocks: Set<String>) {
    (self.substitutes, self.numbers, self.blocks) = (substitutes, numbers, blocks)
  }

  /// Folders and files that many hosts have. The names below `sys` and `proc` are the kernel's.
  private static let usualParts: Set<String> = [
    "", ".", "..", "bin", "boot", "dev", "efi", "etc", "home", "lib", "lib64", "mnt", "media", "opt", "root", "run",
    "sbin", "srv", "tmp", "usr", "var", "mapper", "log", "cache", "libvirt", "xen", "berth", "domains", "devices",
    "intents", "locks", "modules", "modprobe.d", "images", "share", "local", "grub", "loader", "xenstored", "socket",
    "disk", "by-id", "by-uuid", "by-path", "by-label", "berth.conf", "xen-pciback.conf", "berth-capture", "kmsg",
    "misc", "user", "shm", "lock", "docker", "overlay2", "containers", "storage", "spool", "mail", "qemu", "container",
  ]
  private static let kernelFolders: Set<String> = ["sys", "proc"]
  /// What the names of Berth's, libxl's and the boot loader's own files begin with.
  private static let usualBeginnings = ["userdata-", "initrd.img-", "initramfs-", "vmlinuz-", "qmp-libxl-"]

  func replace(_ text: String, _ kind: Substitutes.Kind) -> String {
    guard let substitutes else {
      originals[kind, default: []].insert(text)
      return text
    }
    return substitutes.substitute(for: text, kind)
  }

  func name(_ name: Name) -> Name { Name(replace(name.text, .domain)) }

  /// Replaces each part of a path that is not usual. So a path below another one stays below it.
  ///
  /// A number with a form of its own is replaced later, together with all others.
  func path(_ path: String) -> String {
    guard path.contains("/") else { return item(path) }
    var isKernels = false
    let parts = path.split(separator: "/", omittingEmptySubsequences: false).map { part -> String in
      if Self.kernelFolders.contains(String(part)) { isKernels = true }
      return isKernels ? String(part) : item(String(part))
    }
    return parts.joined(separator: "/")
  }

  /// Replaces the name of a volume, a file system or a folder, unless it is a usual one or the kernel's.
  func item(_ text: String) -> String {
    if Self.usualParts.contains(text) || blocks.contains(text) { return text }
    if Self.usualBeginnings.contains(where: { text.hasPrefix($0) }) { return text }
    if kernelFileSystems.contains(text) { return text }
    // The files of Berth's records. The UUID is replaced with all others.
    if DomainUUID(text.prefix(36)) != nil || FunctionName(text.prefix(12)) != nil { return text }
    return replace(text, .item)
  }

  func address(_ text: String) -> String {
    text.hasPrefix("127.") || text == "::1" ? text : replace(text, .address)
  }

  /// Replaces an interface's name only if it has a hardware address in it: `enx525400123456`.
  func interface(_ name: String) -> String {
    let digits = name.dropFirst(3)
    guard name.hasPrefix("enx"), digits.utf8.count == 12, hexadecimal(digits.prefix(6), digits: 6...6) != nil else {
      return name
    }
    let pairs = stride(from: 0, to: 12, by: 2).map { String(digits.dropFirst($0).prefix(2)) }
    let substitute = numbers.substitute(for: pairs.joined(separator: ":"))
    return substitutes == nil ? name : "enx" + substitute.split(separator: ":").joined()
  }

  /// Replaces paths, and the originals of other kinds, in a text that Berth or a program wrote.
  func text(_ text: String) -> String {
    let words = text.split(separator: " ", omittingEmptySubsequences: false).map { word in
      word.hasPrefix("/") || word.hasPrefix("(/") ? path(String(word)) : String(word)
    }
    let replaced = words.joined(separator: " ")
    return substitutes?.replacingWords(in: replaced) ?? replaced
  }

  /// Leaves of a command line the program.
  func command(_ command: String?) -> String? {
    command.map { $0.split(separator: " ").first?.split(separator: "/").last.map { "\($0) …" } ?? "" }
  }

  /// Replaces the file; a function of libxenctrl stays.
  func failure(_ failure: ReadFailure) -> ReadFailure {
    ReadFailure(place: failure.place.contains("/") ? path(failure.place) : failure.place, failure.cause)
  }

  func holder(_ holder: LockHolder?) -> LockHolder? {
    holder.map {
      LockHolder(process: $0.process, command: command($0.command), stranger: $0.stranger.map { replace($0, .person) })
    }
  }

  func port<Code: PortCode>(_ error: PortError<Code>) -> PortError<Code> {
    PortError(
      error.code, operation: error.operation, place: error.place.map { text($0) }, errno: error.errno,
      holder: holder(error.holder), detail: error.detail.map { text($0) })
  }

  func host(_ error: HostError) -> HostError {
    switch error {
    case .store(let error): .store(port(error))
    case .hypervisor(let error): .hypervisor(port(error))
    case .tree(let error): .tree(port(error))
    case .userdata(let error): .userdata(port(error))
    case .record(let error): .record(port(error))
    case .deviceModel(let error): .deviceModel(port(error))
    }
  }

  /// Replaces an answer by `change`, or its failure.
  func recorded<Value>(_ answer: Recorded<Value>?, _ change: (Value) -> Value = { $0 }) -> Recorded<Value>? {
    switch answer {
    case .answer(let value): .answer(change(value))
    case .failure(let error): .failure(host(error))
    case nil: nil
    }
  }

  func recorded<Key, Value>(
    _ answers: [Key: Recorded<Value>], _ change: (Value) -> Value = { $0 }
  ) -> [Key: Recorded<Value>] {
    answers.compactMapValues { recorded($0, change) }
  }

  func files<Content>(_ files: OwnFiles<Content>, _ change: (Content) -> Content) -> OwnFiles<Content> {
    OwnFiles(files.contents.map(change), damaged: files.damaged.map { damaged($0) })
  }

  func damaged(_ file: DamagedFile) -> DamagedFile { DamagedFile(file.kind, file.concern, port(file.error)) }
}

/// The words that stand in place of a device in the list of mounts, for file systems that have none.
private let kernelFileSystems: Set<String> = [
  "rootfs", "tmpfs", "devtmpfs", "devpts", "sysfs", "proc", "cgroup", "cgroup2", "cgroup2fs", "overlay", "none",
  "udev", "mqueue", "debugfs", "tracefs", "bpf", "pstore", "efivarfs", "securityfs", "configfs", "fusectl",
  "hugetlbfs", "systemd-1", "xenfs", "binfmt_misc", "ramfs", "sunrpc", "nsfs", "autofs",
]
