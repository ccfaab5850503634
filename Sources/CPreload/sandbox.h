/* What the parts of the preload library share.
 *
 * The library is preloaded in one of two roles. In the store's (BERTH_SANDBOX_ROLE=store) it lets a stock xenstored
 * run without a hypervisor. Otherwise it lets a stock xl, or any program on libxenctrl, meet the sandbox's simulated
 * host in place of the real one. Both need the sandbox's directory in BERTH_SANDBOX; a Berth that shall meet it
 * through its own libxenctrl and sysfs gets BERTH_PRELOAD_SANDBOX instead, since it takes the other for an option.
 */
#ifndef BERTH_SANDBOX_H
#define BERTH_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

#define HIDDEN __attribute__((visibility("hidden")))

/* The sandbox's directory, or NULL outside of one. */
HIDDEN const char *sandbox_directory(void);
/* Whether this process is the sandbox's xenstored. */
HIDDEN int sandbox_is_store(void);
/* Writes "<sandbox>/<name>" and returns 0, or -1 with errno where there is no sandbox or no room. */
HIDDEN int sandbox_path(char *buffer, size_t size, const char *name);
/* Opens a file past the redirection; as open(2). */
HIDDEN int sandbox_open(const char *path, int flags, int mode);

/* Sends one request line to the simulated hypervisor and reads the reply line into `reply`.
 *
 * Returns 0 for "ok", with the rest of the line in `reply`; -1 with the hypervisor's errno for "error N", and with
 * ENXIO where the simulator does not answer. */
HIDDEN int hypervisor_ask(char *reply, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Whether the domain's dom-<N> file is there; its text, at most `size`, is left in `text`. */
HIDDEN int store_domain(unsigned domain, char *text, size_t size);

#endif
