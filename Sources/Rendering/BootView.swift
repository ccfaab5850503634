package import Model
package import Planning

/// What makes a host start, for which files are printed.
package enum BootSystem: String, Sendable, CaseIterable {
  case initramfsTools = "initramfs-tools"
  case dracut, grub, nixos

  /// Whether pciback's options are in a file of modprobe's.
  package var usesModuleOptions: Bool { self == .initramfsTools || self == .dracut }
}

/// The files that make pciback take devices when a host starts.
package struct BootView: View {
  private let plan: BootPlan
  private let system: BootSystem
  private let warnings: [String]

  package init(plan: BootPlan, system: BootSystem, warnings: [String] = []) {
    (self.plan, self.system, self.warnings) = (plan, system, warnings)
  }

  package var document: BootDocument {
    BootDocument(
      host: plan.host, system: system.rawValue, hide: plan.hidden, modules: plan.modules, fingerprint: plan.fingerprint,
      files: files(TextStyle()).map { BootFileDocument(path: $0.path, isAdded: $0.isAdded, text: $0.text.description) },
      next: next, warnings: warnings)
  }

  package func text(_ style: TextStyle) -> TerminalText {
    var text: TerminalText = ""
    for file in files(style) {
      text += "## \(style.printable(file.path))\(file.isAdded ? TerminalText(", to be added") : "")\n\(file.text)\n"
    }
    for line in Words.lines("Then run \(next), and restart the host.", indent: 3, first: 3) {
      text += "## \(style.printable(line))\n"
    }
    return text
  }

  /// The content of Berth's own file of options for modules.
  package var moduleOptions: TerminalText { options(TextStyle()) }

  private struct File {
    let path: String
    /// Whether the text is to be added to a file that is there.
    var isAdded = false
    let text: TerminalText
  }

  private func files(_ style: TextStyle) -> [File] {
    switch system {
    case .initramfsTools:
      [
        File(path: "etc/modprobe.d/berth.conf", text: options(style)),
        // A module named there is in the image; its order of loading does not come from there.
        File(path: "etc/initramfs-tools/modules", isAdded: true, text: "xen-pciback\n"),
      ]
    case .dracut:
      [
        File(path: "etc/modprobe.d/berth.conf", text: options(style)),
        File(
          path: "etc/dracut.conf.d/berth.conf",
          text: "\(head(style))force_drivers+=\" xen-pciback \"\ninstall_items+=\" /etc/modprobe.d/berth.conf \"\n"),
      ]
    case .grub: [File(path: "etc/default/grub.d/berth.cfg", text: grub(style))]
    case .nixos: [File(path: "etc/nixos/berth.nix", text: nixos(style))]
    }
  }

  private var next: String {
    switch system {
    case .initramfsTools: "`update-initramfs -u`"
    case .dracut: "`dracut --force`"
    case .grub: "`update-grub`"
    case .nixos: "`nixos-rebuild boot`, with this file among the imports"
    }
  }

  private func head(_ style: TextStyle, _ indent: Int = 0) -> TerminalText {
    var lines = ManifestText(style: style)
    lines.comment(indent, "Made by `berth render boot` for \(plan.host), fingerprint \(plan.fingerprint).")
    for device in plan.devices {
      let about = [device.label, device.id?.description].compactMap(\.self).joined(separator: ": ")
      lines.comment(indent, "\(device.address)" + (about.isEmpty ? "" : " \(about)"))
    }
    return lines.text
  }

  /// pciback has to be there before the driver of a device: udev loads that one before any list of modules is read
  /// (`init`, initramfs-tools 0.142).
  private func options(_ style: TextStyle) -> TerminalText {
    head(style) + "options xen-pciback hide=\(plan.hidden)\n"
      + plan.modules.map { module -> TerminalText in "softdep \(module) pre: xen-pciback\n" }.joined()
  }

  /// The variables of dom0's command line. The last one replaces the first, if a person has set it (`20_linux_xen`, GRUB
  /// 2.06).
  private func grub(_ style: TextStyle) -> TerminalText {
    """
    \(head(style))GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX xen-pciback.hide=\(plan.hidden)"
    if [ -n "$GRUB_CMDLINE_LINUX_XEN_REPLACE" ]; then
      GRUB_CMDLINE_LINUX_XEN_REPLACE="$GRUB_CMDLINE_LINUX_XEN_REPLACE xen-pciback.hide=\(plan.hidden)"
    fi

    """
  }

  private func nixos(_ style: TextStyle) -> TerminalText {
    let softdeps = plan.modules.map { module -> TerminalText in "    softdep \(module) pre: xen-pciback\n" }.joined()
    return """
      \(head(style)){ ... }: {
        boot.initrd.kernelModules = [ "xen-pciback" ];
        boot.extraModprobeConfig = ''
          options xen-pciback hide=\(plan.hidden)
      \(softdeps)  '';
      }

      """
  }
}

extension BootRefusal {
  /// Why the device must not be hidden, for people.
  package var words: String {
    switch self {
    case .interlocked(let device, let interlock):
      "\(device) must stay in dom0: \(interlock.name.rawValue), \(interlock)"
    case .bridge(let device): "\(device) is a bridge: pciback would take everything behind it"
    case .tooLong(let count):
      "the list has \(count) bytes, and a module's parameter has at most \(BootPlan.longestParameter)"
    case .commandLineTooLong(let count):
      "dom0's command line would have \(count) bytes, and Xen passes on \(BootFacts.longestCommandLine)"
    }
  }
}

/// The files for a start of the host, for programs: `{"formatVersion": 1, "kind": "BootFiles", …}`.
///
/// docs/output.md describes each key.
package struct BootDocument: VersionedDocument, Sendable {
  package static let head = DocumentHead(kind: "BootFiles", formatVersion: 1)
  let host: String
  let system: String
  let hide: String
  let modules: [String]
  let fingerprint: String
  let files: [BootFileDocument]
  let next: String
  let warnings: [String]
}

struct BootFileDocument: Encodable, Sendable {
  /// From the root on, without the first `/`.
  let path: String
  let isAdded: Bool
  let text: String
}
