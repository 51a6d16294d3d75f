# SPDX-License-Identifier: GPL-2.0-only
# Fuzz targets: built with gcc and a main() of their own they run their corpora in `make check`, plain and sanitized;
# built with clang they are libFuzzer's.
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz-%.c,%,$(wildcard tests/fuzz/fuzz-*.c))
FUZZ_CORPUS_RUNS := $(FUZZ_TARGETS:%=$(BUILD)/tests/corpus-%)
# Of the composition root, what reads files.
FUZZ_OBJECTS := $(BUILD)/daemon/settings.o $(BUILD)/daemon/policy-store.o
FUZZ_SECONDS ?= 60
FUZZ_JOBS ?= 2

CHECKS += tests/fuzz/corpus.sh
CHECK_NEEDS += $(FUZZ_CORPUS_RUNS)
SANITIZED_CHECKS += tests/fuzz/corpus.sh
SANITIZED_NEEDS += $(FUZZ_CORPUS_RUNS)

$(BUILD)/tests/corpus-%: $(BUILD)/tests/fuzz/fuzz-%.o $(BUILD)/tests/fuzz/run-corpus.o $(FUZZ_OBJECTS) $(BUILD)/libcetd.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libcetd.a $(call libs,$(DAEMON_LIBS)) -lm

$(BUILD)/fuzz-%: $(BUILD)/tests/fuzz/fuzz-%.o $(FUZZ_OBJECTS) $(BUILD)/libcetd.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(BUILD)/libcetd.a $(call libs,$(DAEMON_LIBS)) -lm

# The same sources once more, with clang; what is built is said here, so this make reads itself.
.PHONY: fuzz-targets fuzz
fuzz-targets:
	$(Q)tests/lib/deps.sh build fuzz
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=$(CLANG) SANITIZE=fuzzer-no-link,address,undefined \
		CFLAGS='-O1 -g' $(FUZZ_TARGETS:%=$(BUILD)/fuzz/fuzz-%)

## fuzz: libFuzzer on everything that reads what others wrote (FUZZ_SECONDS=60 each, FUZZ_JOBS=2 at a time)
fuzz: fuzz-targets
	$(Q)BUILD=$(BUILD) FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_JOBS=$(FUZZ_JOBS) tests/fuzz/fuzz.sh $(FUZZ_TARGETS)
