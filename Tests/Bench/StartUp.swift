import Model
import Sandbox

/// Measures small commands from start to end, beside xl's.
func measureStartUp(_ programs: Programs) throws -> Section {
  var section = Section(
    title: "Start to end of small commands, in ms", rows: [["", "runs", "least", "median"]], figures: [])
  let small = try SmallHost(programs)
  let (version, nothing, help, list) = try measure(programs, small, runs: 200)
  let rows = [
    ("berth --version", "version", version), ("berth plan, nothing to do", "small_plan", nothing),
    ("xl --help", "xl_help", help), ("xl list, on the same sandbox", "xl_list", list),
  ]
  for (title, key, times) in rows where !times.isEmpty {
    section.rows.append([title, "\(times.count)", times.least.text(decimals: 2), times.median.text(decimals: 2)])
    section.figures += [Figure("\(key)_min_ms", times.least), Figure("\(key)_median_ms", times.median)]
  }
  if help.isEmpty {
    section.notes = ["xl is not installed: there is nothing to compare with"]
  } else {
    section.figures += [
      Figure("startup_ratio_xl", version.least / help.least), Figure("small_plan_ratio_xl", nothing.least / list.least),
    ]
    section.notes = [
      "berth --version takes \((version.least / help.least).text(decimals: 2)) × xl --help, least to least",
      "berth plan takes \((nothing.least / list.least).text(decimals: 2)) × xl list, least to least",
    ]
  }
  return section
}

/// A sandbox with a few devices attached as its manifest declares them.
private struct SmallHost {
  let sandbox: BenchSandbox

  init(_ programs: Programs) throws {
    var source = DeviceSource()
    let domains = ["sys-net", "sys-usb"].map { DesiredDomain($0, source.take(2)) }
    sandbox = try BenchSandbox(
      domains.map { BenchDomain(name: $0.name, devices: $0.devices.map(\.address)) }, devices: source.all,
      programs: programs)
    // The devices are adopted, so that nothing needs to be done.
    _ = try apply(domains, on: sandbox)
    try write(manifestText(domains), to: sandbox.manifest)
  }
}

/// Runs the commands in turns, so that other load on the machine affects all of them.
private func measure(
  _ programs: Programs, _ small: SmallHost, runs: Int
) throws -> ([Double], [Double], [Double], [Double]) {
  let directory = small.sandbox.paths.directory
  // The program is copied, as an installation does: in memory, the pages of a linked file are smaller than a copy's.
  let berth = directory + "/berth"
  _ = try Run(["/bin/cp", programs.berth, berth])
  let plan = [berth, "plan", "--detailed-exitcode", "--sandbox", directory, small.sandbox.manifest]
  let environment = small.sandbox.paths.environment(forXenTools: programs.preload)
  var times: ([Double], [Double], [Double], [Double]) = ([], [], [], [])
  for _ in 0..<runs {
    times.0.append(try Run([berth, "--version"]).milliseconds)
    times.1.append(try Run(plan).milliseconds)
    guard let xl = programs.xl else { continue }
    // xl prints its help, and ends with an error if there is no Xen. In both cases it has started and ended.
    times.2.append(try Run([xl, "--help"], expecting: [0, 1]).milliseconds)
    times.3.append(try Run([xl, "list"], environment: environment).milliseconds)
  }
  return times
}
