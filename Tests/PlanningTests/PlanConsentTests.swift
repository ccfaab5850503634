import Model
import Planning
import TestSupport
import Testing
import XenProtocol

/// What a person agrees to with a plan, and in what another plan differs.
@Suite struct PlanConsentTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func plan(
    _ kind: DeviceStep.Kind, device: PCIAddress? = nil, id: UInt32 = 2, drivers: [DriverStep] = [],
    hostSteps: [HostStep] = []
  ) -> Plan {
    var plan = Plan.one(kind)
    plan.domains = [
      DomainPlan(
        name: "sys-net", uuid: Sample.uuid(2), id: DomainID(id), kind: .pv, lifecycle: .running,
        steps: [DeviceStep(domain: .uuid(Sample.uuid(2)), device: device ?? one, kind: kind)])
    ]
    plan.driverSteps = drivers
    plan.hostSteps = hostSteps
    return plan
  }

  private func consent(_ plan: Plan, boot: String? = "b") -> PlanConsent { PlanConsent(to: plan, bootID: boot) }

  private func attach(id: UInt32 = 2, _ options: DeviceOptions = DeviceOptions()) -> DeviceStep.Kind {
    .change(
      .attach(options, because: .declared),
      in: DomainTarget(
        key: DomainKey(id: DomainID(id), uuid: Sample.uuid(2)), name: "sys-net", route: .frontEnd, mode: .hot))
  }

  @Test func `equal plans do not differ, and what does not change is no part of a consent`() {
    let mine = consent(plan(attach()))
    #expect(mine.differences(in: consent(plan(attach()))) == [])
    var more = plan(attach())
    more.domains.append(
      DomainPlan(
        name: "other", uuid: Sample.uuid(7), id: DomainID(7), kind: .pv, lifecycle: .running,
        steps: [DeviceStep(domain: .uuid(Sample.uuid(7)), device: two, kind: .foreign)]))
    more.domainCount += 1
    more.deviceCount += 5
    #expect(consent(more) == mine)
  }

  @Test func `a fact that differs is named with both of its values`() {
    let saved = consent(plan(attach()))
    guard case .fact(_, let key, let before, let after)? = saved.differences(in: consent(plan(attach(id: 9)))).first
    else {
      Issue.record("no fact")
      return
    }
    #expect(key == .domid && before == "2" && after == "9")
    let permissive = saved.differences(in: consent(plan(attach(DeviceOptions(permissive: true)))))
    guard case .fact(_, .after, let old, let new)? = permissive.first, permissive.count == 1 else {
      Issue.record("\(permissive)")
      return
    }
    #expect(old?.contains("permissive:false") == true && new?.contains("permissive:true") == true)
  }

  @Test func `another host, another start and another set differ`() {
    let saved = consent(plan(attach()))
    var other = plan(attach())
    other.host.name = "host18"
    other.set = "b"
    #expect(
      saved.differences(in: consent(other, boot: "c")) == [
        .host(saved: "host17", now: "host18"), .boot, .set(saved: "default", now: "b"),
      ])
    #expect(saved.differences(in: consent(plan(attach()), boot: nil)) == [.boot])
  }

  @Test func `a change that is not needed any more, and one that nobody agreed to`() throws {
    let saved = consent(plan(attach()))
    let fresh = consent(plan(attach(), device: two))
    let (old, new) = (try #require(saved.changes.first), try #require(fresh.changes.first))
    #expect(saved.differences(in: fresh) == [.noLongerNeeded(old), .notAgreed(new)])
    #expect(saved.differences(in: consent(plan(.unchanged))) == [.noLongerNeeded(old)])
    #expect(consent(plan(.unchanged)).differences(in: saved) == [.notAgreed(old)])
    // The same device, and another action.
    #expect(saved.differences(in: consent(plan(.detach()))).count == 2)
  }

  @Test func `steps about drivers are part of it, repairs for domains that are gone are not compared`() {
    let prepare = DriverStep(.prepare, device: one, driver: "igb", domain: "sys-net")
    let saved = consent(plan(attach(), drivers: [prepare]))
    #expect(saved.differences(in: consent(plan(attach()))).count == 1)
    let other = DriverStep(.prepare, device: one, driver: "vfio-pci", domain: "sys-net")
    let differences = saved.differences(in: consent(plan(attach(), drivers: [other])))
    guard case .fact(_, .driver, let before, let after)? = differences.first, differences.count == 1 else {
      Issue.record("\(differences)")
      return
    }
    #expect(before == "igb" && after == "vfio-pci")
    let repair = HostStep(.removeClaim(two, of: DomainID(9)), evidence: "")
    let withRepair = plan(attach(), drivers: [prepare], hostSteps: [repair])
    #expect(saved.differences(in: consent(withRepair)) == [] && consent(withRepair) != saved)
    #expect(withRepair.keepingHostRepairs(agreedIn: saved).hostSteps == [])
    #expect(withRepair.keepingHostRepairs(agreedIn: consent(withRepair)).hostSteps == [repair])
  }

  @Test func `what stands on an overridden device is a fact, and host repairs are in no fingerprint's text`() {
    func prepare(_ standing: String?) -> DriverStep {
      DriverStep(
        .prepare, device: one, driver: "nvme", domain: "sys-net", evidence: standing,
        override: InterlockOverride(reason: "it is spare", user: "eve"))
    }
    let saved = consent(plan(attach(), drivers: [prepare("sda → /srv")]))
    for other in ["sda → /var", nil] {
      #expect(saved.differences(in: consent(plan(attach(), drivers: [prepare(other)]))).count == 1)
      #expect(prepare(other).consent != prepare("sda → /srv").consent)
    }
    let repair = HostStep(.removeClaim(two, of: DomainID(9)), evidence: "")
    #expect(consent(plan(attach(), hostSteps: [repair])).text == consent(plan(attach())).text)
  }

  @Test func `the claimant that a repair replaces, and the mode of a domain that loses a device, are facts`() {
    func source(_ mode: ChangeMode) -> DomainTarget {
      DomainTarget(
        key: DomainKey(id: DomainID(3), uuid: Sample.uuid(3)), name: "other", route: .frontEnd, mode: mode)
    }
    func claim(_ owner: UInt32) -> DeviceStep.Kind {
      .change(.repair(.writeClaim(replacing: DomainID(owner))), in: .some("sys-net"))
    }
    func move(_ mode: ChangeMode) -> DeviceStep.Kind {
      .change(.move(from: source(mode), DeviceOptions()), in: .some("sys-net"))
    }
    #expect(consent(plan(claim(3))).differences(in: consent(plan(claim(5)))).count == 1)
    #expect(consent(plan(move(.cold))).differences(in: consent(plan(move(.hot)))).count == 1)
  }

  @Test func `an apply that is repeated finds its changes made`() {
    let saved = consent(plan(attach()))
    #expect(saved.isCarriedOut(in: plan(.unchanged)))
    #expect(!saved.isCarriedOut(in: plan(attach())), "it is still needed")
    #expect(!saved.isCarriedOut(in: plan(.pending(.domainAbsent))))
    #expect(!saved.isCarriedOut(in: plan(.unchanged, device: two)))
    #expect(!saved.isCarriedOut(in: plan(.unchanged, id: 9)), "another life of the domain")
    var refused = plan(.unchanged)
    refused.refusal = .emptyManifest(planned: 1)
    #expect(!saved.isCarriedOut(in: refused))
    let release = consent(plan(.unchanged, drivers: [DriverStep(.release, device: two, driver: "igb")]))
    #expect(!release.isCarriedOut(in: plan(.unchanged)), "no plan shows which driver has the device")
    let prepare = consent(plan(attach(), drivers: [DriverStep(.prepare, device: one, driver: "igb")]))
    #expect(prepare.isCarriedOut(in: plan(.unchanged)))
    let detach = consent(plan(.detach()))
    #expect(detach.isCarriedOut(in: plan(.unchanged, device: two)) && !detach.isCarriedOut(in: plan(.foreign)))
  }

  @Test func `names from outside cannot end a field or a line`() throws {
    for name in ["a b", "x=y", "line\nattach uuid=1", "per%cent", "ünïcode", "\u{1B}[31m", ""] {
      let target = DomainTarget(
        key: DomainKey(id: DomainID(2), uuid: Sample.uuid(2)), name: Name(name), route: .frontEnd, mode: .hot)
      let step = plan(.change(.attach(DeviceOptions(), because: .declared), in: target))
      let change = try #require(consent(step).changes.first)
      #expect(change.text.split(separator: "\n").count == 1)
      #expect(change.text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
      #expect(change.facts[.domain] == name)
      #expect(ConsentedChange(text: change.text) == change)
    }
  }

  @Test(arguments: [
    "", "launch uuid=1", "attach device", "attach nonsense=1", "attach device=a device=b", "attach domid=1 device=a",
    "attach device=a b", "attach  device=a", "attach device=a\n", "attach domain=\u{e9}",
  ])
  func `a text that this version does not write is no change`(_ text: String) {
    #expect(ConsentedChange(text: text) == nil)
  }
}
