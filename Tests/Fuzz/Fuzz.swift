import Glibc

/// The functions that get random bytes. `BERTH_FUZZ_TARGET` selects the one for a process.
///
/// A target ends the process if a required property does not hold: libFuzzer takes that for a crash, and keeps the
/// bytes.
enum FuzzTarget: String, CaseIterable {
  case manifest, fmt, configuration, bus, qmp, sysfs, inventory, records, store, outside, snapshot, plan

  func take(_ bytes: [UInt8]) {
    switch self {
    case .manifest: readManifest(bytes)
    case .fmt: formatManifest(bytes)
    case .configuration: editConfiguration(bytes)
    case .bus: changeBus(bytes)
    case .qmp: readMessages(bytes)
    case .sysfs: readDeviceTree(bytes)
    case .inventory:
      readInventory(bytes)
      readRoutes(bytes)
    case .records: readRecords(bytes)
    case .store: readStoreMessages(bytes)
    case .outside: readOutsideFile(bytes)
    case .snapshot: readSnapshot(bytes)
    case .plan: readSavedPlan(bytes)
    }
  }

  static let chosen: FuzzTarget = {
    let name = unsafe getenv("BERTH_FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
    guard let target = FuzzTarget(rawValue: name) else {
      print("BERTH_FUZZ_TARGET is to be one of", allCases.map(\.rawValue).joined(separator: ", "))
      exit(64)
    }
    return target
  }()
}

/// libFuzzer's entry (compiler-rt, lib/fuzzer/FuzzerInterface.h).
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  unsafe FuzzTarget.chosen.take(Array(UnsafeBufferPointer(start: start, count: count)))
  return 0
}

/// Ends the process with this message.
func wrong(_ what: String) -> Never {
  let words = Array("berth-fuzz: \(what)\n".utf8)
  _ = unsafe write(STDERR_FILENO, words, words.count)
  abort()
}

func must(_ condition: Bool, _ what: @autoclosure () -> String) {
  guard !condition else { return }
  wrong(what())
}

/// Returns the bytes between the NULs, as texts; exactly `count` of them.
func texts(_ bytes: [UInt8], _ count: Int) -> [String] {
  let pieces = bytes.split(separator: 0, maxSplits: count - 1, omittingEmptySubsequences: false)
  return (0..<count).map { $0 < pieces.count ? String(decoding: pieces[$0], as: UTF8.self) : "" }
}
