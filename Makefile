# Everything that a person or the CI does here, by name. `make` alone lists it.
# Each target first makes sure that what it needs is installed (scripts/bootstrap.sh), and says so when it installs.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help bootstrap demo kryoptic test soak constant-time sanitize miri loom fuzz check format-check lint doc deny bench advisories timing reproducible install uninstall try-units clean

CARGO := scripts/with-rust.sh cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
TOOLS := $(TARGET)/tools
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ := $(TOOLS)/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz
CARGO_DENY := $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
# Where tests/support/python.rs looks for it.
PYTHON := $(TOOLS)/python/.ready
# Where ca/tests/est/libest.rs looks for it.
ESTSERVER := $(TOOLS)/estserver/estserver

# One stamp for each level of scripts/bootstrap.sh, so that the next run asks nothing. `make -B bootstrap` asks again.
BOOTSTRAPPED := $(TARGET)/.bootstrapped

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'
	@echo
	@echo "The first run installs what is missing (Debian 12: root or sudo, and the network), fetches the sources and"
	@echo "compiles them: about 5 minutes for the demo and 15 for the tests on two cores, 4 GB of memory and 6 GB of disk."
	@echo "Later runs start in seconds. Options of the demo: make demo ARGS='--users 50 --token kryoptic'."

bootstrap: $(BOOTSTRAPPED)-test $(PYTHON) $(ESTSERVER) ## install what building and testing need
	@echo "What building and testing need is installed."

demo: $(BOOTSTRAPPED)-demo $(if $(findstring kryoptic,$(ARGS)),kryoptic) ## the whole job on this machine, on a software token (ARGS='--users 50')
	@$(CARGO) build --release --locked --bin pfx-connector
	@$(TARGET)/release/pfx-connector demo $(ARGS)

# Its own lock file and target folder, wherever ours may be: its OpenSSL and SQLite must not meet ours.
kryoptic: $(BOOTSTRAPPED)-test ## build the Kryoptic token for the tests and the demo
	@$(CARGO) build --release --locked --manifest-path tests/kryoptic/Cargo.toml --target-dir tests/kryoptic/target

test: $(BOOTSTRAPPED)-test $(PYTHON) $(ESTSERVER) kryoptic ## all tests (ARGS='--test NAME' for some)
	@$(CARGO) test --workspace --locked --no-fail-fast $(ARGS)

# The tests that run on for as long as one lets them, with more of everything: an hour on two cores. CHAOS_FIRST=100000 plays other
# scripts than the last time.
soak: $(BOOTSTRAPPED)-test kryoptic ## 20,000 fault scripts in process, 500 with real processes, 200 kills, 300 certificates through kills, 300,000 ends at any write of the stores, the memory after 1,000 deliveries (CHAOS_FIRST=N, CRASH_FIRST=N, AUDIT_FIRST=N, KILLS_SEED=N: other ones)
	@$(CARGO) build -p hsm --locked --examples
	@CHAOS_SCRIPTS=20000 $(CARGO) test -p hsm --locked --test chaos -- --nocapture
	@CHAOS_PROCESS_SCRIPTS=500 $(CARGO) test -p pfx-connector --locked --test chaos_processes -- --nocapture
	@KILLS=200 $(CARGO) test -p pfx-connector --locked --test kills -- --nocapture
	@PKCS_WORLDS=2000 $(CARGO) test -p pfx-connector --locked --lib -- connector::pkcs::tests::worlds
	@CERTIFICATES=300 $(CARGO) test -p pfx-connector --locked --test certificates killed_again -- --nocapture
	@REVOCATIONS=200 $(CARGO) test -p pfx-connector --locked --test revocations -- --nocapture
	@CRASH_STATES=20000 $(CARGO) test -p pfx-connector --locked --test crash -- --nocapture
	@AUDIT_ENDS=200000 $(CARGO) test -p audit --locked --test crash -- --nocapture
	@MEMORY_DELIVERIES=1000 $(CARGO) test -p pfx-connector --locked --test memory -- --nocapture

constant-time: $(BOOTSTRAPPED)-test ## that no branch of optimised code depends on a secret, by valgrind (the tests do it without optimisation)
	@$(CARGO) build --release -p hsm --locked --example secret_branches
	@$(CARGO) test --release -p hsm --locked --test constant_time

sanitize: $(BOOTSTRAPPED)-test ## the tests of crate hsm under AddressSanitizer and LeakSanitizer (ARGS='--test NAME')
	@scripts/sanitize.sh $(ARGS)

miri: $(BOOTSTRAPPED)-demo ## the memory for secrets, custody's pool and single flight under Miri (needs a nightly toolchain of rustup with Miri; SEEDS=8 schedules of their threads)
	@scripts/miri.sh $(ARGS)

# Its own lock file and target folder: loom is in no build of the program's.
loom: $(BOOTSTRAPPED)-demo ## custody's pool, the canaries and single flight in every order of their threads (ARGS='gate' for some)
	@$(CARGO) run --release --locked --manifest-path tests/loom/Cargo.toml --target-dir $(TARGET)/loom -- $(ARGS)

fuzz: $(BOOTSTRAPPED)-test $(CARGO_FUZZ) ## fuzz every parser of strangers' bytes (MINUTES=15 for each, ARGS='pfx cms' for some); needs a nightly toolchain
	@CARGO_FUZZ=$(abspath $(CARGO_FUZZ)) scripts/with-rust.sh scripts/fuzz.sh $(or $(MINUTES),1) $(ARGS)

check: $(BOOTSTRAPPED)-check format-check lint doc deny ## what the CI runs: formatting, lints, docs, supply chain, tests
	@$(MAKE) --no-print-directory test

format-check: $(BOOTSTRAPPED)-check
	@$(CARGO) fmt --all --check

