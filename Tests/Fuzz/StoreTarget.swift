import Model
import XenProtocol

/// Tests bytes from a xenstored, in pieces of one size: the messages are the same, whatever that size is.
func readStoreMessages(_ bytes: [UInt8]) {
  let whole = messages(bytes, pieces: max(1, bytes.count))
  for size in [1, 7, 4096] where size < bytes.count {
    let cut = messages(bytes, pieces: size)
    must(cut.messages == whole.messages && cut.isMalformed == whole.isMalformed, "the pieces change what is read")
  }
  for message in whole.messages {
    must(message.payload.count <= StoreMessage.longestReply, "a payload that is too long")
    _ = (message.words, message.firstWord, message.errorNumber)
  }
}

private func messages(_ bytes: [UInt8], pieces size: Int) -> (messages: [StoreMessage], isMalformed: Bool) {
  var input = StoreInput()
  var found: [StoreMessage] = []
  var rest = bytes[...]
  while !rest.isEmpty {
    input.add(rest.prefix(size))
    rest = rest.dropFirst(size)
    do throws(StoreInput.Malformed) {
      while let message = try input.next() { found.append(message) }
    } catch { return (found, true) }
  }
  return (found, false)
}
