/// Reads a scenario; the error holds every finding.
func parseScenario(_ text: [UInt8], name: String) throws(SandboxError) -> Scenario {
  Scenario()
}
