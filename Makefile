# `make demo` and `make test` include the whole set-up. The other targets are for work on Berth.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test check rules lint format deps build release bench soak sanitize fuzz fuzz-short lab lab-shell lab-ready lab-conformance lab-rows other-debian managers

# Every declared dependency must be used, and every import declared.
SWIFT_FLAGS := --explicit-target-dependency-import-check error

# The released program contains the Swift and C++ libraries, so a host need not have them. Finding and linking them at
# run time would take a third of a short command's time. The linker uses the archive unless it finds a shared library
# first.
STATIC := $(CURDIR)/.build/static
RELEASE_FLAGS := -c release --static-swift-stdlib -Xswiftc -L$(STATIC) -Xswiftc -Xclang-linker -Xswiftc -static-libgcc

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

deps: ## Install the missing Debian packages (as root), or list them
	@Scripts/deps.sh

build: deps ## Build everything, for debugging
	swift build $(SWIFT_FLAGS) --build-tests

release: deps ## Build the program, optimised
	@mkdir -p $(STATIC)
	@ln -sf "$$(clang -print-file-name=libstdc++.a)" $(STATIC)/libstdc++.a
	swift build $(SWIFT_FLAGS) $(RELEASE_FLAGS)

demo: deps ## Show a plan and an apply on a sandbox
	swift build $(SWIFT_FLAGS) --product berth
	swift build $(SWIFT_FLAGS) --product BerthPreload
	@Scripts/demo.sh

test: build ## Run all tests; as root, run them again as an unprivileged user
	@Scripts/test.py

managers: deps ## Run the long tests of Ansible, Salt, Puppet and others on sandboxes; `make test` runs the short ones
	swift build $(SWIFT_FLAGS) --product berth
	@Scripts/test.py --managers --long

check: deps lint rules fuzz-short test ## Run everything that a change must pass

lint: ## Check the format
	swift format lint --strict --parallel --recursive Package.swift Sources Tests

rules: ## Check the project rules; RECORD=1 writes the table of targets, and lower numbers
	@python3 -B -m unittest discover --quiet --start-directory Scripts/tests --top-level-directory Scripts
	@Scripts/rules.py

format: ## Format the sources in place
	swift format format --in-place --parallel --recursive Package.swift Sources Tests

bench: release ## Measure; writes .build/bench.json
	.build/release/berth-bench --json .build/bench.json

soak: deps ## Run the long versions of the tests, and the fuzzers, for more than an hour; writes .build/soak.json
	@Scripts/soak.py $(SOAK_OPTIONS)

sanitize: build ## Run the tests under the thread sanitizer, and some under the address sanitizer
	@Scripts/sanitize.py

SECONDS_EACH ?= 60
fuzz: deps ## Run the fuzzers, each for SECONDS_EACH=60
	@Scripts/fuzz.py --seconds $(SECONDS_EACH)

fuzz-short: deps
	@Scripts/fuzz.py --runs 20000

# The Debian releases that Berth runs on. The lab and the other system are of the one or the other.
RUNNING_DEBIAN := $(shell . /etc/os-release && echo "$$VERSION_CODENAME")
RELEASE ?= $(firstword $(filter-out $(RUNNING_DEBIAN),bookworm trixie))
other-debian: ## Run the README's commands on another Debian: RELEASE=trixie; TESTS='A|B' runs only these tests
	@Scripts/deps.sh other-debian
	@Scripts/other-debian.py $(RELEASE) $(if $(TESTS),bash -c 'make build && Scripts/test.py --once --filter "$(TESTS)"')

DEBIAN ?= bookworm
LAB_IMAGE ?= $${XDG_CACHE_HOME:-$$HOME/.cache}/berth-lab$(if $(filter-out bookworm,$(DEBIAN)),-$(DEBIAN))
LAB = Tests/Lab/lab --image "$(LAB_IMAGE)" --debian $(DEBIAN) $(LAB_OPTIONS)

lab-ready:
	@Scripts/deps.sh lab
	@Tests/Lab/build-image "$(LAB_IMAGE)" $(DEBIAN)
	@Tests/Lab/build-programs $(DEBIAN)

lab: lab-ready ## Run Berth on a real Xen in QEMU; SCENARIO=name runs one scenario, DEBIAN=trixie has Xen 4.20
	@$(LAB) $(SCENARIO)

# Both releases, unless DEBIAN=name was given.
CONFORMANCE = $(if $(filter command line,$(origin DEBIAN)),$(DEBIAN),bookworm trixie)
lab-conformance: ## Compare xl and Berth on a real Xen; ROW=name runs one row, ACTOR=xl one toolstack, DEBIAN=trixie one release
	@status=0; for debian in $(CONFORMANCE); do \
	  $(MAKE) --no-print-directory DEBIAN=$$debian lab-rows || status=$$?; \
	done; Scripts/conformance.py && exit $$status

lab-rows: lab-ready
	@$(LAB) --conformance $(if $(ACTOR),--actor $(ACTOR)) $(ROW)

lab-shell: lab-ready ## Boot the same Xen, with a shell on its dom0
	@$(LAB) --shell
