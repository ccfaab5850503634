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
#include <stddef.h>
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
    /* From 4.19 on, xenstored makes a folder there (`early_init`, tools/xenstored/posix.c). */
    {"/var/lib/xen", "root/var/lib/xen", 1},
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

/* Returns whether the sandbox has a file of this path, and then fills in its name there. Slashes at the end are left
 * out. A name that is too long is empty, and no call accepts an empty name. */
static int redirect(const char *path, char name[PATH_MAX])
{
    if (!path || path[0] != '/' || !sandbox_is_used())
        return 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        size_t length = strlen(places[i].prefix);
        if (strncmp(path, places[i].prefix, length) || (path[length] && path[length] != '/'))
            continue;
        if (sandbox_is_store() && !places[i].also_in_store)
            continue;
        int used = snprintf(name, PATH_MAX, "%s%s", places[i].target, path + length);
        if (used >= PATH_MAX)
            used = 0;
        while (used > 0 && name[used - 1] == '/')
            used--;
        name[used] = 0;
        return 1;
    }
    return 0;
}

/* A path by which calls that take no descriptor reach an open file (proc(5)). */
enum { HANDLE_PATH_BYTES = 32 };
static const char *handle_path(int fd, char path[HANDLE_PATH_BYTES])
{
    snprintf(path, HANDLE_PATH_BYTES, "/proc/self/fd/%d", fd);
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
    char name[PATH_MAX];
    int fd;
    if (store_file(path, &fd))
        return fd;
    if (!redirect(path, name))
        return (int)syscall(SYS_openat, directory, path, flags, mode);
    fd = sandbox_open(name, flags, mode);
    /* The program may want its children to have the file. */
    if (fd >= 0 && !(flags & O_CLOEXEC))
        fcntl(fd, F_SETFD, 0);
    return fd;
}

