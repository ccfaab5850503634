/* The hypercalls that a toolstack makes, answered by the sandbox's simulated hypervisor.
 *
 * They are caught where libxenctrl passes them to libxencall (Xen 4.17), so libxenctrl, libxl and xl above are the
 * stock ones. A hypercall that no part of the sandbox needs fails with ENOSYS.
 */
#define _GNU_SOURCE
#define __XEN_TOOLS__ 1
#include "sandbox.h"
#include "domains.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xenctrl.h>
#include <xencall.h>
#include <xendevicemodel.h>
#include <xenforeignmemory.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sysctl.h>
#include <xen/version.h>

enum { PAGE_BYTES = 4096 };

static char handle;

xencall_handle *xencall_open(struct xentoollog_logger *logger, unsigned flags)
{
    (void)logger, (void)flags;
    if (!sandbox_is_used()) {
        errno = ENOENT;
        return NULL;
    }
    return (xencall_handle *)&handle;
}

int xencall_close(xencall_handle *calls) { (void)calls; return 0; }
int xencall_fd(xencall_handle *calls) { (void)calls; return -1; }
int xencall_buffers_never_fault(xencall_handle *calls) { (void)calls; return 0; }

void *xencall_alloc_buffer_pages(xencall_handle *calls, size_t pages)
{
    (void)calls;
    void *memory = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void xencall_free_buffer_pages(xencall_handle *calls, void *memory, size_t pages)
{
    (void)calls;
    if (memory)
        munmap(memory, pages * PAGE_BYTES);
}

void *xencall_alloc_buffer(xencall_handle *calls, size_t size) { (void)calls; return calloc(1, size ? size : 1); }
void xencall_free_buffer(xencall_handle *calls, void *memory) { (void)calls; free(memory); }

xenforeignmemory_handle *xenforeignmemory_open(struct xentoollog_logger *logger, unsigned flags)
{
    (void)logger, (void)flags;
    return (xenforeignmemory_handle *)&handle;
}
int xenforeignmemory_close(xenforeignmemory_handle *memory) { (void)memory; return 0; }

xendevicemodel_handle *xendevicemodel_open(struct xentoollog_logger *logger, unsigned flags)
{
    (void)logger, (void)flags;
    return (xendevicemodel_handle *)&handle;
}
int xendevicemodel_close(xendevicemodel_handle *model) { (void)model; return 0; }

static long unknown(const char *kind, unsigned command)
{
    if (getenv("BERTH_SANDBOX_TRACE"))
        fprintf(stderr, "berth sandbox: %s %u is not simulated\n", kind, command);
    errno = ENOSYS;
    return -1;
}

static long device_group(struct xen_domctl *call, char *reply, size_t size)
{
    struct xen_domctl_get_device_group *group = &call->u.get_device_group;
    if (hypervisor_ask(reply, size, "group %u %u", call->domain, group->machine_sbdf))
        return -1;
    uint32_t *found = group->sdev_array.p;
    char *rest;
    group->num_sdevs = 0;
    for (char *word = strtok_r(reply, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        if (group->num_sdevs < group->max_sdevs)
            found[group->num_sdevs++] = (uint32_t)strtoul(word, NULL, 10);
    return 0;
}

static long reserved_memory(struct xen_reserved_device_memory_map *map)
{
    char reply[4096];
    uint32_t device = (uint32_t)map->dev.pci.seg << 16 | (uint32_t)map->dev.pci.bus << 8 | map->dev.pci.devfn;
    if (map->flags) {
        errno = EINVAL;
        return -1;
    }
    if (hypervisor_ask(reply, sizeof reply, "reserved %u", device))
        return -1;
    struct xen_reserved_device_memory *found = map->buffer.p;
    unsigned room = map->nr_entries, count = 0;
    char *rest;
    for (char *word = strtok_r(reply, " ", &rest); word; word = strtok_r(NULL, " ", &rest), count++) {
        char *end;
        uint64_t first = strtoull(word, &end, 10);
        if (count < room) {
            found[count].start_pfn = (xen_pfn_t)first;
            found[count].nr_pages = *end == ',' ? (xen_ulong_t)strtoull(end + 1, NULL, 10) : 0;
        }
    }
    map->nr_entries = count;
    if (count <= room)
        return 0;
    errno = ENOBUFS;
    return -1;
}

static long domain_control(struct xen_domctl *call)
{
    char reply[4096];
    if (call->interface_version != XEN_DOMCTL_INTERFACE_VERSION) {
        errno = EACCES;
        return -1;
    }
    unsigned domain = call->domain;
    switch (call->cmd) {
    case XEN_DOMCTL_getdomaininfo: {
        int count = sandbox_domains(&call->u.getdomaininfo, domain, 1);
#if XEN_DOMCTL_INTERFACE_VERSION >= 0x16
        /* From Xen 4.18 on the call names one domain. Before, it found the next one (`do_domctl`, xen/common/domctl.c). */
        if (count == 1 && call->u.getdomaininfo.domain != domain)
            count = 0;
#endif
        if (count == 1) {
            call->domain = call->u.getdomaininfo.domain;
            return 0;
        }
        if (count == 0)
            errno = ESRCH;
        return -1;
    }
    case XEN_DOMCTL_test_assign_device:
        return hypervisor_ask(reply, sizeof reply, "test %u %u", domain, call->u.assign_device.u.pci.machine_sbdf);
    case XEN_DOMCTL_assign_device:
        return hypervisor_ask(reply, sizeof reply, "assign %u %u %u", domain,
                              call->u.assign_device.u.pci.machine_sbdf, call->u.assign_device.flags);
    case XEN_DOMCTL_deassign_device:
        return hypervisor_ask(reply, sizeof reply, "deassign %u %u", domain,
                              call->u.assign_device.u.pci.machine_sbdf);
    case XEN_DOMCTL_get_device_group:
        return device_group(call, reply, sizeof reply);
    case XEN_DOMCTL_iomem_permission:
        return hypervisor_ask(reply, sizeof reply, "frames %u %" PRIu64 " %" PRIu64 " %u", domain,
                              (uint64_t)call->u.iomem_permission.first_mfn, (uint64_t)call->u.iomem_permission.nr_mfns,
                              call->u.iomem_permission.allow_access);
    case XEN_DOMCTL_ioport_permission:
        return hypervisor_ask(reply, sizeof reply, "ports %u %u %u %u", domain, call->u.ioport_permission.first_port,
                              call->u.ioport_permission.nr_ports, call->u.ioport_permission.allow_access);
    case XEN_DOMCTL_irq_permission:
        return hypervisor_ask(reply, sizeof reply, "interrupt %u %u %u", domain, call->u.irq_permission.pirq,
                              call->u.irq_permission.allow_access);
    case XEN_DOMCTL_scheduler_op:
        if (call->u.scheduler_op.cmd != XEN_DOMCTL_SCHEDOP_getinfo)
            break;
        /* Credit2's own default (xen/common/sched/credit2.c). */
        call->u.scheduler_op.u.credit2.weight = 256;
        call->u.scheduler_op.u.credit2.cap = 0;
        return 0;
    case XEN_DOMCTL_pausedomain:
        return hypervisor_ask(reply, sizeof reply, "pause %u", domain);
    case XEN_DOMCTL_unpausedomain:
        return hypervisor_ask(reply, sizeof reply, "unpause %u", domain);
    case XEN_DOMCTL_destroydomain:
        return hypervisor_ask(reply, sizeof reply, "kill %u", domain);
    }
    return unknown("domctl", call->cmd);
}

static long system_control(struct xen_sysctl *call)
{
    char reply[4096];
    switch (call->cmd) {
    case XEN_SYSCTL_getdomaininfolist: {
        int count = sandbox_domains(call->u.getdomaininfolist.buffer.p, call->u.getdomaininfolist.first_domain,
                                 call->u.getdomaininfolist.max_domains);
        if (count < 0)
            return -1;
        call->u.getdomaininfolist.num_domains = (uint32_t)count;
        return 0;
    }
    case XEN_SYSCTL_physinfo: {
        unsigned iommu = 0;
        if (hypervisor_ask(reply, sizeof reply, "facts"))
            return -1;
        sscanf(reply, "%*s %u", &iommu);
        memset(&call->u.physinfo, 0, sizeof call->u.physinfo);
        call->u.physinfo.nr_cpus = call->u.physinfo.cores_per_socket = 4;
        call->u.physinfo.nr_nodes = call->u.physinfo.threads_per_core = 1;
        call->u.physinfo.cpu_khz = 2400000;
        call->u.physinfo.total_pages = 1 << 22;
        call->u.physinfo.free_pages = 1 << 20;
        call->u.physinfo.capabilities = XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_hap |
                                        (iommu ? XEN_SYSCTL_PHYSCAP_directio : 0);
        return 0;
    }
    case XEN_SYSCTL_sched_id:
        call->u.sched_id.sched_id = XEN_SCHEDULER_CREDIT2;
        return 0;
    case XEN_SYSCTL_cpupool_op:
        if (call->u.cpupool_op.op != XEN_SYSCTL_CPUPOOL_OP_INFO || call->u.cpupool_op.cpupool_id > 0) {
            errno = ESRCH;
            return -1;
        }
        call->u.cpupool_op.cpupool_id = 0;
        call->u.cpupool_op.sched_id = XEN_SCHEDULER_CREDIT2;
        call->u.cpupool_op.n_dom = 1;
        return 0;
    }
    return unknown("sysctl", call->cmd);
}

static long physical_device(unsigned command, void *argument)
{
    char reply[4096];
    if (command == PHYSDEVOP_map_pirq) {
        struct physdev_map_pirq *map = argument;
        if (map->type != MAP_PIRQ_TYPE_GSI)
            return unknown("map_pirq of type", (unsigned)map->type);
        if (hypervisor_ask(reply, sizeof reply, "map %u %d", map->domid, map->index))
            return -1;
        if (map->pirq < 0)
            map->pirq = map->index;
        return 0;
    }
    if (command == PHYSDEVOP_unmap_pirq) {
        struct physdev_unmap_pirq *map = argument;
        return hypervisor_ask(reply, sizeof reply, "unmap %u %d", map->domid, map->pirq);
    }
    return unknown("physdev_op", command);
}

static long version(unsigned command, void *argument)
{
    char reply[4096], extra[XEN_EXTRAVERSION_LEN] = "";
    unsigned major = 4, minor = 17;
    if (hypervisor_ask(reply, sizeof reply, "facts"))
        return -1;
    sscanf(reply, "%u.%u%15s", &major, &minor, extra);
    switch (command) {
    case XENVER_version:
        return (long)(major << 16 | minor);
    case XENVER_pagesize:
        return PAGE_BYTES;
    case XENVER_extraversion:
        memcpy(argument, extra, sizeof extra);
        return 0;
    case XENVER_compile_info:
        memset(argument, 0, sizeof(xen_compile_info_t));
        return 0;
    case XENVER_capabilities:
        snprintf(argument, XEN_CAPABILITIES_INFO_LEN, "xen-3.0-x86_64 hvm-3.0-x86_64 ");
        return 0;
    case XENVER_changeset:
        memset(argument, 0, XEN_CHANGESET_INFO_LEN);
        return 0;
    case XENVER_commandline:
        memset(argument, 0, sizeof(xen_commandline_t));
        return 0;
    case XENVER_platform_parameters:
        memset(argument, 0, sizeof(xen_platform_parameters_t));
        return 0;
    }
    return unknown("xen_version", command);
}

static long hypercall(unsigned operation, uint64_t first, uint64_t second);

/* libxenctrl makes calls about memory in this form, whose results are wider (`xc_memory_op`, tools/libs/ctrl/xc_private.c,
 * Xen 4.17). */
static long several_calls(struct multicall_entry *calls, uint64_t count)
{
    for (uint64_t index = 0; index < count; index++) {
        struct multicall_entry *call = &calls[index];
        long result = hypercall((unsigned)call->op, call->args[0], call->args[1]);
        call->result = (xen_ulong_t)(result < 0 ? -(long)errno : result);
    }
    return 0;
}

static long hypercall(unsigned operation, uint64_t first, uint64_t second)
{
    switch (operation) {
    case __HYPERVISOR_domctl:
        return domain_control((struct xen_domctl *)(uintptr_t)first);
    case __HYPERVISOR_sysctl:
        return system_control((struct xen_sysctl *)(uintptr_t)first);
    case __HYPERVISOR_physdev_op:
        return physical_device((unsigned)first, (void *)(uintptr_t)second);
    case __HYPERVISOR_multicall:
        return several_calls((struct multicall_entry *)(uintptr_t)first, second);
    case __HYPERVISOR_memory_op:
        if (first == XENMEM_reserved_device_memory_map)
            return reserved_memory((struct xen_reserved_device_memory_map *)(uintptr_t)second);
        return unknown("memory_op", (unsigned)first);
    case __HYPERVISOR_xen_version:
        return version((unsigned)first, (void *)(uintptr_t)second);
    }
    return unknown("hypercall", operation);
}

int xencall0(xencall_handle *calls, unsigned int op) { (void)calls; return (int)hypercall(op, 0, 0); }
int xencall1(xencall_handle *calls, unsigned int op, uint64_t a) { (void)calls; return (int)hypercall(op, a, 0); }
int xencall2(xencall_handle *calls, unsigned int op, uint64_t a, uint64_t b)
{
    (void)calls;
    return (int)hypercall(op, a, b);
}
long xencall2L(xencall_handle *calls, unsigned int op, uint64_t a, uint64_t b)
{
    (void)calls;
    return hypercall(op, a, b);
}
int xencall3(xencall_handle *calls, unsigned int op, uint64_t a, uint64_t b, uint64_t c)
{
    (void)calls, (void)c;
    return (int)hypercall(op, a, b);
}
int xencall4(xencall_handle *calls, unsigned int op, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)calls, (void)c, (void)d;
    return (int)hypercall(op, a, b);
}
int xencall5(xencall_handle *calls, unsigned int op, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    (void)calls, (void)c, (void)d, (void)e;
    return (int)hypercall(op, a, b);
}
