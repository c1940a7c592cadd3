# banger-lua: container images to bootable ext4 root filesystems.
#
#   make            build build/banger-lua
#   make demo       build, pull a sample image into build/demo.ext4, check it
#                   (REF=oci:PATH:TAG takes another image)
#   make check      the whole test suite (SAN=1: with AddressSanitizer and UBSan)
#   make kernel     unpack the distribution's kernel for banger-lua run, without root
#   make fuzz       libFuzzer over hostile layers and images (SECONDS=60 each)
#   make lint       formatting, static analysis, include edges (make format: mends it)
#   make bench      timings as ratios against umoci + mke2fs and the machine's limit
#   make install    PREFIX=/usr/local DESTDIR= (make uninstall takes it away)
#   make deps       install what building needs; deps-test: what testing needs
#   make clean      (what bench downloaded stays in build/cache; make distclean)
#
# V=1 shows the commands. SAN=address,undefined builds with sanitizers.

PREFIX  ?= /usr/local
CC      ?= cc
VERSION := 0.1.0
B       := build
JOBS    ?= $(shell nproc)
comma   := ,

# Sanitized objects live apart, so that switching does not rebuild the world.
ifneq ($(SAN),)
override SAN := $(if $(filter 1,$(SAN)),address$(comma)undefined,$(SAN))
O        := $(B)/san
SANFLAGS := -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
else
O        := $(B)
endif

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' '$(1)' '$(2)')

# ---- libraries, all through pkg-config -----------------------------------------
# Lua and lua-cjson are linked in whole, so that the binary stands alone and C
# modules find Lua's API in it. pkg-config runs once, when first needed.
PKGS      := libarchive libcurl libcrypto libisal libzstd ext2fs com_err libedit
LUA_PKGS  := lua5.4 lua5.4-cjson
PKGCONFIG ?= pkg-config
pkg_flags  = $(eval pkg_flags := $(shell $(PKGCONFIG) --cflags $(PKGS) $(LUA_PKGS)))$(pkg_flags)
pkg_libs   = $(eval pkg_libs := $(shell $(PKGCONFIG) --libs $(PKGS)))$(pkg_libs)
LUA_LIBS  := -Wl,-E -Wl,--whole-archive -l:liblua5.4.a -Wl,--no-whole-archive -l:liblua5.4-cjson.a
ARGPARSE  ?= $(firstword $(wildcard /usr/share/lua/5.4/argparse.lua /usr/local/share/lua/5.4/argparse.lua))
D3        ?= $(firstword $(wildcard /usr/share/nodejs/d3-hierarchy/dist/d3-hierarchy.min.js))

CFLAGS   ?= -O2 -g
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
            -Wno-missing-field-initializers
CPPFLAGS_ALL = -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
            -DBANGER_VERSION='"$(VERSION)"' -DBANGER_PREFIX='"$(PREFIX)"' -Isrc $(pkg_flags)
ALL_CFLAGS = $(CPPFLAGS_ALL) $(WARN) $(CFLAGS) $(SANFLAGS) -pthread
ALL_LDFLAGS = $(LDFLAGS) $(SANFLAGS) -pthread

