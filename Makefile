# SPDX-License-Identifier: GPL-2.0-only
# One non-recursive build; `make help` lists the targets.

VERSION := 0.1.0
BUILD ?= build
PREFIX ?= /usr
SYSCONFDIR ?= /etc
DESTDIR ?=
LIBEXECDIR ?= $(PREFIX)/libexec
SANITIZE ?=
V ?= 0
Q := $(if $(filter 0,$(V)),@)
say = @printf '  %-8s%s\n' $(1) $(2)

CC ?= gcc
CLANG ?= clang
BPFTOOL ?= $(shell command -v bpftool || echo /usr/sbin/bpftool)
BTF ?= /sys/kernel/btf/vmlinux
PKGS := libsystemd json-c libmicrohttpd smartcols libbpf libelf zlib
WARN := -Wall -Wextra -Wno-missing-field-initializers -Wshadow -Wstrict-prototypes -Wformat=2
WERROR := $(if $(CI),-Werror)
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
ifeq ($(SANITIZE),)
HARDEN += -D_FORTIFY_SOURCE=2
endif
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DCETD_VERSION='"$(VERSION)"' -Iinclude -Idaemon -I$(BUILD) \
	$(WARN) $(WERROR) $(HARDEN) $(SANITIZE) $(CFLAGS) $(PKG_CFLAGS) -MMD -MP
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SANITIZE) $(LDFLAGS)
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
libs = $(shell pkg-config --libs $(1))

DAEMON_SRC := $(wildcard daemon/*/*.c)
CLI_SRC := $(wildcard cli/*.c)
BPF_SRC := $(wildcard bpf/*.bpf.c)
UNIT_SRC := $(wildcard tests/unit/test-*.c)
objs = $(patsubst %.c,$(BUILD)/%.o,$(1))
SKEL := $(patsubst bpf/%.bpf.c,$(BUILD)/%.skel.h,$(BPF_SRC))
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SRC))

.PHONY: all
all: $(BUILD)/cetd $(BUILD)/cetctl

include $(wildcard tests/*/*.mk)

$(BUILD)/libcetd.a: $(call objs,$(DAEMON_SRC))
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/cetd: $(call objs,$(wildcard daemon/*.c)) $(BUILD)/libcetd.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,libsystemd json-c libmicrohttpd libbpf libelf zlib) -lm

$(BUILD)/cetctl: $(call objs,$(CLI_SRC)) $(BUILD)/daemon/util/names.o
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,libsystemd json-c smartcols)

# The skeletons must be there before anything that includes them is compiled.
$(BUILD)/%.o: %.c | $(SKEL)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(BUILD)/vmlinux.h: $(BTF)
	$(call say,BTF,$@)
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) btf dump file $< format c >$@.tmp && mv $@.tmp $@

# v3 for atomic fetches; -g for BTF, then stripped of DWARF.
$(BUILD)/%.bpf.o: bpf/%.bpf.c $(BUILD)/vmlinux.h
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Iinclude -Ibpf -I$(BUILD) \
		-Wall -Wextra $(WERROR) -MMD -MP -c -o $@.tmp -MF $(BUILD)/$*.bpf.d -MT $@ $<
	$(Q)$(BPFTOOL) gen object $@ $@.tmp && rm $@.tmp

$(BUILD)/%.skel.h: $(BUILD)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf >$@.tmp && mv $@.tmp $@

$(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(BUILD)/libcetd.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,cmocka libsystemd json-c libmicrohttpd libbpf libelf zlib) -lm

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

.PHONY: clean help
clean:
	$(Q)rm -rf $(BUILD)

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)
