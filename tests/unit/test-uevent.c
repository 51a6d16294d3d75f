// SPDX-License-Identifier: GPL-2.0-only
/* KVM's uevents, byte by byte as the kernel sends them, and what only resembles them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "source/uevent.h"
#include "util/macro.h"

#define HEAD "change@/devices/virtual/misc/kvm|ACTION=change|"
#define KVM HEAD "DEVPATH=/devices/virtual/misc/kvm|SUBSYSTEM=misc|"
#define TAIL "|STATS_PATH=/kvm/1234-9|MAJOR=10|MINOR=232|DEVNAME=kvm|SEQNUM=4711|"

static const struct {
	const char *what, *text; /* '|' for NUL */
	int result;
	uint32_t tid;
	enum uevent_type type;
} samples[] = {
	{"a VM comes", KVM "CREATED=7|COUNT=1|EVENT=create|PID=1234" TAIL, 1, 1234,
	 UEVENT_VM_CREATED},
	{"a VM goes", KVM "CREATED=7|COUNT=0|EVENT=destroy|PID=1234" TAIL, 1, 1234,
	 UEVENT_VM_DESTROYED},
	{"the highest pid", KVM "EVENT=create|PID=4194304|", 1, 4194304, UEVENT_VM_CREATED},
	{"the device itself",
	 "add@/devices/virtual/misc/kvm|ACTION=add|DEVPATH=/devices/virtual/misc/kvm|", 0, 0, 0},
	{"another device", "add@/devices/x|ACTION=add|DEVPATH=/devices/x|EVENT=create|PID=1|", 0, 0,
	 0},
	{"a device below", HEAD "DEVPATH=/devices/virtual/misc/kvm/x|EVENT=create|PID=1|", 0, 0, 0},
	{"udev's", "libudev@|DEVPATH=/x|", 0, 0, 0},
	{"no pid", KVM "EVENT=create|", -EBADMSG, 0, 0},
	{"an empty pid", KVM "EVENT=create|PID=|", -EBADMSG, 0, 0},
	{"pid 0", KVM "EVENT=create|PID=0|", -EBADMSG, 0, 0},
	{"a negative pid", KVM "EVENT=create|PID=-1|", -EBADMSG, 0, 0},
	{"a pid with a tail", KVM "EVENT=create|PID=12x|", -EBADMSG, 0, 0},
	{"a pid that is too big", KVM "EVENT=create|PID=4194305|", -EBADMSG, 0, 0},
	{"a pid beyond all numbers", KVM "EVENT=create|PID=99999999999999999999999|", -EBADMSG, 0,
	 0},
	{"a blank before the pid", KVM "EVENT=create|PID= 12|", -EBADMSG, 0, 0},
	{"another event", KVM "EVENT=pause|PID=12|", -EBADMSG, 0, 0},
	{"no @", "libudev|", -EBADMSG, 0, 0},
	{"a variable without =", KVM "EVENT|PID=12|", -EBADMSG, 0, 0},
	{"no last NUL", KVM "EVENT=create|PID=12", -EBADMSG, 0, 0},
};

static void test_parse(void **state _unused_)
{
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		struct uevent e = {.type = 77, .tid = 77};
		char text[512];
		size_t n = strlen(samples[i].text);
		int r;

		memcpy(text, samples[i].text, n);
		memset(text + n, 'x', sizeof(text) - n); /* nothing may be read behind the end */
		for (size_t c = 0; c < n; c++)
			if (text[c] == '|')
				text[c] = '\0';
		r = uevent_parse(text, n, &e);
		if (r != samples[i].result)
			fail_msg("%s: %d", samples[i].what, r);
		assert_int_equal(e.tid, r > 0 ? samples[i].tid : 77);
		assert_int_equal(e.type, r > 0 ? samples[i].type : 77);
	}
}

/* Cut anywhere, a datagram is refused or, where a whole variable is missing, not taken for more. */
static void test_cut(void **state _unused_)
{
	static const char text[] = "change@/devices/virtual/misc/kvm\0"
				   "DEVPATH=/devices/virtual/misc/kvm\0EVENT=create\0PID=12";
	struct uevent e;

	assert_int_equal(uevent_parse(text, sizeof(text), &e), 1);
	for (size_t n = 0; n < sizeof(text); n++)
		assert_true(uevent_parse(text, n, &e) <= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests_name("uevent", tests, NULL, NULL);
}
