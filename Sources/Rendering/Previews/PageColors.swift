/// The colours of a page, each as `#rrggbb`, and the style sheet that uses them.
struct PageColors: Hashable, Sendable {
  var background = "#ffffff"
  var text = "#1b1f24"
  var quiet = "#57606a"
  var line = "#8c959f"
  var link = "#0550ae"
  var added = "#116329"
  var removed = "#a40e26"
  var changed = "#7d4e00"
  var waiting = "#0550ae"

  static let light = PageColors()
  static let dark = PageColors(
    background: "#0d1117", text: "#e6edf3", quiet: "#9ea7b3", line: "#6e7681", link: "#79c0ff", added: "#56d364",
    removed: "#ff7b72", changed: "#e3b341", waiting: "#79c0ff")

  /// The colours in which something is read on the background.
  var readable: [String] { [text, quiet, link, added, removed, changed, waiting] }

  private var variables: String {
    [
      ("background", background), ("text", text), ("quiet", quiet), ("line", line), ("link", link), ("added", added),
      ("removed", removed), ("changed", changed), ("waiting", waiting),
    ].map { "--\($0.0): \($0.1);" }.joined(separator: " ")
  }

  /// The style sheet. A sign and a word say what each colour says.
  static var sheet: MarkupText {
    """
    :root { color-scheme: light dark; \(light.variables) }
    @media (prefers-color-scheme: dark) { :root { \(dark.variables) } }
    * { box-sizing: border-box; }
    body { margin: 0 auto; max-width: 80rem; padding: 1rem; background: var(--background); color: var(--text);
      font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
    h1 { font-size: 1.5rem; line-height: 1.2; margin: 0 0 .5rem; }
    h2 { font-size: 1.2rem; margin: 1.5rem 0 .5rem; }
    summary h2 { display: inline; }
    summary { cursor: pointer; margin: 1.5rem 0 .5rem; }
    a { color: var(--link); }
    a:focus-visible, summary:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
    nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; margin: 0; padding: 0; }
    nav a { display: inline-block; padding: .25rem 0; }
    .bad { border-left: .3rem solid var(--removed); padding-left: .7rem; }
    .verdict { border-left: .3rem solid var(--link); padding-left: .7rem; }
    .quiet { color: var(--quiet); font-weight: normal; }
    table { border-collapse: collapse; margin: 0 0 1.5rem; width: 100%; }
    caption { font-weight: bold; padding: .4rem 0; text-align: left; }
    th, td { border-top: 1px solid var(--line); padding: .4rem .6rem .4rem 0; text-align: left; vertical-align: top; }
    thead th { border-top: 0; color: var(--quiet); white-space: nowrap; }
    td { min-width: 6rem; }
    tbody th { font-family: ui-monospace, monospace; min-width: 11rem; }
    .sign { display: inline-block; min-width: 1.2ch; }
    .added th { color: var(--added); }
    .removed th, .refused th { color: var(--removed); }
    .changed th { color: var(--changed); }
    .waiting th { color: var(--waiting); }
    @media (max-width: 45rem) {
      table, tbody, tr, th, td, caption { display: block; min-width: 0; }
      thead { clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; white-space: nowrap; width: 1px; }
      td { border-top: 0; padding-top: 0; }
      td:empty { display: none; }
    }
    @media print { body { max-width: none; } details > * { display: block; } }

    """
  }
}
