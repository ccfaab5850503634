/* Lists the sandbox's domains. */
#ifndef BERTH_DOMAINS_H
#define BERTH_DOMAINS_H

#include "sandbox.h"
#include <xenctrl.h>

/* Fills in at most `most` domains, from the number `first` on. Returns how many, or -1 with errno. */
HIDDEN int sandbox_domains(xen_domctl_getdomaininfo_t *infos, unsigned first, unsigned most);

#endif
