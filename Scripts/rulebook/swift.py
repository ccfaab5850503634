"""Reads as much Swift as the rules need: comments, strings, and which type declares what.

It knows no regular-expression literals: the sources have none. It follows braces, not grammar, so what it counts is
what stands directly in the braces of a type or of an extension.
"""

import dataclasses
import re

_TOKEN = re.compile(r"`[^`\n]*`|\w+|->|\S|\n")
_TYPE_WORDS = {"struct", "class", "enum", "actor", "extension", "protocol"}
_FUNCTION_WORDS = {"func", "init", "deinit", "subscript"}
_MODIFIERS_AFTER_CLASS = {"func", "var", "let", "subscript", "override", "final"}


@dataclasses.dataclass
class TypeCount:
    """What one target says of one type, in its declaration and in all of its extensions."""

    name: str
    kind: str = "extension"
    path: str = ""
    line: int = 0
    functions: int = 0
    fields: int = 0
    mutates: bool = False
    has_tests: bool = False
    has_size: bool = False
    allowed: tuple = ()  # the functions and fields that a well-formed `// Size` comment allows

    def add(self, other):
        """Adds what another part of the same type declares."""
        if other.kind != "extension" or not self.path:
            self.path, self.line = other.path, other.line
        if other.kind != "extension":
            self.kind = other.kind
        self.functions += other.functions
        self.fields += other.fields
        self.mutates |= other.mutates
        self.has_tests |= other.has_tests
        self.has_size |= other.has_size
        self.allowed = self.allowed or other.allowed


def _end_of_string(text, start, hashes):
    """Returns the offset after the string that begins at `start` with so many #, its interpolations included."""
    fence = "#" * hashes
    quote = '"""' if text.startswith('"""', start + hashes) else '"'
    position = start + hashes + len(quote)
    while position < len(text):
        if text.startswith(quote + fence, position):
            return position + len(quote) + hashes
        if text.startswith("\\" + fence, position):
            position += 1 + hashes
            if text.startswith("(", position):
                position = _end_of_interpolation(text, position)
            else:
                position += 1
        elif text[position] == "\n" and quote == '"':
            return position
        else:
            position += 1
    return position


def _end_of_interpolation(text, start):
    depth, position = 0, start
    while position < len(text):
        piece, end = _piece(text, position)
        if piece == "code" and text[position] in "()":
            depth += 1 if text[position] == "(" else -1
            if depth == 0:
                return end
        position = end
    return position


def _piece(text, start):
    """Returns what begins at an offset (a comment, a string, a name in backquotes or code) and where it ends."""
    if text.startswith("//", start):
        end = text.find("\n", start)
        return "comment", len(text) if end < 0 else end
    if text.startswith("/*", start):
        depth, position = 1, start + 2
        while depth and position < len(text):
            step = {"/*": 1, "*/": -1}.get(text[position:position + 2], 0)
            depth += step
            position += 2 if step else 1
        return "comment", position
    hashes = re.compile(r"#*").match(text, start).end() - start
    if text.startswith('"', start + hashes):
        return "string", _end_of_string(text, start, hashes)
    if hashes:
        return "code", start + hashes
    if text[start] == "`":
        end = text.find("`", start + 1)
        return ("name", end + 1) if end > 0 and "\n" not in text[start:end] else ("code", start + 1)
    return "code", start + 1


def _blanked(text, kinds):
    result, position = [], 0
    while position < len(text):
        kind, end = _piece(text, position)
        piece = text[position:end]
        result.append(re.sub(r"[^\n]", " ", piece) if kind in kinds else piece)
        position = end
    return "".join(result)


def code(text):
    """Returns Swift without its comments; offsets and lines stay as they are."""
    return _blanked(text, {"comment"})


def bare(text):
    """Returns Swift without its comments and without what is in its strings."""
    return _blanked(text, {"comment", "string"})


def strings(text):
    """Yields (offset, literal) of each string literal that is in no interpolation of another one."""
    position = 0
    while position < len(text):
        kind, end = _piece(text, position)
        if kind == "string":
            yield position, text[position:end]
        position = end


