/* The host's files, as a preloaded program sees them. Files that the sandbox has come from <sandbox>/root. */
#define _GNU_SOURCE
#include "sandbox.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

HIDDEN int sandbox_ring(unsigned domain);

/* The paths that a toolstack uses on a host, with their places in the sandbox. */
static const struct {
    const char *prefix, *target;
    int also_in_store;
} places[] = {
    {"/run/xenstored", "xenstored", 1},
    {"/var/run/xenstored", "xenstored", 1},
    {"/sys/bus/pci", "root/sys/bus/pci", 0},
    {"/sys/bus/xen-backend", "root/sys/bus/xen-backend", 0},
    {"/var/lib/xen", "root/var/lib/xen", 0},
    {"/var/lib/berth", "root/var/lib/berth", 0},
    {"/run/berth", "root/run/berth", 0},
    {"/var/log/xen", "root/var/log/xen", 0},
    {"/run/xen", "root/run/xen", 0},
    {"/var/run/xen", "root/run/xen", 0},
    {"/var/lock/xl", "root/run/lock/xl", 0},
    {"/run/lock/xl", "root/run/lock/xl", 0},
    {"/proc/xen", "root/proc/xen", 0},
    {"/dev/kmsg", "root/dev/kmsg", 0},
};

/* Returns the path to use for `path`: the path itself, or `buffer` filled with the sandbox's path. */
static const char *redirect(const char *path, char buffer[PATH_MAX])
{
    if (!path || path[0] != '/' || !sandbox_directory())
        return path;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        size_t length = strlen(places[i].prefix);
        if (strncmp(path, places[i].prefix, length) || (path[length] && path[length] != '/'))
            continue;
        if (sandbox_is_store() && !places[i].also_in_store)
            continue;
        char name[PATH_MAX];
        if (snprintf(name, sizeof name, "%s%s", places[i].target, path + length) >= (int)sizeof name)
            return path;
        return sandbox_path(buffer, PATH_MAX, name) ? path : buffer;
    }
    return path;
}

#define NEXT(name) \
    static __typeof__(&name) next; \
    if (!next) \
        next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* xenstored reads the store's port and ring from these two files of the kernel. */
static int store_file(const char *path, int *fd)
{
    if (!sandbox_is_store() || !path)
        return 0;
    if (!strcmp(path, "/proc/xen/xsd_kva") || !strcmp(path, "/dev/xen/xsd_kva")) {
        *fd = sandbox_ring(0);
        return 1;
    }
    if (!strcmp(path, "/proc/xen/xsd_port") || !strcmp(path, "/dev/xen/xsd_port")) {
        *fd = memfd_create("xsd_port", MFD_CLOEXEC);
        /* Without a newline: oxenstored reads the whole text as a number. */
        if (*fd >= 0 && (write(*fd, "1000", 4) != 4 || lseek(*fd, 0, SEEK_SET) != 0)) {
            close(*fd);
            *fd = -1;
        }
        return 1;
    }
    return 0;
}

static int open_at(int directory, const char *path, int flags, int mode)
{
    char buffer[PATH_MAX];
    int fd;
    if (store_file(path, &fd))
        return fd;
    return (int)syscall(SYS_openat, directory, redirect(path, buffer), flags, mode);
}

#define MODE_OF(flags, mode) \
    int mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list arguments; \
        va_start(arguments, flags); \
        mode = va_arg(arguments, int); \
        va_end(arguments); \
    }

int open(const char *path, int flags, ...) { MODE_OF(flags, mode) return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags, mode) return open_at(AT_FDCWD, path, flags, mode); }
int openat(int directory, const char *path, int flags, ...)
{
    MODE_OF(flags, mode)
    return open_at(directory, path, flags, mode);
}
int openat64(int directory, const char *path, int flags, ...)
{
    MODE_OF(flags, mode)
    return open_at(directory, path, flags, mode);
}

#define REDIRECTED(result, name, parameters, ...) \
    result name parameters \
    { \
        char buffer[PATH_MAX]; \
        NEXT(name); \
        return next(__VA_ARGS__); \
    }

REDIRECTED(FILE *, fopen, (const char *path, const char *mode), redirect(path, buffer), mode)
REDIRECTED(FILE *, fopen64, (const char *path, const char *mode), redirect(path, buffer), mode)
REDIRECTED(DIR *, opendir, (const char *path), redirect(path, buffer))
REDIRECTED(int, access, (const char *path, int mode), redirect(path, buffer), mode)
REDIRECTED(int, stat, (const char *path, struct stat *info), redirect(path, buffer), info)
REDIRECTED(int, stat64, (const char *path, struct stat64 *info), redirect(path, buffer), info)
REDIRECTED(int, lstat, (const char *path, struct stat *info), redirect(path, buffer), info)
REDIRECTED(int, lstat64, (const char *path, struct stat64 *info), redirect(path, buffer), info)
REDIRECTED(ssize_t, readlink, (const char *path, char *text, size_t size), redirect(path, buffer), text, size)
REDIRECTED(int, unlink, (const char *path), redirect(path, buffer))
REDIRECTED(int, rmdir, (const char *path), redirect(path, buffer))
REDIRECTED(int, mkdir, (const char *path, mode_t mode), redirect(path, buffer), mode)
REDIRECTED(int, chmod, (const char *path, mode_t mode), redirect(path, buffer), mode)

