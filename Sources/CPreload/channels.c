/* Event channels and grants, which connect xenstored with domains.
 *
 * The names are those of libxenevtchn and libxengnttab, Xen 4.17. A FIFO stands for the event-channel device: four
 * bytes, a port in the machine's byte order, raise that port. Port 1 is VIRQ_DOM_EXC ("look at the domains again"),
 * port 1000 + N belongs to domain N's ring. A domain's ring is the 4 KiB file ring-<N>.
 */
#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>

enum { EXCEPTION_PORT = 1, FIRST_DOMAIN_PORT = 1000, RING_BYTES = 4096 };

static char handle; /* Its address is every opaque handle given out here. */
static int channel_fd = -1;

HIDDEN int sandbox_ring(unsigned domain)
{
    char name[48];
    snprintf(name, sizeof name, "xenstored/ring-%u", domain);
    int fd = sandbox_open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
    struct stat found;
    if (fd < 0)
        return -1;
    /* A second name of another file is not made longer. */
    if (fstat(fd, &found) || !S_ISREG(found.st_mode) || found.st_nlink != 1 || ftruncate(fd, RING_BYTES))
        return (int)sandbox_close(fd, -1);
    return fd;
}

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
    (void)logger, (void)flags;
    const char *name = sandbox_is_store() ? "xenstored/evtchn" : "xenstored/evtchn-other", *leaf;
    int folder = sandbox_folder(name, &leaf);
    if (folder < 0)
        return NULL;
    if (sandbox_close(folder, mkfifoat(folder, leaf, 0600)) && errno != EEXIST)
        return NULL;
    /* Open for both directions, so that a reader of the FIFO never sees its end. */
    channel_fd = sandbox_open(name, O_RDWR | O_NONBLOCK | O_NOFOLLOW, 0);
    return channel_fd < 0 ? NULL : (xenevtchn_handle *)&handle;
}

xenevtchn_handle *xenevtchn_fdopen(struct xentoollog_logger *logger, int fd, unsigned flags)
{
    (void)logger, (void)flags;
    channel_fd = fd;
    return (xenevtchn_handle *)&handle;
}

int xenevtchn_close(xenevtchn_handle *channels)
{
    (void)channels;
    if (channel_fd >= 0)
        close(channel_fd);
    channel_fd = -1;
    return 0;
}

int xenevtchn_fd(xenevtchn_handle *channels) { (void)channels; return channel_fd; }

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *channels, unsigned int virq)
{
    (void)channels, (void)virq;
    return EXCEPTION_PORT;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *channels, uint32_t domain, evtchn_port_t port)
{
    (void)channels, (void)port;
    return FIRST_DOMAIN_PORT + (int)domain;
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *channels, uint32_t domain)
{
    (void)channels;
    return FIRST_DOMAIN_PORT + (int)domain;
}

int xenevtchn_unbind(xenevtchn_handle *channels, evtchn_port_t port) { (void)channels, (void)port; return 0; }
int xenevtchn_notify(xenevtchn_handle *channels, evtchn_port_t port) { (void)channels, (void)port; return 0; }
int xenevtchn_unmask(xenevtchn_handle *channels, evtchn_port_t port) { (void)channels, (void)port; return 0; }

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *channels)
{
    uint32_t port;
    (void)channels;
    return read(channel_fd, &port, sizeof port) == (ssize_t)sizeof port ? (int)port : -1;
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned flags)
{
    (void)logger, (void)flags;
    return (xengnttab_handle *)&handle;
}

int xengnttab_close(xengnttab_handle *grants) { (void)grants; return 0; }
int xengnttab_set_max_grants(xengnttab_handle *grants, uint32_t count) { (void)grants, (void)count; return 0; }

void *xengnttab_map_grant_ref(xengnttab_handle *grants, uint32_t domain, uint32_t reference, int protection)
{
    (void)grants, (void)reference;
    int fd = sandbox_ring(domain);
    if (fd < 0)
        return NULL;
    void *page = mmap(NULL, RING_BYTES, protection, MAP_SHARED, fd, 0);
    close(fd);
    return page == MAP_FAILED ? NULL : page;
}

int xengnttab_unmap(xengnttab_handle *grants, void *start, uint32_t count)
{
    (void)grants;
    return munmap(start, (size_t)RING_BYTES * count);
}

/* oxenstored maps a domain's ring by frame number instead. */
void *xc_map_foreign_range(xc_interface *interface, uint32_t domain, int size, int protection, unsigned long frame)
{
    (void)interface, (void)size, (void)frame;
    return xengnttab_map_grant_ref(NULL, domain, 0, protection);
}
