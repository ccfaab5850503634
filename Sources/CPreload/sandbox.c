/* The location of the sandbox, and the line to its simulated hypervisor. */
#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <signal.h>
#include <unistd.h>

static const char *sandbox_directory(void)
{
    const char *directory = getenv("BERTH_PRELOAD_SANDBOX");
    if (!directory)
        directory = getenv("BERTH_SANDBOX");
    return directory && *directory ? directory : NULL;
}

int sandbox_is_used(void)
{
    return sandbox_directory() != NULL;
}

int sandbox_is_store(void)
{
    const char *role = getenv("BERTH_SANDBOX_ROLE");
    return role && strcmp(role, "store") == 0;
}

long sandbox_close(int fd, long result)
{
    int error = errno;
    if (fd >= 0)
        syscall(SYS_close, fd);
    errno = error;
    return result;
}

int sandbox_top(void)
{
    const char *directory = sandbox_directory();
    struct stat found;
    if (!directory) {
        errno = ENOENT;
        return -1;
    }
    int top = (int)syscall(SYS_openat, AT_FDCWD, directory, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (top < 0)
        return -1;
    if (fstat(top, &found))
        return (int)sandbox_close(top, -1);
    if (found.st_uid != geteuid() || found.st_mode & (S_IWGRP | S_IWOTH)) {
        errno = EPERM;
        return (int)sandbox_close(top, -1);
    }
    return top;
}

static int open_beneath(const char *name, int flags, int mode)
{
    int creates = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC), .mode = creates ? (unsigned)mode & 07777 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    int top = sandbox_top();
    if (top < 0)
        return -1;
    long fd;
    /* A rename elsewhere at the same moment makes the kernel unsure about "..". */
    do
        fd = syscall(SYS_openat2, top, name, &how, sizeof how);
    while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    return (int)sandbox_close(top, fd);
}

int sandbox_open(const char *name, int flags, int mode)
{
    return open_beneath(name, flags, mode);
}

int sandbox_folder(const char *name, const char **leaf)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(name, '/');
    *leaf = slash ? slash + 1 : name;
    if (!slash)
        return sandbox_top();
    int length = snprintf(folder, sizeof folder, "%.*s", (int)(slash - name), name);
    if (length < 0 || (size_t)length >= sizeof folder) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open_beneath(folder, O_PATH | O_DIRECTORY, 0);
}

/* A sandbox's xenstored must not outlive its simulator, even if that is killed. */
__attribute__((constructor)) static void follow_parent(void)
{
    const char *parent = getenv("BERTH_SANDBOX_PARENT");
    if (!sandbox_is_store() || !parent)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The parent may have died before the signal was requested. */
    if (getppid() != atoi(parent))
        _exit(1);
}

static pthread_mutex_t line_lock = PTHREAD_MUTEX_INITIALIZER;
static int line_fd = -1;
static pid_t line_owner;

static int line_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int name = sandbox_open("hypervisor.sock", O_PATH | O_NOFOLLOW, 0);
    if (name < 0)
        return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return (int)sandbox_close(name, -1);
    /* Bypasses the redirection of connect(), because the path is already in the sandbox. */
    if (syscall(SYS_connect, fd, &address, sizeof address))
        fd = (int)sandbox_close(fd, -1);
    return (int)sandbox_close(name, fd);
}

static int line_exchange(const char *request, size_t length, char *reply, size_t size)
{
    size_t done = 0;
    while (done < length) {
        ssize_t n = send(line_fd, request + done, length - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        done += (size_t)n;
    }
    done = 0;
    for (;;) {
        if (done + 1 >= size)
            return -1;
        ssize_t n = recv(line_fd, reply + done, size - 1 - done, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        done += (size_t)n;
        if (reply[done - 1] == '\n') {
            reply[done - 1] = 0;
            return 0;
        }
    }
}

int hypervisor_ask(char *reply, size_t size, const char *format, ...)
{
    char request[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(request, sizeof request - 1, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof request - 1) {
        errno = EINVAL;
        return -1;
    }
    request[length++] = '\n';

    pthread_mutex_lock(&line_lock);
    /* A forked child must not share its parent's line: either of them could read the other's reply. */
    if (line_fd >= 0 && line_owner != getpid()) {
        close(line_fd);
        line_fd = -1;
    }
    if (line_fd < 0) {
        line_fd = line_connect();
        line_owner = getpid();
    }
    int failed = line_fd < 0 || line_exchange(request, (size_t)length, reply, size);
    if (failed && line_fd >= 0) {
        close(line_fd);
        line_fd = -1;
    }
    pthread_mutex_unlock(&line_lock);
    if (failed) {
        errno = ENXIO;
        return -1;
    }
    int error;
    if (sscanf(reply, "error %d", &error) == 1) {
        errno = error;
        return -1;
    }
    if (strncmp(reply, "ok", 2) != 0) {
        errno = EPROTO;
        return -1;
    }
    memmove(reply, reply + (reply[2] == ' ' ? 3 : 2), strlen(reply) - (reply[2] == ' ' ? 2 : 1));
    return 0;
}

int store_domain(int top, unsigned domain, char *text, size_t size)
{
    char name[32];
    if (size)
        text[0] = 0;
    if (domain == 0)
        return 1;
    snprintf(name, sizeof name, "dom-%u", domain);
    int fd = (int)syscall(SYS_openat, top, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    ssize_t n = size ? read(fd, text, size - 1) : 0;
    if (size)
        text[n > 0 ? n : 0] = 0;
    return (int)sandbox_close(fd, 1);
}