/* The mode is passed only for these flags, and O_TMPFILE contains the bit of O_DIRECTORY (open(2)). */
#define MODE_OF(flags, mode) \
    int mode = 0; \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) { \
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

/* Defines a call that opens a file in the sandbox by `open`, and then runs `body` with its descriptor `fd`. */
#define REDIRECTED(result, failed, name, parameters, call, opened, body) \
    result name parameters \
    { \
        char found[PATH_MAX]; \
        NEXT(name); \
        if (!redirect(path, found)) \
            return next call; \
        int fd = opened; \
        if (fd < 0) \
            return failed; \
        body \
    }
/* The same for calls on a name in a folder, which are `call` with the descriptor `fd` and the name `leaf`. */
#define IN_FOLDER(result, name, parameters, call, replacement) \
    result name parameters \
    { \
        char found[PATH_MAX]; \
        const char *leaf; \
        NEXT(name); \
        if (!redirect(path, found)) \
            return next call; \
        int fd = sandbox_folder(found, &leaf); \
        return fd < 0 ? -1 : (result)sandbox_close(fd, replacement); \
    }
#define HANDLE sandbox_open(found, O_PATH, 0)

/* Returns the flags of a mode of fopen(3). */
static int flags_of(const char *mode)
{
    int both = strchr(mode, '+') != NULL, flags = both ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY;
    if (mode[0] != 'r')
        flags |= O_CREAT | (mode[0] == 'a' ? O_APPEND : O_TRUNC) | (strchr(mode, 'x') ? O_EXCL : 0);
    return flags | (strchr(mode, 'e') ? O_CLOEXEC : 0);
}

static FILE *open_stream(int fd, const char *mode)
{
    FILE *stream = fdopen(fd, mode);
    if (!stream)
        sandbox_close(fd, -1);
    return stream;
}

REDIRECTED(FILE *, NULL, fopen, (const char *path, const char *mode), (path, mode),
           open_at(AT_FDCWD, path, flags_of(mode), 0666), return open_stream(fd, mode);)
REDIRECTED(FILE *, NULL, fopen64, (const char *path, const char *mode), (path, mode),
           open_at(AT_FDCWD, path, flags_of(mode), 0666), return open_stream(fd, mode);)
REDIRECTED(DIR *, NULL, opendir, (const char *path), (path), sandbox_open(found, O_RDONLY | O_DIRECTORY, 0), {
    DIR *stream = fdopendir(fd);
    if (!stream)
        sandbox_close(fd, -1);
    return stream;
})
REDIRECTED(int, -1, access, (const char *path, int mode), (path, mode), HANDLE, {
    char handle[HANDLE_PATH_BYTES];
    return (int)sandbox_close(fd, next(handle_path(fd, handle), mode));
})
REDIRECTED(int, -1, chmod, (const char *path, mode_t mode), (path, mode), HANDLE, {
    char handle[HANDLE_PATH_BYTES];
    return (int)sandbox_close(fd, next(handle_path(fd, handle), mode));
})
REDIRECTED(int, -1, stat, (const char *path, struct stat *info), (path, info), HANDLE,
           return (int)sandbox_close(fd, fstat(fd, info));)
REDIRECTED(int, -1, stat64, (const char *path, struct stat64 *info), (path, info), HANDLE,
           return (int)sandbox_close(fd, fstat64(fd, info));)
IN_FOLDER(int, lstat, (const char *path, struct stat *info), (path, info),
          fstatat(fd, leaf, info, AT_SYMLINK_NOFOLLOW))
IN_FOLDER(int, lstat64, (const char *path, struct stat64 *info), (path, info),
          fstatat64(fd, leaf, info, AT_SYMLINK_NOFOLLOW))
IN_FOLDER(ssize_t, readlink, (const char *path, char *text, size_t size), (path, text, size),
          readlinkat(fd, leaf, text, size))
IN_FOLDER(int, unlink, (const char *path), (path), unlinkat(fd, leaf, 0))
IN_FOLDER(int, rmdir, (const char *path), (path), unlinkat(fd, leaf, AT_REMOVEDIR))
IN_FOLDER(int, mkdir, (const char *path, mode_t mode), (path, mode), mkdirat(fd, leaf, mode))

int rename(const char *from, const char *to)
{
    char first[PATH_MAX], second[PATH_MAX];
    const char *old = from, *new = to;
    int is_first = redirect(from, first), is_second = redirect(to, second);
    NEXT(rename);
    if (!is_first && !is_second)
        return next(from, to);
    int source = is_first ? sandbox_folder(first, &old) : AT_FDCWD;
    if (is_first && source < 0)
        return -1;
    int target = is_second ? sandbox_folder(second, &new) : AT_FDCWD;
    int result = is_second && target < 0 ? -1 : renameat(source, old, target, new);
    return (int)sandbox_close(source, sandbox_close(target, result));
}

/* Returns the path of the sandbox's host files, without links; NULL if there is none. The caller frees it. */
static char *root_path(void)
{
    char handle[HANDLE_PATH_BYTES];
    static __typeof__(&realpath) resolve;
    if (!resolve)
        resolve = (__typeof__(&realpath))dlsym(RTLD_NEXT, "realpath");
    int fd = sandbox_open("root", O_PATH | O_DIRECTORY, 0);
    char *path = fd < 0 ? NULL : resolve(handle_path(fd, handle), NULL);
    sandbox_close(fd, 0);
    return path;
}

/* Changes a path in the sandbox back to the host's path, in place. */
static void restore(char *path, const char *root)
{
    size_t length = root ? strlen(root) : 0;
    if (length && !strncmp(path, root, length) && path[length] == '/')
        memmove(path, path + length, strlen(path + length) + 1);
}

/* The result names the path on the host, because libxl compares it with the driver's directory there. */
char *realpath(const char *path, char *resolved)
{
    char name[PATH_MAX], handle[HANDLE_PATH_BYTES];
    NEXT(realpath);
    if (!redirect(path, name))
        return next(path, resolved);
    int fd = sandbox_open(name, O_PATH, 0);
    if (fd < 0)
        return NULL;
    char *result = next(handle_path(fd, handle), resolved);
    sandbox_close(fd, 0);
    if (result) {
        char *root = root_path();
        restore(result, root);
        free(root);
    }
    return result;
}

/* libxl finds a domain's userdata files by a pattern, and compares them with the lock's path. Only names are read. */
int glob(const char *pattern, int flags, int (*failed)(const char *, int), glob_t *found)
{
    char name[PATH_MAX], used[2 * PATH_MAX];
    NEXT(glob);
    char *root = redirect(pattern, name) && !strncmp(name, "root/", 5) ? root_path() : NULL;
    if (!root)
        return next(pattern, flags, failed, found);
    snprintf(used, sizeof used, "%s/%s", root, name + 5);
    int result = next(used, flags, failed, found);
    if (!result)
        for (size_t i = 0; i < found->gl_pathc; i++)
            restore(found->gl_pathv[found->gl_offs + i], root);
    free(root);
    return result;
}

/* Returns the address to use: the given one or, for a path that the sandbox has, `replacement`. It names by descriptor
 * the socket or, if that is to be made, the socket's folder. The descriptor becomes `handle`, and is to be closed after
 * the use of the address. Returns NULL with errno if the sandbox has no such socket or folder. */
static const struct sockaddr *redirect_socket(const struct sockaddr *address, socklen_t *length, int is_made,
                                              struct sockaddr_un *replacement, int *handle)
{
    char path[sizeof replacement->sun_path + 1], name[PATH_MAX];
    const char *leaf = "";
    const size_t start = offsetof(struct sockaddr_un, sun_path);
    *handle = -1;
    if (!address || *length <= start || *length > sizeof *replacement || address->sa_family != AF_UNIX)
        return address;
    /* The kernel takes the length, and programs need not write a NUL (unix(7)). */
    size_t size = *length - start;
    memcpy(path, (const char *)address + start, size);
    path[size] = 0;
    if (!redirect(path, name))
        return address;
    *handle = is_made ? sandbox_folder(name, &leaf) : sandbox_open(name, O_PATH, 0);
    if (*handle < 0)
        return NULL;
    memset(replacement, 0, sizeof *replacement);
    replacement->sun_family = AF_UNIX;
    int used = snprintf(replacement->sun_path, sizeof replacement->sun_path, "/proc/self/fd/%d%s%s", *handle,
                        is_made ? "/" : "", leaf);
    if (used >= (int)sizeof replacement->sun_path) {
        errno = ENAMETOOLONG;
        *handle = (int)sandbox_close(*handle, -1);
        return NULL;
    }
    *length = sizeof *replacement;
    return (const struct sockaddr *)replacement;
}

/* The path of the socket is compiled into oxenstored. */
int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    struct sockaddr_un replacement;
    int handle;
    const struct sockaddr *used = redirect_socket(address, &length, 1, &replacement, &handle);
    return address && !used ? -1 : (int)sandbox_close(handle, syscall(SYS_bind, fd, used, length));
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    struct sockaddr_un replacement;
    int handle;
    const struct sockaddr *used = redirect_socket(address, &length, 0, &replacement, &handle);
    return address && !used ? -1 : (int)sandbox_close(handle, syscall(SYS_connect, fd, used, length));
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
