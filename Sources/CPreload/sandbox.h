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

/* Returns whether this process works on a sandbox. */
HIDDEN int sandbox_is_used(void);
/* Returns whether this process is the sandbox's xenstored. */
HIDDEN int sandbox_is_store(void);

/* The sandbox's files, by their names in its directory: "root/dev/kmsg". The directory must belong to this process's
 * user, and nobody else may write there; otherwise each call fails with EPERM. No link leads out of it: the kernel
 * resolves the names below the directory's descriptor (openat2(2), RESOLVE_BENEATH). */

/* Opens the directory itself. */
HIDDEN int sandbox_top(void);
/* Like open(2) with O_CLOEXEC. */
HIDDEN int sandbox_open(const char *name, int flags, int mode);
/* Opens the folder of `name`, and points `leaf` at the last component. */
HIDDEN int sandbox_folder(const char *name, const char **leaf);
/* Closes a descriptor, unless it is negative, and returns `result` with its errno. */
HIDDEN long sandbox_close(int fd, long result);

/* Sends one request line to the simulated hypervisor, and reads the reply line into `reply`.
 *
 * Returns 0 for "ok", with the rest of the line in `reply`. Returns -1 with the hypervisor's errno for "error N", and
 * with ENXIO if the simulator does not answer. */
HIDDEN int hypervisor_ask(char *reply, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Returns whether the domain's dom-<N> file exists in the sandbox's open directory. Its text, at most `size` bytes, is
 * copied to `text`. */
HIDDEN int store_domain(int top, unsigned domain, char *text, size_t size);

#endif
