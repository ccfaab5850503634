/// What Berth reads of the environment. A variable that is no case of `Variable` cannot be asked for.
package struct Environment: Sendable {
  /// A variable under its name.
  package enum Variable: String, Sendable, CaseIterable {
    case sandbox = "BERTH_SANDBOX"
    case manifest = "BERTH_MANIFEST"
    /// The folder that stands for `/`, for tests.
    case root = "BERTH_ROOT"
    /// The socket of xenstored, as Xen's programs have it.
    case storeSocket = "XENSTORED_PATH"
    case noColor = "NO_COLOR"
    case forceColor = "FORCE_COLOR"
    case forceColorOfBSD = "CLICOLOR_FORCE"
    case terminal = "TERM"
    case locale = "LC_ALL"
    case characters = "LC_CTYPE"
    case language = "LANG"
    case workingDirectory = "PWD"
    /// The person behind sudo.
    case sudoUser = "SUDO_USER"
    case loginName = "LOGNAME"
    case user = "USER"
  }

  private var values: [Variable: String] = [:]

  /// Reads each variable once by its name.
  package init(_ read: (String) -> String?) {
    for variable in Variable.allCases { values[variable] = read(variable.rawValue) }
  }

  package subscript(_ variable: Variable) -> String? {
    get { values[variable] }
    set { values[variable] = newValue }
  }

  /// Returns the value of a variable; nil if it is empty, too.
  package func text(_ variable: Variable) -> String? { values[variable].flatMap { $0.isEmpty ? nil : $0 } }
}
