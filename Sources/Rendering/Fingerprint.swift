import CMessageDigest
package import Planning

extension PlanConsent {
  /// `sha256:` and 64 hexadecimal digits, which differ whenever a change or a fact does.
  package var fingerprint: String {
    var context = SHA2_CTX()
    unsafe SHA256Init(&context)
    var text = text
    text.withUTF8 { unsafe SHA256Update(&context, $0.baseAddress, $0.count) }
    var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
    unsafe digest.withUnsafeMutableBufferPointer { unsafe SHA256Final($0.baseAddress, &context) }
    let digits = Array("0123456789abcdef".utf8)
    let word = digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    return Self.fingerprintPrefix + String(decoding: word, as: UTF8.self)
  }

  private static let fingerprintPrefix = "sha256:"

  /// Whether a text can be a fingerprint.
  package static func isFingerprint(_ text: String) -> Bool {
    guard text.hasPrefix(fingerprintPrefix) else { return false }
    let digits = text.utf8.dropFirst(fingerprintPrefix.utf8.count)
    return digits.count == 64
      && digits.allSatisfy {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
      }
  }
}
