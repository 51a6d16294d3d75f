#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Build the policy test into DIR (default: build/): policy-test and policy.bpf.o. It needs libbpf 1.4 or newer,
# runs as root on a kernel with the series, and wants debugfs mounted.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "${1:-build}" && cd "${1:-build}" && pwd)
cd "$here"
clang -O2 -g -Wall -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -I/usr/include/x86_64-linux-gnu \
	-c policy.bpf.c -o "$out/policy.bpf.o"
cc -c -I. guest.S -o "$out/guest.o"
ld -Ttext=0x10000 --oformat binary -o "$out/guest.bin" "$out/guest.o"
cat >"$out/blob.S" <<EOF
	.section .rodata
	.globl guest_start, guest_end
guest_start: .incbin "$out/guest.bin"
guest_end:
	.section .note.GNU-stack, "", @progbits
EOF
cc -O2 -g -Wall -Wextra -std=gnu11 -D_GNU_SOURCE -pthread -o "$out/policy-test" policy-test.c hook.c vm.c "$out/blob.S" \
	-Wl,-Bstatic -lbpf -Wl,-Bdynamic -lelf -lz
