/* Preloaded into a program under test: numbers the calls by which it changes what others can see, and ends it at one.
 *
 *   BERTH_CUT_LOG=<file>   each such call is recorded there before it is made, one line per call:
 *                          <number> TAB <call> TAB <'+' if it ends a message to another process, or '-'> TAB <what>
 *   BERTH_CUT_AT=<N>       the process ends by SIGKILL before call N; with <N>+ right after it, with the reply unread
 *   BERTH_CUT_STOP=<PID>   that process is stopped by SIGSTOP there instead, and this process goes on
 *
 * Calls that only ask are not counted: reads, watches and connections. Calls whose effect comes with the end of the
 * process are not counted either, such as closing a file, because the kernel closes a killed process's files. Others
 * see the same before and after these calls. Messages are recognised by their beginning: those to xenstore by their
 * header, those to the sandbox's hypervisor and to QEMU by their words.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* xen/io/xs_wire.h: a header of four words, of which the first is the request's type and the last the length of what
 * follows. */
static const char *const store_requests[] = {
    [6] = "TRANSACTION_START", [7] = "TRANSACTION_END", [11] = "WRITE", [12] = "MKDIR", [13] = "RM", [14] = "SET_PERMS",
};
enum { store_types = 22 };

/* Requests that only ask: the lines of the sandbox's hypervisor, and QEMU's commands. */
static const char *const questions[] = {
    "name\n", "facts\n", "domains ", "probe ", "test ", "group ", "{\"execute\":\"query-",
};

static atomic_ulong calls;
static unsigned long cut_before, cut_after;
static pid_t stopped;
static int report = -1;

/* The rest of the message that this thread sends to xenstored: libxenstore sends it in pieces. */
static _Thread_local struct { size_t left; int is_question; } message;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("BERTH_CUT_LOG"), *at = getenv("BERTH_CUT_AT");
    if (!path)
        return;
    report = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (report < 0)
        abort();
    if (at) {
        char *end;
        unsigned long number = strtoul(at, &end, 10);
        *(*end == '+' ? &cut_after : &cut_before) = number;
        const char *other = getenv("BERTH_CUT_STOP");
        if (other)
            stopped = (pid_t)atoi(other);
    }
}

static void end_here(void)
{
    if (stopped > 0) {
        int error = errno;
        syscall(SYS_kill, (long)stopped, (long)SIGSTOP);
        errno = error;
        return;
    }
    syscall(SYS_kill, (long)getpid(), (long)SIGKILL);
    for (;;)
        pause();
}

/* Numbers and records a call; ends the process if it is to end before this call. Keeps errno. */
static unsigned long count(const char *call, int ends_message, const char *what, size_t size)
{
    if (report < 0)
        return 0;
    int error = errno;
    unsigned long number = atomic_fetch_add(&calls, 1) + 1;
    char line[512];
    int used = snprintf(line, sizeof line, "%lu\t%s\t%c\t", number, call, ends_message ? '+' : '-');
    for (size_t i = 0; i < size && used < (int)sizeof line - 1; i++)
        line[used++] = what[i] >= ' ' && what[i] < 127 ? what[i] : '.';
    line[used++] = '\n';
    if (syscall(SYS_write, report, line, used) != used)
        abort();
    if (number == cut_before)
        end_here();
    errno = error;
    return number;
}

/* To be called after a numbered call. Keeps its result and errno. */
static long done(unsigned long number, long result)
{
    if (number && number == cut_after)
        end_here();
    return result;
}

#define COUNTED(name, what, ...) return (int)done(count(name, 0, what, strlen(what)), syscall(__VA_ARGS__))

/* MARK: Messages and writes */

static unsigned long count_message(const char *call, const char *bytes, size_t size)
{
    if (message.left) {
        message.left -= size < message.left ? size : message.left;
        return message.is_question ? 0 : count(call, !message.left, bytes, size);
    }
    unsigned header[4];
    if (size >= sizeof header) {
        memcpy(header, bytes, sizeof header);
        /* No text begins with these bytes. */
        if (header[0] < store_types) {
            const char *name = header[0] < sizeof store_requests / sizeof store_requests[0]
                                   ? store_requests[header[0]] : NULL;
            message.left = header[3] - (size - sizeof header);
            message.is_question = !name;
            return name ? count(call, !message.left, name, strlen(name)) : 0;
        }
    }
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++)
        if (size >= strlen(questions[i]) && !memcmp(bytes, questions[i], strlen(questions[i])))
            return 0;
    return count(call, 1, bytes, size);
}

/* Counts output to files and sockets. Standard streams and pipes are the program's own, and not counted. */
static unsigned long count_output(const char *call, int fd, const char *bytes, size_t size)
{
    struct stat info;
    int error = errno;
    int is_known = report >= 0 && fd > 2 && !fstat(fd, &info);
    errno = error;
    if (!is_known)
        return 0;
    if (S_ISSOCK(info.st_mode))
        return count_message(call, bytes, size);
    return S_ISREG(info.st_mode) ? count(call, 0, bytes, size) : 0;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    unsigned long number = count_output("write", fd, bytes, size);
    return done(number, syscall(SYS_write, fd, bytes, size));
}

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    unsigned long number = count_output("send", fd, bytes, size);
    return done(number, syscall(SYS_sendto, fd, bytes, size, flags, NULL, 0));
}