lint: $(BOOTSTRAPPED)-check
	@$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

doc: $(BOOTSTRAPPED)-check ## the programmers' documentation, into target/doc
	@RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --locked

# Fetched first (for every platform: cargo-deny wants them all), then checked offline.
deny: $(BOOTSTRAPPED)-check $(CARGO_DENY) ## dependencies: banned packages, licences, sources
	@$(CARGO) fetch --locked --quiet
	@scripts/with-rust.sh $(CARGO_DENY) --offline --workspace --log-level error check bans licenses sources

advisories: $(BOOTSTRAPPED)-check $(CARGO_DENY) ## known vulnerabilities in the dependencies (needs the network)
	@scripts/with-rust.sh $(CARGO_DENY) --workspace check advisories

# Both packages, so that the bare loop, which is built by the first, shares the dependencies. What measures something else runs alone.
bench: $(BOOTSTRAPPED)-test $(PYTHON) $(if $(findstring kryoptic,$(ARGS)),kryoptic) ## measure against a bare loop (ARGS='--bits 3072 --json'), what the hardening costs (ARGS=--hardening), certificates on request (ARGS='--certificates 100'); docs/performance.md explains the figures
	@$(CARGO) bench --locked -p pfx-connector -p hsm --bench side_by_side -- $(ARGS)
ifeq ($(findstring --hardening,$(ARGS))$(findstring --certificates,$(ARGS)),)
	@$(CARGO) build --release --locked -p hsm --example null_pkcs11
	@$(CARGO) bench --locked -p hsm --bench custody -- $(if $(findstring --json,$(ARGS)),--json)
	@$(CARGO) bench --locked -p fips --bench key_generation -- $(if $(findstring --json,$(ARGS)),--json)
	@$(CARGO) bench --locked -p formats --bench pfx -- $(if $(findstring --json,$(ARGS)),--json)
endif

timing: $(BOOTSTRAPPED)-test ## whether times say why a decryption failed (ARGS='--samples 100000 --lanes 4'); docs/timing.md explains the figures
	@$(CARGO) bench --locked -p pfx-connector --bench timing -- $(ARGS)

# Too long for `make check`: each build takes all the time that two cores need for a release.
reproducible: $(BOOTSTRAPPED)-demo ## build HEAD twice in different places and compare (PROGRAM=file: once, with that one)
	@scripts/reproducible.sh $(PROGRAM)

# Builds nothing: it runs as root, and a build should not.
install: ## program, units, users and folders, documents (DESTDIR=folder PREFIX=/usr/local PROGRAM=target/release/pfx-connector)
	@PROGRAM="$(PROGRAM)" PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" scripts/install.sh install

# Not a part of `make check`: it needs root with all capabilities, which a CI rarely has.
try-units: $(BOOTSTRAPPED)-test ## the units under a real systemd in namespaces of its own: one delivery, watchdogs, what the services cannot do
	@$(CARGO) build --locked --bin pfx-connector
	@packaging/systemd/try/try.sh $(TARGET)/debug/pfx-connector

uninstall: ## take away what `make install` put there
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" scripts/install.sh uninstall

clean: ## remove all that was built, but not the tools in target/tools
	@rm -rf tests/kryoptic/target $(BOOTSTRAPPED)-*
	@if [ -d $(TARGET) ]; then find $(TARGET) -mindepth 1 -maxdepth 1 ! -name tools -exec rm -rf {} +; fi

$(BOOTSTRAPPED)-%: scripts/bootstrap.sh scripts/with-rust.sh
	@scripts/bootstrap.sh $*
	@mkdir -p $(TARGET)
	@touch $@

# Debian's own package of cryptography is older than PBMAC1 (RFC 9579), and of all readers at hand only this one knows it; pkilint is in no
# package of Debian's.
$(PYTHON): tests/support/python-requirements.txt | $(BOOTSTRAPPED)-test
	@echo 'Fetching the Python packages cryptography and pkilint, once: they open and judge what the tests write.' >&2
	@rm -rf $(@D)
	@mkdir -p $(TOOLS)
	@python3 -m venv $(@D)
	@$(@D)/bin/python3 -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(ESTSERVER): scripts/estserver.sh | $(BOOTSTRAPPED)-test
	@echo 'Building estserver, once (half a minute): the EST server that the tests speak to.' >&2
	@scripts/estserver.sh $(@D)

# One that the machine has in this version is as good. A build without optimisation takes a third of the time, and the
# check itself a second.
$(CARGO_DENY): | $(BOOTSTRAPPED)-check
	@mkdir -p $(@D)
	@set -e; found=$$(scripts/with-rust.sh sh -c 'command -v cargo-deny' || true); \
	if [ -n "$$found" ] && [ "$$("$$found" --version)" = 'cargo-deny $(CARGO_DENY_VERSION)' ]; then \
		ln -sf "$$found" $@; \
	else \
		echo 'Building cargo-deny $(CARGO_DENY_VERSION), once (about two minutes): it checks the dependencies.' >&2; \
		CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install --quiet --locked --debug --root $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION) \
			--target-dir $(TOOLS)/build cargo-deny@$(CARGO_DENY_VERSION); \
		rm -rf $(TOOLS)/build; \
	fi

$(CARGO_FUZZ): | $(BOOTSTRAPPED)-test
	@echo 'Building cargo-fuzz $(CARGO_FUZZ_VERSION), once.' >&2
	@CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install --quiet --locked --debug --root $(TOOLS)/cargo-fuzz-$(CARGO_FUZZ_VERSION) \
		--target-dir $(TOOLS)/build cargo-fuzz@$(CARGO_FUZZ_VERSION)
	@rm -rf $(TOOLS)/build
