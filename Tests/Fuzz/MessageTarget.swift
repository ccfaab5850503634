@testable import LinuxAdapter

/// Tests lines from a QEMU: each is a message, a reply or an error, whatever else it contains.
func readMessages(_ bytes: [UInt8]) {
  for line in bytes.split(separator: 10) {
    let line = Array(line)
    do throws(QMPUnreadable) {
      let message: QMPMessage = try decodeQMP(line)
      if let error = message.error { must(error.desc.utf8.count <= line.count * 3, "more was read than was said") }
    } catch { must(error == .notQMP || isJSON(line, deeperThan: QMPMessage.deepest), "not deep, and called so") }
    do throws(QMPUnreadable) {
      let _: QMPReply<[QMPBus]> = try decodeQMP(line)
    } catch { continue }
  }
}

/// Tests bytes from the kernel as messages about routes: the reading ends.
func readRoutes(_ bytes: [UInt8]) {
  var answer = RouteAnswer()
  answer.read(bytes[...])
  must(answer.routes.count * 28 <= bytes.count, "more routes than fit")
}