def types_of(text, path=""):
    """Returns a `TypeCount` for each declaration and each extension of a type in a file, by its whole name."""
    result = []
    tokens = [(match.group(), match.start()) for match in _TOKEN.finditer(bare(text))]
    words = [word for word, _ in tokens]
    scopes = []  # a TypeCount for the braces of a type, None for all others
    pending = None  # the type whose braces come next
    modifiers = set()
    for index, (word, offset) in enumerate(tokens):
        before = words[index - 1] if index else ""
        after = words[index + 1] if index + 1 < len(words) else ""
        owner = scopes[-1] if scopes else None
        if word == "{":
            scopes.append(pending)
            pending = None
            modifiers = set()
        elif word == "}":
            if scopes:
                scopes.pop()
            modifiers = set()
        elif before == ".":
            continue
        elif word in _TYPE_WORDS and _begins_type(before, after) and None not in scopes:
            outer = scopes[-1].name + "." if scopes else ""
            pending = TypeCount(outer + _name_at(words, index + 1), word, path, text.count("\n", 0, offset) + 1)
            pending.has_size, pending.allowed = _size(text, offset)
            if word != "protocol":
                result.append(pending)
            modifiers = set()
        elif owner is None or pending is not None:
            continue
        elif word in _FUNCTION_WORDS and _begins_function(word, after):
            owner.functions += 1
            owner.mutates |= "mutating" in modifiers
            modifiers = set()
        elif word == "var":
            if "static" not in modifiers and "class" not in modifiers:
                owner.fields += _stored(words, index)
            modifiers = set()
        elif word in ("let", "case", "typealias"):
            modifiers = set()
        elif word == "Test" and before == "@":
            owner.has_tests = True
        elif word in ("static", "class", "mutating"):
            modifiers.add(word)
    return result


def _is_name(word):
    return bool(re.match(r"[\w`]", word))


def _begins_type(before, after):
    return _is_name(after) and after not in _MODIFIERS_AFTER_CLASS and before not in ("import", "case")


def _begins_function(word, after):
    return {"func": after != ":", "deinit": after == "{"}.get(word, after in ("(", "<", "?", "!"))


def _name_at(words, index):
    """Returns a name with its dots: `extension Outer.Inner`."""
    name = words[index].strip("`")
    while index + 2 < len(words) and words[index + 1] == "." and _is_name(words[index + 2]):
        index += 2
        name += "." + words[index].strip("`")
    return name


def _stored(words, index):
    """Returns how many stored properties the `var` at an index declares."""
    depth, count, previous, position = 0, 1, "", index + 1
    is_initialised = False
    while position < len(words):
        word = words[position]
        if word in "([" or (word == "<" and not is_initialised):
            depth += 1
        elif word in ")]" or (word == ">" and not is_initialised):
            depth -= 1
        elif word == "{" and depth == 0:
            if is_initialised:
                return count  # a closure or an `if`: what it says is no matter here
            first = next((word for word in words[position + 1:] if word != "\n"), "")
            return count if first in ("willSet", "didSet") else 0
        elif word in ";}" and depth == 0:
            return count
        elif word == "=" and depth == 0:
            is_initialised = True
        elif word == "," and depth == 0 and words[position + 2:position + 3] in ([":"], ["="]):
            count += 1
            is_initialised = False
        elif word == "\n" and depth == 0 and previous not in (":", "->", "&", ",", "="):
            following = next((word for word in words[position:] if word != "\n"), "")
            if following not in ("{", "=", "&"):
                return count
        if word != "\n":
            previous = word
        position += 1
    return count


def _size(text, offset):
    """Returns whether a `// Size` comment is on the line of a declaration or directly above it, and what it allows."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    candidates = [text[start:len(text) if end < 0 else end]]
    for line in reversed(text[:start].splitlines()):
        if not line.strip().startswith(("//", "@")):
            break
        candidates.append(line)
    for line in candidates:
        if match := re.search(r"//+ Size\b(?: (\d+)/(\d+): *\S)?", line):
            return True, (int(match.group(1)), int(match.group(2))) if match.group(1) else ()
    return False, ()
