import Model
import Planning
import Sandbox

/// Measures what it costs to save a plan, and to check one, on a host of 1000 domains with eight devices each.
///
/// Each device gets another option, so that all 8000 are changes. The whole program is measured, with the file and without
/// it, in turns. An apply with `--dry-run` plans, compares, and shows.
func measureSavedPlan(_ programs: Programs) throws -> Section {
  let (count, each, rounds) = (1000, 8, 5)
  var source = DeviceSource()
  let domains = (0..<count).map { DesiredDomain("guest\($0)", source.take(each)) }
  let sandbox = try BenchSandbox(
    domains.map { BenchDomain(name: $0.name, devices: $0.devices.map(\.address)) }, devices: source.all,
    programs: programs, within: .seconds(120))
  _ = try apply(domains, on: sandbox)
  try write(manifestText(domains).replacing("'}", with: "', permissive: true}"), to: sandbox.manifest)
  let place = ["--sandbox", sandbox.paths.directory]
  let file = sandbox.manifest + ".plan"
  let plan = [programs.berth, "plan", "--allow-removals", sandbox.manifest] + place
  let dry = [programs.berth, "apply", "--dry-run", "--allow-removals", sandbox.manifest] + place
  var (planned, saved, shown, checked): ([Double], [Double], [Double], [Double]) = ([], [], [], [])
  for _ in 0..<rounds {
    planned.append(try Run(plan).milliseconds)
    saved.append(try Run(plan + ["--out", file]).milliseconds)
    shown.append(try Run(dry).milliseconds)
    checked.append(try Run([programs.berth, "apply", "--dry-run", file] + place).milliseconds)
  }
  let saving = saved.median / planned.median
  let checking = checked.median / shown.median
  func row(_ title: String, _ times: [Double]) -> [String] {
    [title, times.median.text(decimals: 0), times.least.text(decimals: 0), times.most.text(decimals: 0)]
  }
  return Section(
    title: "A saved plan of \(count * each) changes (C xenstored), in ms, \(rounds) rounds in turns",
    rows: [
      ["", "median", "least", "most"], row("berth plan", planned), row("berth plan --out", saved),
      row("berth apply --dry-run of the manifest", shown), row("berth apply --dry-run of the file", checked),
    ],
    figures: [Figure("saved_plan_ratio", saving), Figure("checked_plan_ratio", checking)],
    notes: [
      "saving takes \(saving.text(decimals: 2)) × planning, and checking \(checking.text(decimals: 2)) ×, median to median"
    ])
}
