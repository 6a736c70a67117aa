# The front door. Meson builds; this file only names the ways to call it.
#
#   make                 release programs in build/bin/, ready to run from there
#   make debug           with AddressSanitizer and UBSan, in build/debug-bin/
#   make install         DESTDIR= PREFIX=/usr/local
#   make bench           side by side with the other runtimes of this machine
#   make fuzz            every fuzzer for FUZZ_TIME seconds
#   make format          clang-format; make check-format only looks
#   make check-layers    who may include whom, and what may not be called
#   make check-docs      man pages, help and completion say the same
#   make freebsd         link every program for FreeBSD 14.3 and 15.0, compile for aarch64
#   sudo make test       install what tests need, build with sanitizers, run everything
#   sudo make demo       install what is needed, build, and show a pot's life

PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_TIME ?= 60
# CI=1 makes `make test` as strict as .ci/run is.
CI ?=

B := build
MESON ?= meson
PYTHON ?= $(shell test -x /usr/bin/python3 && echo /usr/bin/python3 || echo python3)
RELEASE := --buildtype=release -Dstatic_programs=true
DEBUG := --buildtype=debug -Doptimization=1 -Db_sanitize=address,undefined -Db_lundef=false -Dfaults=true
PROGRAMS := src/cli/pot src/cli/pot-image src/shim/pot-shim src/unpack/pot-unpack src/nft/pot-nft src/seccomp/pot-seccomp src/registry/pot-registry src/nomad/nomad-pot-driver

# $(call setup,DIRECTORY,OPTIONS): configures once; later calls only build.
setup = test -f $(1)/build.ninja || $(MESON) setup $(1) --prefix=$(PREFIX) $(2)
# Put side by side the programs find each other without being installed. Renamed into
# place: a copy that runs keeps its file.
collect = mkdir -p $(2) && for p in $(PROGRAMS); do install -m 755 $(1)/$$p $(2)/; done && ln -sfn $(CURDIR)/flavours $(2)/flavours

.PHONY: all release debug bench fuzz install uninstall test demo format check-format check-layers check-docs \
	freebsd clean distclean need-meson deps-build

all: release

need-meson:
	@command -v $(MESON) >/dev/null && command -v ninja >/dev/null || { \
	    echo "make: Meson and Ninja are missing (on Debian: sudo tools/install-deps.sh build)" >&2; exit 1; }

release: need-meson
	@$(call setup,$(B)/release,$(RELEASE))
	ninja -C $(B)/release
	@$(call collect,$(B)/release,$(B)/bin)

debug: need-meson
	@$(call setup,$(B)/debug,$(DEBUG))
	ninja -C $(B)/debug
	@$(call collect,$(B)/debug,$(B)/debug-bin)

install: release
	@$(MESON) configure $(B)/release --prefix=$(PREFIX)
	DESTDIR=$(DESTDIR) $(MESON) install -C $(B)/release --quiet

uninstall: need-meson
	ninja -C $(B)/release uninstall

bench: release
	bench/run

fuzz: need-meson
	@test -f $(B)/fuzz/build.ninja || CC=clang $(MESON) setup $(B)/fuzz --buildtype=debug -Doptimization=1 \
	    -Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true
	ninja -C $(B)/fuzz fuzzers
	tools/fuzz.sh $(B)/fuzz $(FUZZ_TIME)

format:
	tools/format.sh

check-format:
	tools/format.sh --check

check-layers:
	@$(PYTHON) tools/check_layers.py

check-docs: release
	@$(PYTHON) tools/check_docs.py $(B)/bin/pot

freebsd:
	tools/freebsd.sh

test:
	tools/install-deps.sh test
	$(PYTHON) tools/test_all.py $(if $(CI),--strict)

demo:
	tools/install-deps.sh demo
	tools/demo.sh

# What was downloaded (the cross compiler, a Debian root) stays; distclean takes that too.
clean:
	find $(B) -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} + 2>/dev/null || true

distclean:
	rm -rf $(B)
