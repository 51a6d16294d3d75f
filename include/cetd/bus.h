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

/* Where the exporter listens unless told otherwise. */
#define CETD_METRICS_DEFAULT "127.0.0.1:9752"
