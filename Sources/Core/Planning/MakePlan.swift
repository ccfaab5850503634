/// What would turn what was observed into what is desired.
///
/// Pure and total: the same arguments give the same plan, and there is a plan for every observation.
package func makePlan(desired: DesiredState, observation: Observation) -> Plan {
  Plan(
    host: observation.host, domainCount: observation.domains.count, deviceCount: observation.devices.count,
    policy: desired.policy)
}
