import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing
import XenProtocol

/// What dom0 serves to guests, read from its back ends' nodes.
@Suite struct ServedDeviceTests {
  private let back = StorePath.servedByHost

  /// Writes nodes below the directory of all back ends, and reads what they say.
  private func served(_ nodes: [String: String]) throws -> ServedDevices {
    let host = ModelHost()
    let store = host.store.connect()
    for (path, value) in nodes {
      let node = path.split(separator: "/").reduce(back) { $0.child(String($1)) }
      try store.transaction(.unlocked) { (access) throws(HostError) in
        try access.write(node, value)
        return .commit(())
      }
    }
    let observation = ObservationIndex(Observation(host: HostFacts(name: "model")))
    return ServedDeviceReader(host: host.host).served(observation)
  }

  @Test func `disks of every back end, with hexadecimal numbers and the words of QEMU`() throws {
    let served = try served([
      "vbd/3/51712/physical-device": "fd:1f", "vbd/3/51712/params": "/dev/vg0/web",
      "vbd/4/51712/params": "/dev/vg0/starting", "vbd/4/51728/params": "",
      "qdisk/5/51712/params": "aio:/images/mail.img", "qdisk/5/51728/params": "/images/with:colon.img",
      "qdisk/5/51744/params": "rbd:pool/mail", "vkbd/5/0/state": "4",
    ])
    #expect(
      Set(served.disks) == [
        ServedDisk(guest: DomainID(3), number: "253:31", path: "/dev/vg0/web"),
        ServedDisk(guest: DomainID(4), number: nil, path: "/dev/vg0/starting"),
        ServedDisk(guest: DomainID(4), number: nil, path: nil),
        ServedDisk(guest: DomainID(5), number: nil, path: "/images/mail.img"),
        ServedDisk(guest: DomainID(5), number: nil, path: "/images/with:colon.img"),
        ServedDisk(guest: DomainID(5), number: nil, path: "rbd:pool/mail"),
      ])
    #expect(served.unread.isEmpty && served.interfaces.isEmpty)
  }

  @Test func `network interfaces with their bridges`() throws {
    let served = try served(["vif/3/0/bridge": "xenbr0", "vif/3/1/mac": "00:16:3e:00:00:01"])
    #expect(
      Set(served.interfaces) == [
        ServedInterface(guest: DomainID(3), bridge: "xenbr0"), ServedInterface(guest: DomainID(3), bridge: nil),
      ])
  }

  @Test func `what is not understood is named`() throws {
    let served = try served(["vbd/x/51712/params": "/dev/sda", "vscsi/3/0/state": "4"])
    #expect(
      Set(served.unread) == ["/local/domain/0/backend/vbd/x", "/local/domain/0/backend/vscsi/3/0"])
  }

  @Test func `without xenstored it is unknown what is served`() {
    let served = ServedDeviceReader(host: ModelHost().host).served(nil)
    #expect(served.unread == ["/local/domain/0/backend"])
  }
}
