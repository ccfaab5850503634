"""The project rules that neither the compiler nor the formatter can check: one module per kind of rule.

`policy` holds what the rules say as data, `swift` reads Swift, `tree` finds files and keeps findings.
"""
