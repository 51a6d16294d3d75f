/* SPDX-License-Identifier: GPL-2.0-only */
/* Names on D-Bus, shared by the daemon and cetctl. The interfaces are in daemon/export/org.cetd1.xml. */
#pragma once

#define CETD_BUS_NAME "org.cetd1"
#define CETD_BUS_PATH "/org/cetd1"
#define CETD_BUS_VM_PREFIX "/org/cetd1/vm"
#define CETD_BUS_MANAGER "org.cetd1.Manager"
#define CETD_BUS_VM "org.cetd1.VM"

#define CETD_BUS_ERROR_NO_SUCH_VM "org.cetd1.Error.NoSuchVM"
#define CETD_BUS_ERROR_AMBIGUOUS "org.cetd1.Error.Ambiguous"
#define CETD_BUS_ERROR_BAD_CONFIG "org.cetd1.Error.BadConfig"
#define CETD_BUS_ERROR_LIMIT "org.cetd1.Error.LimitReached"
#define CETD_BUS_ERROR_BAD_POLICY "org.cetd1.Error.BadPolicy"
#define CETD_BUS_ERROR_CANNOT_ACT "org.cetd1.Error.CannotAct"
#define CETD_BUS_ERROR_NO_SUCH_OVERRIDE "org.cetd1.Error.NoSuchOverride"

/* Flags of the methods that set something of a VM, one of them, and of those that clear it, one or both. */
#define CETD_BUS_RUNTIME 1ULL	 /* until cetd ends; wins over what is persistent */
#define CETD_BUS_PERSISTENT 2ULL /* stored, and in force again when cetd or the VM comes back */

/* The longest time that something can be set for, in microseconds: ten years. 0 is without end. */
#define CETD_BUS_FOR_MAX_USEC (10 * 366 * 86400ULL * 1000000)

/*
 * What the daemon says in one message: text of so many bytes at most, and the objects of so many VMs (2 KiB each, 4 at
 * most). dbus-daemon throws off the bus whoever sends more than 32 MiB (max_message_size in its system.conf).
 */
#define CETD_BUS_TEXT_MAX (31 * 1024 * 1024)
#define CETD_BUS_OBJECTS_MAX 8192

/* Where the exporter listens unless told otherwise. */
#define CETD_METRICS_DEFAULT "127.0.0.1:9752"
