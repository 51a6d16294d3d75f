# SPDX-License-Identifier: GPL-2.0-only
RELEASES ?= bookworm trixie

## check-system: build the packages on Debian 12 and 13, boot both, install, drive and purge; AppArmor (root, /dev/kvm)
.PHONY: check-system
check-system: all lab-guests
	$(Q)tests/lib/deps.sh system
	$(Q)BUILD=$(BUILD) tests/system/check-system.sh $(RELEASES) apparmor.sh