ssize_t sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t length)
{
    unsigned long number = count_output("sendto", fd, bytes, size);
    return done(number, syscall(SYS_sendto, fd, bytes, size, flags, to, length));
}

#define PWRITE(name) \
    ssize_t name(int fd, const void *bytes, size_t size, off_t offset) \
    { \
        unsigned long number = count_output(#name, fd, bytes, size); \
        return done(number, syscall(SYS_pwrite64, fd, bytes, size, offset)); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

/* Newer releases of libxenstore send header and body in this way. */
static unsigned long count_pieces(const char *call, int fd, const struct iovec *pieces, size_t number)
{
    size_t total = 0;
    for (size_t i = 0; i < number; i++)
        total += pieces[i].iov_len;
    char *whole = malloc(total + 1);
    if (!whole)
        abort();
    size_t used = 0;
    for (size_t i = 0; i < number; used += pieces[i++].iov_len)
        memcpy(whole + used, pieces[i].iov_base, pieces[i].iov_len);
    unsigned long result = count_output(call, fd, whole, total);
    free(whole);
    return result;
}

ssize_t writev(int fd, const struct iovec *pieces, int number)
{
    unsigned long call = count_pieces("writev", fd, pieces, (size_t)number);
    return done(call, syscall(SYS_writev, fd, pieces, number));
}

ssize_t sendmsg(int fd, const struct msghdr *sent, int flags)
{
    unsigned long call = count_pieces("sendmsg", fd, sent->msg_iov, sent->msg_iovlen);
    return done(call, syscall(SYS_sendmsg, fd, sent, flags));
}

/* MARK: Files and names */

static int open_at(const char *call, int directory, const char *path, int flags, int mode)
{
    unsigned long number = flags & (O_CREAT | O_TRUNC) ? count(call, 0, path, strlen(path)) : 0;
    return (int)done(number, syscall(SYS_openat, directory, path, flags, mode));
}

#define MODE_OF(flags, mode) \
    int mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list arguments; \
        va_start(arguments, flags); \
        mode = va_arg(arguments, int); \
        va_end(arguments); \
    }
#define OPEN(name) \
    int name(const char *path, int flags, ...) \
    { \
        MODE_OF(flags, mode) \
        return open_at(#name, AT_FDCWD, path, flags, mode); \
    }
#define OPENAT(name) \
    int name(int directory, const char *path, int flags, ...) \
    { \
        MODE_OF(flags, mode) \
        return open_at(#name, directory, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int rename(const char *from, const char *to) { COUNTED("rename", to, SYS_rename, from, to); }
int renameat(int first, const char *from, int second, const char *to)
{
    COUNTED("renameat", to, SYS_renameat, first, from, second, to);
}
int renameat2(int first, const char *from, int second, const char *to, unsigned flags)
{
    COUNTED("renameat2", to, SYS_renameat2, first, from, second, to, flags);
}
int link(const char *from, const char *to) { COUNTED("link", to, SYS_link, from, to); }
int linkat(int first, const char *from, int second, const char *to, int flags)
{
    COUNTED("linkat", to, SYS_linkat, first, from, second, to, flags);
}
int symlink(const char *target, const char *path) { COUNTED("symlink", path, SYS_symlink, target, path); }
int unlink(const char *path) { COUNTED("unlink", path, SYS_unlink, path); }
int unlinkat(int directory, const char *path, int flags)
{
    COUNTED("unlinkat", path, SYS_unlinkat, directory, path, flags);
}
int mkdir(const char *path, mode_t mode) { COUNTED("mkdir", path, SYS_mkdir, path, mode); }
int mkdirat(int directory, const char *path, mode_t mode) { COUNTED("mkdirat", path, SYS_mkdirat, directory, path, mode); }
int rmdir(const char *path) { COUNTED("rmdir", path, SYS_rmdir, path); }
int truncate(const char *path, off_t size) { COUNTED("truncate", path, SYS_truncate, path, size); }
int ftruncate(int fd, off_t size) { COUNTED("ftruncate", "", SYS_ftruncate, fd, size); }
int ftruncate64(int fd, off_t size) { COUNTED("ftruncate64", "", SYS_ftruncate, fd, size); }
int chmod(const char *path, mode_t mode) { COUNTED("chmod", path, SYS_chmod, path, mode); }
int fchmod(int fd, mode_t mode) { COUNTED("fchmod", "", SYS_fchmod, fd, mode); }
int fsync(int fd) { COUNTED("fsync", "", SYS_fsync, fd); }
int fdatasync(int fd) { COUNTED("fdatasync", "", SYS_fdatasync, fd); }

/* MARK: Locks */

int flock(int fd, int operation)
{
    COUNTED("flock", operation & LOCK_UN ? "unlock" : operation & LOCK_SH ? "shared" : "exclusive", SYS_flock, fd,
            operation);
}

static int control(int fd, int command, long argument)
{
    int is_lock = command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW;
    const char *what = is_lock ? "lock" : "lease";
    unsigned long number = is_lock || command == F_SETLEASE ? count("fcntl", 0, what, strlen(what)) : 0;
    return (int)done(number, syscall(SYS_fcntl, fd, command, argument));
}

#define FCNTL(name) \
    int name(int fd, int command, ...) \
    { \
        va_list arguments; \
        va_start(arguments, command); \
        long argument = va_arg(arguments, long); \
        va_end(arguments); \
        return control(fd, command, argument); \
    }
FCNTL(fcntl)
FCNTL(fcntl64)
