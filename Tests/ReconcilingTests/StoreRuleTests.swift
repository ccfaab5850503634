import TestSupport
import Testing

/// When a commit fails on either daemon, as measured on xenstored and oxenstored of Xen 4.17.
@Suite struct StoreRuleTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var inside: @Sendable (ModelTransaction) -> Void
    var outside: @Sendable (ModelStore) -> Void
    /// Whether the commit succeeds, with the C daemon and with oxenstored.
    var c: Bool
    var ocaml: Bool

    init(
      _ name: String, c: Bool, ocaml: Bool, _ inside: @escaping @Sendable (ModelTransaction) -> Void,
      meanwhile: @escaping @Sendable (ModelStore) -> Void
    ) {
      (testDescription, self.c, self.ocaml, self.inside, outside) = (name, c, ocaml, inside, meanwhile)
    }
  }

  static let cases = [
    Case("read, and changed to another value", c: false, ocaml: false) {
      _ = $0.read("/be/num_devs")
      $0.write("/be/dev-1", "b")
    } meanwhile: {
      $0["/be/num_devs"] = "2"
    },
    Case("read and written, and written with the value it had", c: false, ocaml: true) {
      _ = $0.read("/be/num_devs")
      $0.write("/be/num_devs", "2")
    } meanwhile: {
      $0["/be/num_devs"] = "1"
    },
    Case("written unread, and written", c: false, ocaml: true) {
      $0.write("/be/state", "7")
    } meanwhile: {
      $0["/be/state"] = "8"
    },
    Case("only read, and written", c: false, ocaml: true) {
      _ = $0.read("/be/state")
    } meanwhile: {
      $0["/be/state"] = "7"
    },
    Case("read, and written there and back", c: false, ocaml: true) {
      _ = $0.read("/be/state")
      $0.write("/be/dev-0", "b")
    } meanwhile: {
      $0["/be/state"] = "7"
      $0["/be/state"] = "4"
    },
    Case("found missing, and made", c: false, ocaml: false) {
      _ = $0.read("/be/dev-1")
      $0.write("/be/dev-1", "b")
    } meanwhile: {
      $0["/be/dev-1"] = "c"
    },
    Case("listed, and given a child", c: false, ocaml: false) {
      _ = $0.list("/be")
      $0.write("/other", "x")
    } meanwhile: {
      $0["/be/dev-1"] = "c"
    },
    Case("listed, and a child written", c: true, ocaml: true) {
      _ = $0.list("/be")
      $0.write("/other", "x")
    } meanwhile: {
      $0["/be/state"] = "7"
    },
    Case("given a child, and given another", c: false, ocaml: true) {
      $0.write("/be/dev-1", "b")
    } meanwhile: {
      $0["/be/dev-2"] = "c"
    },
    Case("removed and created again, and written below", c: false, ocaml: true) {
      $0.remove("/be")
      $0.write("/be/dev-0", "b")
    } meanwhile: {
      $0["/be/state"] = "7"
    },
    Case("given a child, and removed", c: false, ocaml: true) {
      $0.write("/be/dev-1", "b")
    } meanwhile: {
      $0["/be"] = nil
    },
    Case("read, and written elsewhere", c: true, ocaml: true) {
      _ = $0.read("/be/state")
      $0.write("/be/dev-0", "b")
    } meanwhile: {
      $0["/other"] = "x"
    },
  ]

  @Test(arguments: StoreRuleTests.cases, ModelStore.Rule.allCases)
  func `a commit succeeds if the daemon allows it`(_ scene: Case, _ rule: ModelStore.Rule) {
    let store = ModelStore(rule: rule)
    for (name, value) in [("num_devs", "1"), ("state", "4"), ("dev-0", "a")] { store["/be/\(name)"] = value }
    store["/other"] = ""
    let transaction = store.begin()
    scene.inside(transaction)
    scene.outside(store)
    let before = store.children(of: "/be")
    let isDone = transaction.commit()
    #expect(isDone == (rule == .c ? scene.c : scene.ocaml))
    if !isDone { #expect(store.children(of: "/be") == before, "a conflict writes nothing") }
  }

  @Test func `oxenstored lets a blind write recreate a removed back end`() {
    let store = ModelStore(rule: .ocaml)
    store["/be/state"] = "4"
    let transaction = store.begin()
    transaction.write("/be/dev-1", "b")
    store["/be"] = nil
    #expect(transaction.commit())
    #expect(store.children(of: "/be") == ["dev-1"])
  }
}
