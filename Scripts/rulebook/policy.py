"""What the project rules say, as data. CONTRIBUTING.md explains them; the other modules check them."""

# A pure target and all that it may import. Add a line for each new pure target; arrows lead downwards only.
PURE = {
    "Model": set(),
    "XenProtocol": {"Model"},
    "Ports": {"Model", "XenProtocol"},
    "Planning": {"Model", "XenProtocol", "Ports"},
}

# What a target must not reach, not even through another target. Package.swift can say what a target depends on; it
# cannot say what a later change must never add.
UNREACHABLE = {
    "Reconciling": {"Sandbox", "LinuxAdapter", "XenAdapter", "Rendering", "Manifest", "Commands"},
    "Rendering": {"Reconciling", "Sandbox", "LinuxAdapter", "XenAdapter"},
    "Manifest": {"XenProtocol", "Ports", "Planning", "Reconciling", "Rendering", "LinuxAdapter", "XenAdapter"},
    "LinuxAdapter": {"Planning", "Reconciling", "Sandbox", "XenAdapter"},
    "Snapshots": {"Planning", "Reconciling", "Rendering", "Sandbox", "LinuxAdapter", "XenAdapter"},
    "XenAdapter": {"Planning", "Reconciling", "Sandbox", "LinuxAdapter"},
    "Sandbox": {"Planning", "Reconciling", "LinuxAdapter", "XenAdapter"},
    "Commands": {"Sandbox", "SandboxCommands", "LinuxAdapter", "XenAdapter"},
    "SandboxCommands": {"LinuxAdapter", "XenAdapter"},
}

# The targets that touch a real host, and the targets that may depend on them: only the executable joins them for use.
ADAPTERS = {"LinuxAdapter", "XenAdapter"}
EXECUTABLE = "berth"
ADAPTER_USERS = {EXECUTABLE, "AdapterTests", "SandboxTests", "SnapshotsTests", "berth-bench", "berth-fuzz"}
LONGEST_EXECUTABLE = 200

# A C module has one importer; these have none or more, for the reason beside them.
C_IMPORTERS = {
    "CLinux": {"LinuxAdapter", "XenAdapter", "Sandbox"},  # Linux calls that Swift's Glibc lacks.
    "CPreload": set(),  # Programs load these two at their start.
    "CCut": set(),
}

# The targets that may import FoundationEssentials, for JSON. Foundation itself costs every start some milliseconds.
ESSENTIALS = {"LinuxAdapter", "Sandbox", "Rendering", "Commands", "Snapshots", "TestSupport"}

# The file that spells paths of the host, and the targets that make a whole host of their own. All else derives its
# paths from a root.
# The second one has a text of libxl's, which is compared and never opened.
HOST_PATH_FILES = {"Sources/LinuxAdapter/Root.swift", "Sources/XenProtocol/DriverNote.swift"}
HOST_MAKERS = {"Sandbox", "TestSupport"}
# A process's own descriptors, and the file of nothing, are the same below every root.
HOST_PATH = r'"/(?!dev/null"|proc/self/fd/)(sys|proc|run|dev|etc|var|usr|boot)\b'

# What only these files of Sources may contain: the pattern, the files, and what others do. Tests and their support are
# free.
RESERVED = [
    # Comments cite the release whose source was read. Code depends on a release by the table alone.
    (r"\b4\.(1[4-9]|2[0-9])\b",
     {
         "Sources/XenProtocol/Releases/ReleaseDifference.swift",
         "Sources/XenProtocol/Releases/XenRelease.swift",
         "Sources/XenProtocol/Releases/XenAdvisory.swift",
     },
     "releases of Xen stand in Sources/XenProtocol/Releases"),
    # Text from outside must not steer a terminal or begin a line of a log, so text has one way out.
    (r"\b(print|debugPrint|dump|puts|fputs|putchar|printf|vprintf|fprintf|vfprintf|fwrite|perror|syslog)\s*\("
     r"|\bFileHandle\b|\bSTD(OUT|ERR)_FILENO\b|\bstd(out|err)\b|\bwrite\s*\(\s*[12]\s*,|\bTextOutputStream\b",
     {
         "Sources/berth/Berth.swift",  # The one way out: it takes only TerminalText.
         "Sources/LinuxAdapter/Machine.swift",  # Opens streams that are closed, and writes nothing.
         "Sources/Sandbox/HostEffects.swift",  # The simulator's own log, also as TerminalText.
     },
     "text leaves Berth through CommandContext's standardOutput and standardError"),
    (r"\bTerminalText\s*\(\s*own:",
     {
         "Sources/Model/Text/TerminalText.swift",  # Puts together what is visible already.
         "Sources/Commands/RunBerth.swift",  # The help of the parser of arguments.
         "Sources/Commands/SchemaCommand.swift",  # The schema of manifests.
         "Sources/Commands/FormatCommand.swift",  # A manifest for a program, which a filter must not change.
         "Sources/Rendering/View.swift",  # The catalogue as a page of Markdown.
         "Sources/Rendering/Previews/EscapedText.swift",  # Texts of a form, whose outside parts are visible already.
     },
     "only texts without anything from outside are Berth's own; interpolate others into a literal"),
]

