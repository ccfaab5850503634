/* Declarations that the parts of the preload library share.
 *
 * The library is preloaded in one of two roles. In the store's role (BERTH_SANDBOX_ROLE=store) it lets a stock
 * xenstored run without a hypervisor. Otherwise it shows the sandbox's simulated host to a stock xl, or to any program
 * on libxenctrl, instead of the real one. Both roles need the sandbox's directory in BERTH_SANDBOX. A Berth that uses
 * the sandbox through its own libxenctrl and sysfs gets BERTH_PRELOAD_SANDBOX instead, since BERTH_SANDBOX is one of
 * Berth's options.
 */
#ifndef BERTH_SANDBOX_H
#define BERTH_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

#define HIDDEN __attribute__((visibility("hidden")))

/* Returns the sandbox's directory, or NULL outside of a sandbox. */
HIDDEN const char *sandbox_directory(void);
/* Returns whether this process is the sandbox's xenstored. */
HIDDEN int sandbox_is_store(void);
/* Writes "<sandbox>/<name>" and returns 0. Returns -1 with errno if there is no sandbox or the buffer is too small. */
HIDDEN int sandbox_path(char *buffer, size_t size, const char *name);
/* Opens a file without the redirection; otherwise like open(2). */
HIDDEN int sandbox_open(const char *path, int flags, int mode);

/* Sends one request line to the simulated hypervisor, and reads the reply line into `reply`.
 *
 * Returns 0 for "ok", with the rest of the line in `reply`. Returns -1 with the hypervisor's errno for "error N", and
 * with ENXIO if the simulator does not answer. */
HIDDEN int hypervisor_ask(char *reply, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Returns whether the domain's dom-<N> file exists. Its text, at most `size` bytes, is copied to `text`. */
HIDDEN int store_domain(unsigned domain, char *text, size_t size);

#endif
