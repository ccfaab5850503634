import Model

/// Measures how long an apply holds libxl's lock of a domain: one domain after the other, and several at once.
///
/// `lock_held_max_ms` is the longest time of all applies of one and of eight devices. It includes the effect of
/// everything else on the machine, because it is the time of the slowest apply.
func measureLock(_ programs: Programs) throws -> Section {
  var source = DeviceSource()
  let sizes = [1, 8, 32]
  let usual = 8
  let alone = sizes.map { DesiredDomain("alone\($0)", source.take($0)) }
  let together = (1...8).map { DesiredDomain("together\($0)", source.take(8)) }
  let domains = (alone + together).map { BenchDomain(name: $0.name) }
  let sandbox = try BenchSandbox(domains, devices: source.all, programs: programs)

  var section = Section(
    title: "Longest time one apply held a domain's userdata lock, in ms",
    rows: [["", "applies", "median", "longest"]], figures: [])
  var state = HostState(domains.map { DesiredDomain($0.name, []) })
  var longest = 0.0
  func note(_ title: String, _ key: String, _ times: [Double]) {
    section.rows.append([title, "\(times.count)", times.median.text(decimals: 2), times.most.text(decimals: 2)])
    section.figures.append(Figure("lock_held_median_ms_\(key)", times.median))
    section.figures.append(Figure("lock_held_max_ms_\(key)", times.most))
  }
  for (size, domain) in zip(sizes, alone) {
    var times: [Double] = []
    for _ in 0..<20 {
      times.append(try apply(state.setting(domain), on: sandbox).longestLock)
      times.append(try apply(state.setting(DesiredDomain(domain.name, [])), on: sandbox).longestLock)
    }
    note("\(size) device\(size == 1 ? "" : "s"), attach and detach", "k\(size)", times)
    if size <= usual { longest = max(longest, times.most) }
  }
  var times: [Double] = []
  for _ in 0..<10 {
    times.append(try apply(together, on: sandbox).longestLock)
    times.append(try apply(together.map { DesiredDomain($0.name, []) }, on: sandbox).longestLock)
  }
  note("8 domains at once, 8 devices each", "8x8", times)
  section.figures.append(Figure("lock_held_max_ms", longest))
  return section
}
