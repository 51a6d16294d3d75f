# SPDX-License-Identifier: GPL-2.0-only
# One non-recursive build; `make help` lists the targets.

VERSION := 0.1.0
BUILD ?= build
PREFIX ?= /usr
SYSCONFDIR ?= /etc
SBINDIR ?= $(PREFIX)/sbin
BINDIR ?= $(PREFIX)/bin
DATADIR ?= $(PREFIX)/share
SYSTEMDDIR ?= $(PREFIX)/lib/systemd
UNITDIR ?= $(SYSTEMDDIR)/system
DESTDIR ?=
V ?= 0
Q := $(if $(filter 0,$(V)),@)
say = @printf '  %-8s%s\n' $(1) $(2)

CC := gcc
CLANG ?= clang
BPFTOOL ?= $(or $(shell command -v bpftool),/usr/sbin/bpftool)
# Kernel types for the BPF programs, as BTF or as a header: the running kernel's, else those of Debian's linux-bpf-dev.
VMLINUX ?=
vmlinux = $(or $(VMLINUX),$(shell for f in /sys/kernel/btf/vmlinux /usr/include/*/linux/bpf/vmlinux.h; do \
	if [ -e $$f ]; then echo $$f; break; fi; done))
# For instance SANITIZE=address,undefined, in a BUILD of its own.
SANITIZE ?=

# Looked up when used: `make deps` may have to install pkg-config first.
pkg_cflags = $(shell pkg-config --cflags libsystemd json-c libmicrohttpd smartcols libbpf)
libs = $(shell pkg-config --libs $(1))
DAEMON_LIBS := libcap-ng libsystemd json-c libmicrohttpd libbpf libelf zlib
WARN := -Wall -Wextra -Wno-missing-field-initializers -Wshadow -Wstrict-prototypes -Wformat=2
WERROR := $(if $(CI),-Werror)
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
HARDEN += $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=undefined,-D_FORTIFY_SOURCE=2)
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DCETD_VERSION='"$(VERSION)"' -Iinclude -Idaemon -Icli \
	-I$(BUILD) $(WARN) $(WERROR) $(HARDEN) $(CFLAGS) $(pkg_cflags) -MMD -MP
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)

DAEMON_SRC := $(wildcard daemon/*/*.c)
CLI_SRC := $(wildcard cli/*.c)
BPF_SRC := $(wildcard bpf/*.bpf.c)
objs = $(patsubst %.c,$(BUILD)/%.o,$(1))
SKEL := $(patsubst bpf/%.bpf.c,$(BUILD)/%.skel.h,$(BPF_SRC))
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test-*.c))

## all: build cetd and cetctl (default)
.PHONY: all
all: $(BUILD)/cetd $(BUILD)/cetctl

# Tests that a fragment adds: programs that `make check` runs, and what they need built.
CHECKS :=
CHECK_NEEDS :=
SANITIZED_CHECKS :=
SANITIZED_NEEDS :=
include $(wildcard tests/*/*.mk)

## deps: install what building, testing, the demo and the benchmarks need (apt; as root)
.PHONY: deps
deps:
	$(Q)tests/lib/deps.sh build demo check bench

# The targets for a fresh machine install first, then build; but not in the build of a package, which says what it needs.
ifneq ($(if $(PACKAGING),,$(filter check demo bench bench-% check-% lab lab-%,$(MAKECMDGOALS))),)
$(call objs,$(wildcard daemon/*.c) $(DAEMON_SRC) $(CLI_SRC)) $(BUILD)/vmlinux.h $(BUILD)/cetvmm: | deps
endif

# Two files of a name in different layers are fine: append, do not replace.
$(BUILD)/libcetd.a: $(call objs,$(DAEMON_SRC))
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar qcs $@ $^

$(BUILD)/cetd: $(call objs,$(wildcard daemon/*.c)) $(BUILD)/libcetd.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(DAEMON_LIBS)) -lm

# What cetctl has of the daemon: names, and the reading of policy files.
CLI_SHARED := $(call objs,$(addprefix daemon/,policy-dir.c util/names.c util/jsontext.c util/nearest.c util/utf8.c) \
	$(addprefix daemon/policy/,index.c keys.c parse.c schema.c set.c))
$(BUILD)/cetctl: $(call objs,$(CLI_SRC)) $(CLI_SHARED)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,libsystemd json-c smartcols libelf)

# The skeletons must be there before anything that includes them is compiled.
$(BUILD)/%.o: %.c | $(SKEL)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# What it has built in; the compiler does not see that.
$(BUILD)/daemon/export/assets.o: $(wildcard daemon/export/page/*)

$(BUILD)/vmlinux.h: $(vmlinux)
	$(if $(vmlinux),,$(error No types of a kernel: no /sys/kernel/btf/vmlinux here, and linux-bpf-dev is not installed))
	$(call say,BTF,$@)
	@mkdir -p $(@D)
	$(Q)$(if $(filter %.h,$(vmlinux)),cat $(vmlinux),$(BPFTOOL) btf dump file $(vmlinux) format c) >$@.tmp
	$(Q)mv $@.tmp $@

# v3 for atomic fetches. gen object drops the DWARF and keeps the BTF, which names source files.
$(BUILD)/%.bpf.o: bpf/%.bpf.c $(BUILD)/vmlinux.h
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -target bpf -mcpu=v3 -ffile-prefix-map=$(CURDIR)=. -D__TARGET_ARCH_x86 -Iinclude -Ibpf -I$(BUILD) \
		-Wall -Wextra $(WERROR) -MMD -MP -MF $(BUILD)/$*.bpf.d -MT $@ -c -o $@.tmp $<
	$(Q)$(BPFTOOL) gen object $@ $@.tmp && rm $@.tmp

# bpftool may be newer than libbpf, and then fills in a field of maps that libbpf does not know: cetd attaches its
# struct_ops itself.
$(BUILD)/%.skel.h: $(BUILD)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf >$@.tmp
	$(Q)sed -i '/map->link = /d; s/map_skel_sz = [0-9][0-9]*/map_skel_sz = sizeof(struct bpf_map_skeleton)/' $@.tmp
	$(Q)mv $@.tmp $@

$(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(BUILD)/libcetd.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,cmocka $(DAEMON_LIBS)) -lm

## check: install what is needed, build, run all tests (root, BPF and KVM for the live ones)
.PHONY: check
check: all $(UNIT) $(CHECK_NEEDS) sanitized
	$(Q)BUILD=$(BUILD) tests/run.sh tests/static/layers.sh $(UNIT) $(CHECKS) \
		$(patsubst $(BUILD)/%,sanitized:$(BUILD)/asan/%,$(UNIT)) $(SANITIZED_CHECKS:%=sanitized:%)

# The same sources once more, with AddressSanitizer and UndefinedBehaviorSanitizer. What is built is said in the
# same variables, so this make reads itself with another BUILD.
.PHONY: sanitized
sanitized: all
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=address,undefined CFLAGS='-O1 -g' \
		all $(patsubst $(BUILD)/%,$(BUILD)/asan/%,$(UNIT) $(SANITIZED_NEEDS))

## check-unit: the unit tests only: no root, no BPF, no KVM
.PHONY: check-unit
check-unit: $(UNIT)
	$(Q)BUILD=$(BUILD) tests/run.sh tests/static/layers.sh $(UNIT)

## demo: install what is needed, build, show cetd at work on this host and on a recording
.PHONY: demo
demo: all lab-guests
	$(Q)BUILD=$(BUILD) tests/demo/demo.sh

## format: run clang-format over the C code
.PHONY: format
format:
	$(Q)git ls-files '*.[ch]' ':!tests/lab/guest' ':!kernel-patches' | xargs clang-format-19 -i

## install: DESTDIR=, PREFIX=/usr, SYSCONFDIR=/etc
.PHONY: install
install: all
	install -Dm755 $(BUILD)/cetd $(DESTDIR)$(SBINDIR)/cetd
	install -Dm755 $(BUILD)/cetctl $(DESTDIR)$(BINDIR)/cetctl
	install -Dm644 systemd/cetd.conf $(DESTDIR)$(SYSCONFDIR)/cetd/cetd.conf
	install -d $(DESTDIR)$(SYSCONFDIR)/cetd/policy.d
	install -Dm644 systemd/policy-example.json $(DESTDIR)$(DATADIR)/doc/cetd/policy-example.json
	install -d $(DESTDIR)$(UNITDIR)
	sed 's,/usr/sbin/,$(SBINDIR)/,' systemd/cetd.service >$(DESTDIR)$(UNITDIR)/cetd.service
	install -Dm644 systemd/cetd-metrics.socket $(DESTDIR)$(UNITDIR)/cetd-metrics.socket
	install -Dm755 systemd/cetd-generator $(DESTDIR)$(SYSTEMDDIR)/system-generators/cetd-generator
	install -Dm644 systemd/cetd.catalog $(DESTDIR)$(SYSTEMDDIR)/catalog/cetd.catalog
	install -Dm644 systemd/cetd.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/cetd.conf
	install -Dm644 systemd/cetd.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/cetd.conf
	install -Dm644 systemd/cetd.rules $(DESTDIR)$(DATADIR)/polkit-1/rules.d/50-cetd.rules
	install -d $(DESTDIR)$(SYSCONFDIR)/apparmor.d
	sed 's,/usr/sbin/cetd,$(SBINDIR)/cetd,' systemd/cetd.apparmor >$(DESTDIR)$(SYSCONFDIR)/apparmor.d/usr.sbin.cetd
	install -Dm644 systemd/org.cetd1.conf $(DESTDIR)$(DATADIR)/dbus-1/system.d/org.cetd1.conf
	install -Dm644 systemd/org.cetd1.service \
		$(DESTDIR)$(DATADIR)/dbus-1/system-services/org.cetd1.service
	install -Dm644 systemd/org.cetd1.policy $(DESTDIR)$(DATADIR)/polkit-1/actions/org.cetd1.policy
	install -Dm644 daemon/export/org.cetd1.xml $(DESTDIR)$(DATADIR)/dbus-1/interfaces/org.cetd1.xml
	install -Dm644 cli/completion/cetctl.bash \
		$(DESTDIR)$(DATADIR)/bash-completion/completions/cetctl
	install -Dm644 cli/completion/_cetctl $(DESTDIR)$(DATADIR)/zsh/vendor-completions/_cetctl

# The alerts name the path of their runbook.
install: install-monitoring
.PHONY: install-monitoring
install-monitoring:
	install -d $(DESTDIR)$(DATADIR)/cetd/monitoring
	install -m644 daemon/export/monitoring/* $(DESTDIR)$(DATADIR)/cetd/monitoring
	sed -i 's,file:///usr/share/,file://$(DATADIR)/,' \
		$(DESTDIR)$(DATADIR)/cetd/monitoring/cetd-alerts.rules.yml

## deb: install what is needed, build the Debian packages in $(BUILD)/deb
.PHONY: deb
deb:
	$(Q)tests/lib/deps.sh build deb
	$(Q)debian/deb.sh $(BUILD)/deb

MANUALS := daemon/cetd.8 daemon/cetd.conf.5 daemon/policy/cetd-policy.5 daemon/export/org.cetd1.5 cli/cetctl.1
install: install-manuals
.PHONY: install-manuals
install-manuals:
	$(foreach m,$(MANUALS),install -Dm644 $m $(DESTDIR)$(DATADIR)/man/man$(subst .,,$(suffix $m))/$(notdir $m) &&) :

## uninstall: remove what install put there; an edited configuration stays (DESTDIR=, PREFIX=, ... as for install)
.PHONY: uninstall
uninstall:
	$(Q)rm -rf $(BUILD)/uninstall
	$(Q)$(MAKE) --no-print-directory install DESTDIR=$(BUILD)/uninstall >/dev/null
	$(Q)cd $(BUILD)/uninstall && find . -type f | while read -r f; do \
		case $$f in .$(SYSCONFDIR)/*) cmp -s $$f $(DESTDIR)/$$f || continue ;; esac; rm -f $(DESTDIR)/$$f; done
	$(Q)cd $(BUILD)/uninstall && find . -depth -type d -name '*cetd*' -o -depth -type d -path '*/cetd/*' | \
		while read -r d; do rmdir $(DESTDIR)/$$d 2>/dev/null || :; done
	$(Q)rm -rf $(BUILD)/uninstall

## clean: remove what was built
.PHONY: clean
clean:
	$(Q)rm -rf $(BUILD)

## help: this list
.PHONY: help
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

.DELETE_ON_ERROR:

# Built on the way to something else, and kept.
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' -type f ! -path '$(BUILD)/deb/*' 2>/dev/null)
