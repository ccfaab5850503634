import FoundationEssentials
import Glibc
import LinuxAdapter
import Model
import Ports

/// A root that belongs to this process, below the folder that the caller created.
let fuzzRoot: String = {
  let top = unsafe getenv("BERTH_FUZZ_FOLDER").map { unsafe String(cString: $0) } ?? "/tmp"
  return "\(top)/\(getpid())"
}()

func makeFolders(_ path: String) {
  var made = ""
  for part in path.split(separator: "/") {
    made += "/" + part
    _ = unsafe mkdir(made, 0o755)
  }
}

func write(_ text: [UInt8], to path: String) {
  let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
  must(file >= 0, "cannot write \(path)")
  let count = unsafe write(file, text, text.count)
  must(count == text.count, "cannot write \(path)")
  close(file)
}

private let device = PCIAddress("0000:03:00.0")
private let deviceFolder: String = {
  let folder = fuzzRoot + "/sys/bus/pci/devices/0000:03:00.0"
  makeFolders(folder)
  makeFolders(fuzzRoot + "/dev")
  return folder
}()

func hasPlace(_ error: HostError) -> Bool {
  if case .tree(let error) = error { error.place?.isEmpty == false } else { false }
}

/// Tests a device's files in sysfs, and the kernel log.
func readDeviceTree(_ bytes: [UInt8]) {
  guard let device else { return }
  let pieces = texts(bytes, 4)
  for (name, text) in zip(["resource", "irq", "modalias"], pieces) {
    write(Array(text.utf8), to: deviceFolder + "/" + name)
  }
  write(Array(pieces[3].utf8), to: fuzzRoot + "/dev/kmsg")
  let tree = SysfsTree(root: fuzzRoot)
  do throws(HostError) { _ = try tree.facts(of: device) } catch {
    must(hasPlace(error), "an error without a place")
  }
  do throws(HostError) {
    for resource in try tree.grants(for: device).resources {
      must(resource.space == .ports || resource.frames.count > 0, "a range of nothing")
    }
  } catch { must(hasPlace(error), "an error without a place") }
  do throws(HostError) {
    let exports = try tree.listenForExports(sinceBoot: !bytes.isEmpty && bytes[0] & 1 == 0)?.exports()
    must((exports ?? []).count <= bytes.count, "more exports than bytes")
  } catch { wrong("a log that is there can be read") }
}

private let recordFolders: (owned: String, intents: String) = {
  let folders = (fuzzRoot + "/var/lib/berth/domains", fuzzRoot + "/run/berth/intents")
  makeFolders(folders.0)
  makeFolders(folders.1)
  return folders
}()

/// Tests Berth's own files with random damage: they cause an error that names the file, and never an empty answer.
func readRecords(_ bytes: [UInt8]) {
  let name = "/00000000-0000-4000-8000-000000000005.json"
  write(bytes, to: recordFolders.owned + name)
  do throws(HostError) {
    let records = try OwnershipFiles(root: fuzzRoot).records()
    must(records.count == 1, "a file that is there is passed over")
  } catch { must(!"\(error)".isEmpty, "an error without words") }
  write(bytes, to: recordFolders.intents + "/5-attach-1.json")
  do throws(HostError) {
    let intents = try IntentFiles(root: fuzzRoot).intents()
    must(intents.count == 1, "a file that is there is passed over")
  } catch { must(!"\(error)".isEmpty, "an error without words") }
}
