# `make demo` and `make test` do the whole set-up; the other targets are for working on Berth.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test check rules lint format deps build release bench soak sanitize fuzz fuzz-short lab lab-shell lab-ready

# Every declared dependency must be a real one, and every import a declared one.
SWIFT_FLAGS := --explicit-target-dependency-import-check error

# The released program carries the Swift and C++ libraries with it: a host need not have them, and finding and joining
# them is a third of the time of a short command. The linker takes the archive where it finds no shared library first.
STATIC := $(CURDIR)/.build/static
RELEASE_FLAGS := -c release --static-swift-stdlib -Xswiftc -L$(STATIC) -Xswiftc -Xclang-linker -Xswiftc -static-libgcc

help: ## Say what the targets are
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

deps: ## Install the Debian packages that are missing (as root), or say which
	@Scripts/deps.sh

build: deps ## Build everything, for debugging
	swift build $(SWIFT_FLAGS) --build-tests

release: deps ## Build the program, optimised
	@mkdir -p $(STATIC)
	@ln -sf "$$(clang -print-file-name=libstdc++.a)" $(STATIC)/libstdc++.a
	swift build $(SWIFT_FLAGS) $(RELEASE_FLAGS)

demo: deps ## See a plan made and applied, on a sandbox
	swift build $(SWIFT_FLAGS) --product berth
	swift build $(SWIFT_FLAGS) --product BerthPreload
	@Scripts/demo.sh

test: build ## Run all tests, as root also as an unprivileged user
	@Scripts/test.py

check: deps lint rules fuzz-short test ## Everything a change must pass

lint: ## Check the format
	swift format lint --strict --parallel --recursive Package.swift Sources Tests

rules: ## Check the project rules; RECORD=1 writes the table of targets in docs/architecture.md
	@python3 -B -m unittest discover --quiet --start-directory Scripts/tests --top-level-directory Scripts
	@Scripts/rules.py

format: ## Format the sources in place
	swift format format --in-place --parallel --recursive Package.swift Sources Tests

bench: release ## Measure, into .build/bench.json
	.build/release/berth-bench --json .build/bench.json

soak: deps ## Run the long versions of the tests, and the fuzzers, into .build/soak.json; hours
	@Scripts/soak.py $(SOAK_OPTIONS)

sanitize: build ## Run the tests under the thread sanitizer
	@Scripts/sanitize.py

SECONDS_EACH ?= 60
fuzz: deps ## Feed the readers with bytes that nobody chose; SECONDS_EACH=60 for each of them
	@Scripts/fuzz.py --seconds $(SECONDS_EACH)

fuzz-short: deps
	@Scripts/fuzz.py --runs 20000

# The lab runs the program on another machine's system: it carries its Swift libraries with it.
LAB_IMAGE ?= $${XDG_CACHE_HOME:-$$HOME/.cache}/berth-lab
LAB = Tests/Lab/lab --image "$(LAB_IMAGE)" --berth .build-lab/release/berth $(LAB_OPTIONS)

lab-ready:
	@Scripts/deps.sh lab
	@Tests/Lab/build-image "$(LAB_IMAGE)"
	swift build $(SWIFT_FLAGS) -c release --static-swift-stdlib --product berth --scratch-path .build-lab

lab: lab-ready ## Run Berth on a real Xen in QEMU, into .build/lab.json; SCENARIO=name runs one
	@$(LAB) $(SCENARIO)

lab-shell: lab-ready ## Boot the same Xen and talk to its dom0
	@$(LAB) --shell
