package import Planning

extension ChangeReason {
  package var explanation: Explanation {
    switch self {
    case .declared:
      Explanation(
        meaning: "the manifest declares it for this domain",
        cause: "The manifest names the device for this domain, but the domain does not have it, or has it only in "
          + "part. An entry that the guest has not taken yet counts as missing. Applying attaches the device, or "
          + "continues an attach that stopped.")
    case .notDeclared:
      Explanation(
        meaning: "no longer declared",
        cause: "The manifest does not name the device for this domain. Berth attached or adopted it, or policy.prune "
          + "is `all`. Applying asks the guest to release the device. Then it removes the rights, the claim and the "
          + "saved line.")
    case .optionsDiffer:
      Explanation(
        meaning: "its options differ from the declared ones",
        cause: "The options in opts-N and vdevfn-N of the back end differ from the declared ones. Options cannot be "
          + "changed in place, so the device is detached and attached again. A slot that the manifest does not declare "
          + "is no difference.")
    case .declaredElsewhere:
      Explanation(
        meaning: "declared for another domain than the one that has it",
        cause: "The manifest declares the device for this domain, but another domain has it, and Berth may remove it "
          + "from there. Applying detaches it from that domain first. If that guest does not release it, the device "
          + "stays there.")
    case .alreadyAttached:
      Explanation(
        meaning: "declared, and attached already",
        cause: "The device is attached as declared, but Berth did not attach it. Applying adds it to Berth's record "
          + "and changes nothing on the host. From then on Berth removes the device when it is no longer declared.")
    case .inSync:
      Explanation(
        meaning: "as declared",
        cause: "The device is attached as declared, and all stores agree.")
    case .pruneNever:
      Explanation(
        meaning: "attached by Berth and no longer declared; kept, because policy.prune is `never`",
        cause: "Berth attached or adopted the device, and the manifest does not declare it any more. With "
          + "`policy.prune: never`, Berth detaches nothing that is not declared.",
        remedy: "declare it; `policy.prune: owned` lets Berth remove it")
    case .ownedByOtherSet:
      Explanation(
        meaning: "attached by Berth for another set of manifests, and kept",
        cause: "Another set (`metadata.set`) declares the device, or declared it. No set removes what another set owns."
      )
    case .notOwned:
      Explanation(
        meaning: "attached, but neither declared nor attached by Berth",
        cause: "The device is attached, but the manifest and Berth's record do not name it. Another toolstack or a "
          + "person attached it. Berth shows it and leaves it alone unless policy.prune is `all`.",
        remedy: "declare it, or remove it with \(.command("xl pci-detach", .domain, .address)); `policy.prune: all` "
          + "lets Berth remove it")
    }
  }
}
