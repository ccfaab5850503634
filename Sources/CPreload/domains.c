/* The sandbox's domains in the form of the hypervisor's answers.
 *
 * The dom-<N> files answer xenstored's own questions: xenstored must not wait for the simulator, which is its client.
 * All other questions go to the simulator.
 */
#define _GNU_SOURCE
#define __XEN_TOOLS__ 1
#include "sandbox.h"
#include "domains.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLY_BYTES = 1 << 20, LAST_DOMAIN = 0x7FF0 };

static void set_common(xen_domctl_getdomaininfo_t *info, unsigned domain, uint32_t flags)
{
    memset(info, 0, sizeof *info);
    info->domain = (domid_t)domain;
    info->flags = flags;
    info->nr_online_vcpus = 1;
    info->cpu_time = 1000000000ull;
    info->tot_pages = info->max_pages = 65536;
    info->gpaddr_bits = 48;
}

static int list_from_files(xen_domctl_getdomaininfo_t *infos, unsigned first, unsigned most)
{
    unsigned count = 0;
    char text[64];
    int top = sandbox_top();
    if (top < 0)
        return -1;
    for (unsigned domain = first; domain < LAST_DOMAIN && count < most; domain++) {
        if (!store_domain(top, domain, text, sizeof text))
            continue;
        uint32_t flags = XEN_DOMINF_running;
        if (strstr(text, "shutdown") || strstr(text, "crashed"))
            flags = XEN_DOMINF_shutdown;
        if (strstr(text, "crashed"))
            flags |= SHUTDOWN_crash << XEN_DOMINF_shutdownshift;
        if (strstr(text, "dying"))
            flags |= XEN_DOMINF_dying;
        set_common(&infos[count++], domain, flags);
    }
    return (int)sandbox_close(top, count);
}

static int read_handle(uint8_t *bytes, const char *text)
{
    for (int position = 0; position < 16; position++) {
        unsigned byte;
        while (*text == '-')
            text++;
        if (!text[0] || !text[1] || sscanf(text, "%2x", &byte) != 1)
            return -1;
        bytes[position] = (uint8_t)byte;
        text += 2;
    }
    return 0;
}

/* The reply has these words: "domid,uuid,flags,cpu time in ns,pages". */
static int list_from_hypervisor(xen_domctl_getdomaininfo_t *infos, unsigned first, unsigned most)
{
    char *reply = malloc(REPLY_BYTES), *rest;
    if (!reply)
        return -1;
    if (hypervisor_ask(reply, REPLY_BYTES, "domains %u %u", first, most)) {
        free(reply);
        return -1;
    }
    unsigned count = 0;
    for (char *word = strtok_r(reply, " ", &rest); word && count < most; word = strtok_r(NULL, " ", &rest)) {
        unsigned domain;
        char uuid[40];
        uint32_t flags;
        uint64_t time, pages;
        if (sscanf(word, "%u,%36[^,],%" SCNu32 ",%" SCNu64 ",%" SCNu64, &domain, uuid, &flags, &time, &pages) != 5)
            continue;
        set_common(&infos[count], domain, flags);
        if (read_handle(infos[count].handle, uuid))
            continue;
        infos[count].cpu_time = time;
        infos[count].tot_pages = infos[count].max_pages = pages;
        count++;
    }
    free(reply);
    return (int)count;
}

int sandbox_domains(xen_domctl_getdomaininfo_t *infos, unsigned first, unsigned most)
{
    return sandbox_is_store() ? list_from_files(infos, first, most) : list_from_hypervisor(infos, first, most);
}