int rename(const char *from, const char *to)
{
    char first[PATH_MAX], second[PATH_MAX];
    NEXT(rename);
    return next(redirect(from, first), redirect(to, second));
}

/* Changes a path in the sandbox back to the host's path, in place. */
static void restore(char *path)
{
    char root[PATH_MAX], full[PATH_MAX];
    static __typeof__(&realpath) resolve;
    if (!resolve)
        resolve = (__typeof__(&realpath))dlsym(RTLD_NEXT, "realpath");
    if (sandbox_path(root, sizeof root, "root"))
        return;
    for (const char *prefix = root; prefix; prefix = prefix == root ? resolve(root, full) : NULL) {
        size_t length = strlen(prefix);
        if (strncmp(path, prefix, length) || path[length] != '/')
            continue;
        memmove(path, path + length, strlen(path + length) + 1);
        return;
    }
}

/* The result names the path on the host, because libxl compares it with the driver's directory there. */
char *realpath(const char *path, char *resolved)
{
    char buffer[PATH_MAX];
    NEXT(realpath);
    const char *used = redirect(path, buffer);
    char *result = next(used, resolved);
    if (result && used != path)
        restore(result);
    return result;
}

/* libxl finds a domain's userdata files by a pattern, and compares them with the lock's path. */
int glob(const char *pattern, int flags, int (*failed)(const char *, int), glob_t *found)
{
    char buffer[PATH_MAX];
    NEXT(glob);
    const char *used = redirect(pattern, buffer);
    int result = next(used, flags, failed, found);
    if (!result && used != pattern)
        for (size_t i = 0; i < found->gl_pathc; i++)
            restore(found->gl_pathv[found->gl_offs + i]);
    return result;
}

/* Shortens a path that is too long for a socket's address: it is named through its directory's descriptor, which the
 * caller closes. */
static int shorten(const char *path, struct sockaddr_un *replacement)
{
    char directory[PATH_MAX];
    const char *name = strrchr(path, '/');
    if (!name || snprintf(directory, sizeof directory, "%.*s", (int)(name - path), path) >= (int)sizeof directory)
        return -1;
    int folder = (int)syscall(SYS_openat, AT_FDCWD, directory, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (folder >= 0)
        snprintf(replacement->sun_path, sizeof replacement->sun_path, "/proc/self/fd/%d%s", folder, name);
    return folder;
}

/* Returns the address to use. `folder` becomes a descriptor to close after the use of the address, or -1. */
static const struct sockaddr *redirect_socket(const struct sockaddr *address, socklen_t *length,
                                              struct sockaddr_un *replacement, int *folder)
{
    char buffer[PATH_MAX];
    *folder = -1;
    if (!address || address->sa_family != AF_UNIX)
        return address;
    const struct sockaddr_un *given = (const struct sockaddr_un *)address;
    const char *path = redirect(given->sun_path, buffer);
    if (path == given->sun_path)
        return address;
    memset(replacement, 0, sizeof *replacement);
    replacement->sun_family = AF_UNIX;
    if (strlen(path) < sizeof replacement->sun_path)
        strcpy(replacement->sun_path, path);
    else
        *folder = shorten(path, replacement);
    *length = sizeof *replacement;
    return (const struct sockaddr *)replacement;
}

/* Closes the descriptor that a redirection needed. The result and its errno stay. */
static int finish(int result, int folder)
{
    int error = errno;
    if (folder >= 0)
        close(folder);
    errno = error;
    return result;
}

/* The path of oxenstored's socket is compiled in, in oxenstored and in newer clients. */
int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    struct sockaddr_un replacement;
    int folder;
    const struct sockaddr *used = redirect_socket(address, &length, &replacement, &folder);
    return finish((int)syscall(SYS_bind, fd, used, length), folder);
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    struct sockaddr_un replacement;
    int folder;
    const struct sockaddr *used = redirect_socket(address, &length, &replacement, &folder);
    return finish((int)syscall(SYS_connect, fd, used, length), folder);
}

/* oxenstored raises its limit of open files when it starts, and gives up if that fails: use the allowed limit. */
int setrlimit(__rlimit_resource_t resource, const struct rlimit *wanted)
{
    struct rlimit allowed, used = *wanted;
    if (sandbox_is_store() && !syscall(SYS_prlimit64, 0, resource, NULL, &allowed)) {
        if (used.rlim_max > allowed.rlim_max)
            used.rlim_max = allowed.rlim_max;
        if (used.rlim_cur > used.rlim_max)
            used.rlim_cur = used.rlim_max;
    }
    return (int)syscall(SYS_prlimit64, 0, resource, &used, NULL);
}
