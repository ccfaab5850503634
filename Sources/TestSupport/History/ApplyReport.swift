import FoundationEssentials
import Model
import Planning

extension History.Run {
  /// The part of an ApplyResult document that makes claims about devices. Other keys are for people.
  private struct Document: Decodable {
    struct Domain: Decodable {
      var name: String
      var steps: [Step]
      var failure: String?
    }
    struct Step: Decodable {
      struct Device: Decodable { var address: PCIAddress }
      var device: Device
      var action: String
      var result: String
      var isUndone: Bool
      var detail: String?

      func step(in domain: String) throws -> History.Step {
        guard let action = ChangeKind(rawValue: action), let result = StepResult(rawValue: result) else {
          throw Command.Failure(description: "no words of an ApplyResult document: \(action) \(result)")
        }
        return History.Step(domain, device.address, action, result, isUndone: isUndone)
      }
    }
    var exitStatus: Int32
    var domains: [Domain]
  }

  /// Reads what a run reported. A run that cannot read xenstore (69, 75) writes no document, and reports nothing.
  ///
  /// Throws if the output is no ApplyResult document, or if the document has an unknown word or names another exit
  /// status.
  package init(
    _ name: String, _ time: ClosedRange<Duration>, wants wanted: History.Manifest, output: String, errors: String,
    status: Int32
  ) throws {
    self.init(name, time, wants: wanted, status: status)
    guard !(output.isEmpty && [69, 75].contains(status)) else {
      remarks = [errors]
      return
    }
    let document: Document
    do {
      document = try JSONDecoder().decode(Document.self, from: Data(output.utf8))
    } catch {
      throw Command.Failure(description: "no report: \(status) \(output)\(errors)")
    }
    guard document.exitStatus == status else {
      throw Command.Failure(description: "exit status \(status), and the report says \(document.exitStatus)")
    }
    for domain in document.domains {
      for step in domain.steps {
        steps.append(try step.step(in: domain.name))
        if step.result != StepResult.done.rawValue, let detail = step.detail {
          remarks.append("\(step.device.address): \(detail)")
        }
      }
      if let failure = domain.failure { remarks.append("\(domain.name): \(failure)") }
    }
  }
}
