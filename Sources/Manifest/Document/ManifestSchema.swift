/// Returns the JSON Schema (2020-12) of a manifest's document, as text with a line end.
///
/// It is built from the tables that the reader uses. Some errors involve more than one place: a device declared twice,
/// a name without a definition. Only the reader finds them.
package func manifestSchema() -> String {
  let head: [JSONValue.Member] = [
    .init(key: "$schema", value: .string("https://json-schema.org/draft/2020-12/schema")),
    .init(key: "$id", value: .string("urn:berth:v1alpha1:HostAssignments")),
    .init(key: "title", value: .string("Berth host assignments")),
  ]
  guard case .object(let members) = ValueType<ManifestDocument>.document.schema else { return "{}\n" }
  return JSONValue.object(head + members).text + "\n"
}