# The folders of a target from top to bottom: none names a type of a folder above it. Folders of one set are side by side.
LAYERS = {
    "Reconciling": [{"Running"}, {"Phases"}, {"Bus", "DeviceModels"}, {"Ledgers"}, {"Session"}, {"Observing"}],
}

# The files beside those folders. They are below all folders, so they name no type of one.
BESIDE_LAYERS = {
    "Sources/Reconciling/Concurrently.swift",  # Runs closures on threads, and knows nothing of the engine.
}

LONGEST_FILE = 400
MOST_FUNCTIONS = 25
MOST_FIELDS = 4

# Patterns whose number may only go down; Scripts/ratchets.txt holds the numbers.
RATCHETS = {
    "@unchecked Sendable": r"@unchecked\s+Sendable",
    "nonisolated(unsafe)": r"nonisolated\(unsafe\)",
    "try!": r"\btry!",
    "try?": r"\btry\?",
    "as!": r"\bas!",
    "fatalError(": r"\b(fatalError|preconditionFailure)\s*\(",
    "sleep(": r"\b(u|nano|clock_nano)?sleep\s*\(",
    "swift-format-ignore": r"swift-format-ignore",
    # The monitor of an exit test waits for any child, and takes the ends of those that other tests wait for.
    "exit tests": r"\bprocessExitsWith\b",
}
# Those that are comments.
RATCHETS_IN_COMMENTS = {"swift-format-ignore"}

# Words whose number in sources, tests and documents may only go down; Scripts/ratchets.txt holds the numbers. Plain
# words are: "nil if", "again" or "recreate", "repair", a number, "reports". Names in code do not count.
WORDS = {
    "nil where": r"\bnil where\b",
    "anew": r"\banew\b",
    "mended": r"(?<![.\w\"`'])mend(?:s|ed)?\b(?![\w(:]|\.\w| =)",
    "so many": r"\bso many\b",
    "as many": r"\bas many\b",
    "tells of": r"\b(?:tells?|told) of\b",
}

# The hosts that a text may name, and the first component of absolute paths in it: a file of one person's machine is of
# no use to anybody else.
HOSTS = {"github.com", "json-schema.org", "www.apache.org", "www.swift.org", "swift.org", "lists.xenproject.org",
         "xenbits.xen.org", "xenproject.org", "editorconfig.org", "keepachangelog.com", "semver.org", "yaml.org", "json.schemastore.org",
         "git.example.org", "127.0.0.1"}  # Nobody's host (RFC 2606), and this one.
PATH_ROOTS = {"sys", "proc", "run", "dev", "etc", "var", "usr", "tmp", "bin", "boot", "lib",  # a Linux host's
              "local", "libxl", "vm", "tool", "image", "backend", "device", "error"}  # xenstore's

# The roots of one machine's paths, which no literal of Swift may name: the folders of users, and of what one installs.
MACHINE_ROOTS = {"home", "root", "work", "workspace", "Users", "mnt", "media", "opt", "srv", "tmp"}
# What literals may name all the same, each with its reason.
MACHINE_PATHS = {
    "/tmp/berth": "tests make folders of this name with random ends; /tmp, since the paths of sockets are bounded",
    "/tmp/box": "the example of a sandbox's folder in messages",
}

# Absolute paths in these files are those of a machine that these files make themselves.
OWN_MACHINE = "Tests/Lab/"
# These hold the words that the rules look for.
UNREAD_TEXTS = ("LICENSE", "Scripts/rulebook/", "Scripts/tests/")
