/// The JSON Schema (2020-12) of a manifest's document, as text with a line end.
///
/// It is made of the tables that the reader goes by. What needs more than one place to decide (a device declared
/// twice, a name without a definition) only the reader finds.
package func manifestSchema() -> String {
  let head: [JSONValue.Member] = [
    .init(key: "$schema", value: .string("https://json-schema.org/draft/2020-12/schema")),
    .init(key: "$id", value: .string("urn:berth:v1alpha1:HostAssignments")),
    .init(key: "title", value: .string("Berth host assignments")),
  ]
  guard case .object(let members) = ValueType<ManifestDocument>.document.schema else { return "{}\n" }
  return JSONValue.object(head + members).text + "\n"
}