# ---- sources -------------------------------------------------------------------
ROOM_SRC := $(filter-out src/guest/% src/repl/%,$(sort $(wildcard src/*/*.c)))
MAIN_SRC := src/main.c $(sort $(wildcard src/repl/*.c))
TEST_SRC := $(sort $(wildcard tests/c/test_*.c))
LUA_SRC  := $(sort $(wildcard lua/banger/*.lua lua/banger/*/*.lua))
HTML_SRC := $(sort $(foreach e,css html js,$(wildcard lua/banger/html/*.$(e))))
RECIPES  := $(sort $(wildcard recipes/*.lua recipes/*/*.lua))

objects   = $(patsubst src/%.c,$(O)/obj/%.o,$(1))
CORE_OBJ := $(call objects,$(filter-out src/bind/%,$(ROOM_SRC)))
BIND_OBJ := $(call objects,$(filter src/bind/%,$(ROOM_SRC)))
MAIN_OBJ := $(call objects,$(MAIN_SRC))
TEST_BIN := $(TEST_SRC:tests/c/%.c=$(O)/tests/%)

.PHONY: all tests deps deps-test check check-valgrind fuzz lint demo kernel bench bench-image install uninstall clean distclean
.DELETE_ON_ERROR:
all: $(O)/banger-lua $(O)/share/.made

$(O)/banger-lua: $(MAIN_OBJ) $(BIND_OBJ) $(CORE_OBJ) $(O)/obj/embedded.o
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LUA_LIBS) $(pkg_libs) -lm -ldl

$(O)/obj/%.o: src/%.c Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# ---- the guest's init ----------------------------------------------------------
# Static programs of their own, for any image; nothing of the rest is in them. Of
# arm64 the distribution has no musl: glibc's least is 600 KB.
GUEST_SRC      := $(sort $(wildcard src/guest/*.c))
GUEST_BIN      := $(B)/guest/banger-init-amd64 $(B)/guest/banger-init-arm64
GUEST_CC_amd64 ?= musl-gcc
GUEST_CC_arm64 ?= aarch64-linux-gnu-gcc
GUEST_MAX_amd64 := 100000
GUEST_MAX_arm64 := 700000
GUEST_CFLAGS   := -std=gnu11 -D_GNU_SOURCE -Isrc $(WARN) -Os -static -s -ffunction-sections \
            -fdata-sections -fno-asynchronous-unwind-tables -fno-unwind-tables \
            -Wl,--gc-sections -Wl,-z,noseparate-code

$(B)/guest/banger-init-%: $(GUEST_SRC) $(wildcard src/guest/*.h) Makefile
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)command -v $(firstword $(GUEST_CC_$*)) > /dev/null || \
		{ echo "make: $(firstword $(GUEST_CC_$*)) is missing: run 'make deps'" >&2; exit 1; }
	$(Q)$(GUEST_CC_$*) $(GUEST_CFLAGS) -o $@ $(GUEST_SRC)
	$(Q)size=$$(wc -c < $@); test $$size -lt $(GUEST_MAX_$*) || \
		{ echo "make: $@ has $$size bytes, $(GUEST_MAX_$*) are too many" >&2; exit 1; }

# ---- files compiled in ---------------------------------------------------------
# One assembly file includes every module, recipe, guest program and part of the
# report's page (d3-hierarchy too) byte for byte and ends in the table that
# src/bind/embedded.h declares.
EMBED_FILES := $(LUA_SRC) $(HTML_SRC) $(RECIPES) $(ARGPARSE) $(D3) $(GUEST_BIN)
$(O)/gen/embedded.S: $(EMBED_FILES) Makefile
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)test -n "$(ARGPARSE)" || { echo "make: lua-argparse is missing: run 'make deps'" >&2; exit 1; }
	$(Q)test -n "$(D3)" || { echo "make: node-d3-hierarchy is missing: run 'make deps'" >&2; exit 1; }
	$(Q){ n=0; echo '.section .rodata'; \
	for f in $(EMBED_FILES); do \
		case $$f in lua/*) name=$${f#lua/};; recipes/*) name=$$f;; \
			$(B)/*) name=$${f#$(B)/};; *) name=$${f##*/};; esac; \
		printf '.Ln%d: .asciz "%s"\n.Lb%d: .incbin "%s"\n.Le%d: .byte 0\n' $$n "$$name" $$n "$$f" $$n; \
		n=$$((n + 1)); done; \
	echo '.section .data.rel.ro,"aw"'; echo '.balign 8'; \
	echo '.globl embedded_files'; echo 'embedded_files:'; \
	i=0; while [ $$i -lt $$n ]; do printf '.quad .Ln%d, .Lb%d, .Le%d\n' $$i $$i $$i; i=$$((i + 1)); done; \
	echo '.quad 0, 0, 0'; echo '.section .note.GNU-stack,"",@progbits'; } > $@

$(O)/obj/embedded.o: $(O)/gen/embedded.S
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -c -o $@ $<

# ---- what is needed from outside -----------------------------------------------
deps:
	@vendor/need build run

deps-test: deps
	@vendor/need test
	@tests/boot/fetch-kernel.sh $(B)/cache/kernel
	@tests/boot/fetch-arm64.sh $(B)/cache/kernel-arm64

# Where there is none that run can read.
kernel:
	@tests/boot/fetch-kernel.sh $(B)/cache/kernel
	@[ -e $(B)/cache/kernel/kernel ] || { echo 'no kernel was unpacked; run takes one of yours with --kernel FILE' >&2; exit 1; }
	@echo 'export BANGER_KERNEL=$(abspath $(B))/cache/kernel/kernel'

# ---- tests ---------------------------------------------------------------------
# tests/c/test_X.c is a program of its own, linked with what it uses of the rooms.
# The deps may bring what this run of make found missing: so it runs itself.
$(O)/libbanger.a: $(CORE_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^

# The guest's sources, but for its main, are tested as a part of their tests.
$(O)/tests/test_guest $(O)/tests/test_agent: $(call objects,$(filter-out src/guest/init.c,$(GUEST_SRC)))

$(O)/tests/%: tests/c/%.c $(O)/libbanger.a Makefile
	$(call say,TEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -MF $@.d -Itests -o $@ $< $(filter %.o,$^) $(O)/libbanger.a \
		$(pkg_libs) $(shell $(PKGCONFIG) --libs cmocka) -lm

tests: $(O)/banger-lua $(TEST_BIN)

check: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) tests
	@JOBS=$(JOBS) V=$(V) SAN=$(SAN) tests/run.sh $(O)

check-valgrind: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) all
	tests/run-valgrind.sh

# ---- fuzz ----------------------------------------------------------------------
# Random stacks of layers of a new seed, then each harness of tests/fuzz for SECONDS, from
# what is in tests/fuzz/inputs; what it finds stays in build/fuzz. Writing into finished
# images is not among it.
FUZZ    := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SRC := $(filter-out src/bind/% src/ext4/edit% src/ext4/debugfs%,$(ROOM_SRC))
FUZZ_CFLAGS = -g -O1 -fsanitize=fuzzer$(comma)address$(comma)undefined \
            -fno-sanitize=pointer-overflow -fno-sanitize-recover=undefined
SECONDS ?= 60

$(B)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_SRC) $(wildcard src/*/*.h tests/fuzz/*.h) Makefile
	$(call say,FUZZ,$@)
	$(Q)mkdir -p $(@D)
	$(Q)clang $(CPPFLAGS_ALL) $(FUZZ_CFLAGS) -Itests -pthread -o $@ $< \
		$(if $(filter pax,$*),$(filter-out src/tar/pax.c,$(FUZZ_SRC)),$(FUZZ_SRC)) $(pkg_libs) -lz

fuzz: deps-test
	@vendor/need lint
	@$(MAKE) --no-print-directory -j$(JOBS) $(O)/banger-lua $(FUZZ:%=$(B)/fuzz/fuzz_%)
	@BANGER_SEED=new tests/run.sh $(O) tests/e2e/differential_spec.lua
	@cd $(B)/fuzz && for f in $(FUZZ); do echo "$$f: $(SECONDS) s"; mkdir -p corpus-$$f; \
		cp ../../tests/fuzz/inputs/$$f-* corpus-$$f/ 2>/dev/null; \
		./fuzz_$$f -max_total_time=$(SECONDS) -print_final_stats=1 -rss_limit_mb=4096 \
			-artifact_prefix=found-$$f- corpus-$$f >$$f.log 2>&1 || \
			{ tail -n 40 $$f.log; exit 1; }; done

# ---- lint ----------------------------------------------------------------------
# clang-tidy is slow: a file is looked at again only when it or a header changed.
# tests/lint/fails.h tells it what it cannot see; see there.
LINT_C   := $(sort $(wildcard src/*.c src/*/*.c tests/c/*.c tests/bench/*.c))
LINT_H   := $(sort $(wildcard src/*.h src/*/*.h tests/c/*.h))
LINT_LUA := lua recipes tests

format:
	clang-format -i $(LINT_C) $(LINT_H)

lint:
	@vendor/need build lint libcmocka-dev
	@$(MAKE) --no-print-directory lint-run

.PHONY: lint-run format
lint-run:
	clang-format --dry-run -Werror $(LINT_C) $(LINT_H)
	tests/lint/edges.sh --self-test
	tests/lint/edges.sh src
	luacheck -q $(LINT_LUA)
	@$(MAKE) --no-print-directory -j$(JOBS) $(LINT_C:%=$(B)/lint/%.ok)

$(B)/lint/%.ok: % $(LINT_H) .clang-tidy tests/lint/fails.h
	$(call say,TIDY,$<)
	$(Q)mkdir -p $(@D)
	$(Q)grep -q '^int err_set(\|^int ext4_error(\|^int layer_entry_error(' $< || \
		fails='-include tests/lint/fails.h -DROOM_$(notdir $(<D))'; \
	clang-tidy --quiet $< -- $(CPPFLAGS_ALL) -Itests $$fails 2> $@.log || \
		{ cat $@.log; exit 1; }
	$(Q)touch $@

# ---- demo ----------------------------------------------------------------------
demo:
	@vendor/need build run busybox-static
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@tests/demo/run.sh $(O)/banger-lua $(B) $(REF)

# ---- bench ---------------------------------------------------------------------
BENCH_BIN := $(patsubst %,$(B)/bench/%,run limit make-layout)

$(B)/bench/%: tests/bench/%.c Makefile
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(pkg_libs)

$(B)/cache/bench/image/index.json:
	tests/bench/make-image.sh $(@D)

bench-image: deps
	@vendor/need umoci debootstrap
	@$(MAKE) --no-print-directory $(B)/cache/bench/image/index.json

bench: bench-image
	@$(MAKE) --no-print-directory -j$(JOBS) all $(BENCH_BIN)
	@$(B)/banger-lua tests/bench/bench.lua $(B)

# ---- manual pages, completions --------------------------------------------------
# The program itself makes them of what its recipes take.
$(O)/share/.made: $(O)/banger-lua
	$(call say,GEN,$(@D))
	$(Q)rm -rf $(@D)
	$(Q)HOME=/nonexistent BANGER_RECIPES= $(O)/banger-lua -E help --output $(@D)
	$(Q)touch $@

# ---- install, clean ------------------------------------------------------------
# Modules are in the program: those installed are for editors, and to be read.
SHARE = $(DESTDIR)$(PREFIX)/share
MADE  = $(shell cd $(O)/share && find . -mindepth 2 -type f -printf '%P\n' | sort)

DOCS  = README.md LICENSE recipes/README.md

install: all
	$(call say,INST,$(DESTDIR)$(PREFIX))
	$(Q)install -D -m 755 $(O)/banger-lua "$(DESTDIR)$(PREFIX)/bin/banger-lua"
	$(Q)set -e; for f in $(RECIPES) $(LUA_SRC); do install -D -m 644 $$f "$(SHARE)/banger-lua/$$f"; done
	$(Q)set -e; for f in $(DOCS); do install -D -m 644 $$f "$(SHARE)/doc/banger-lua/$$f"; done
	$(Q)set -e; for f in $(MADE); do install -D -m 644 $(O)/share/$$f "$(SHARE)/$$f"; done

# Of what is in its own folders only what came from here: recipes may have been added.
uninstall:
	$(call say,RM,$(DESTDIR)$(PREFIX))
	$(Q)cd "$(DESTDIR)$(PREFIX)" && rm -f bin/banger-lua share/man/man1/banger-lua.1 share/man/man1/banger-lua-*.1 \
		share/bash-completion/completions/banger-lua share/fish/vendor_completions.d/banger-lua.fish \
		share/zsh/site-functions/_banger-lua $(RECIPES:%=share/banger-lua/%) $(LUA_SRC:%=share/banger-lua/%) \
		$(DOCS:%=share/doc/banger-lua/%)
	$(Q)for d in banger-lua doc/banger-lua; do test ! -d "$(SHARE)/$$d" || find "$(SHARE)/$$d" -depth -type d -empty -delete; done

clean:
	find $(B) -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} +

distclean:
	rm -rf $(B)

-include $(wildcard $(O)/obj/*/*.d $(O)/obj/*.d $(O)/tests/*.d)
