/* Preloaded into a program under test: numbers the calls by which it changes what others can see, and ends it at one.
 *
 *   BERTH_CUT_LOG=<file>   each such call is recorded there before it is made, one line per call:
 *                          <number> TAB <call> TAB <'+' if it ends a message to another process, or '-'> TAB <what>
 *   BERTH_CUT_AT=<N>       the process ends by SIGKILL before call N; with <N>+ right after it, with the reply unread
 *   BERTH_CUT_STOP=<PID>   that process is stopped by SIGSTOP there instead, and this process goes on; with `self` this
 *                          process is stopped
 *   BERTH_CUT_SIGNAL=<N>   that process gets this signal instead of SIGSTOP
 *
 * Calls that only ask are not counted: reads, watches and connections. Calls whose effect comes with the end of the
 * process are not counted either, such as closing a file, because the kernel closes a killed process's files. Others
 * see the same before and after these calls. Messages are recognised by their beginning: those to xenstore by their
 * header, those to the sandbox's hypervisor and to QEMU by their words.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
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
static int blow = SIGSTOP;
static int report = -1;

/* What has been sent so far of the message on each socket. Programs send a message in pieces, and may send several in
 * one call. One thread at a time sends on a socket, because pieces of two messages would otherwise mix. */
enum { STORE_HEADER = 16, SOCKETS = 1024 };
static struct stream {
    enum { BETWEEN, IN_HEADER, IN_BODY, IN_TEXT } state;
    unsigned char header[STORE_HEADER];
    size_t used; /* of the header */
    size_t left; /* of the body */
    int is_question;
} streams[SOCKETS];

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
            stopped = strcmp(other, "self") ? (pid_t)atoi(other) : getpid();
        const char *signal = getenv("BERTH_CUT_SIGNAL");
        if (signal)
            blow = atoi(signal);
    }
}

static void end_here(void)
{
    if (stopped > 0) {
        int error = errno;
        syscall(SYS_kill, (long)stopped, (long)blow);
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

/* What a call sends that others will see as a change. */
struct sent {
    int is_change;
    int ends_message;
    const char *what;
    size_t size;
};

static void note_change(struct sent *sent, const char *what, size_t size)
{
    if (!sent->is_change)
        sent->what = what, sent->size = size;
    sent->is_change = 1;
}

static int is_question(const char *bytes, size_t size)
{
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++)
        if (size >= strlen(questions[i]) && !memcmp(bytes, questions[i], strlen(questions[i])))
            return 1;
    return 0;
}

/* Takes the next part of a message from `bytes`, and returns its length. */
static size_t take_part(struct stream *stream, const char *bytes, size_t size, struct sent *sent)
{
    if (stream->state == BETWEEN) {
        /* No text begins with such a byte: it is the lowest of a request's type. */
        int is_store = (unsigned char)bytes[0] < store_types;
        *stream = (struct stream){.state = is_store ? IN_HEADER : IN_TEXT};
        stream->is_question = !is_store && is_question(bytes, size);
    }
    size_t taken = size;
    if (stream->state == IN_TEXT) {
        const char *end = memchr(bytes, '\n', size);
        taken = end ? (size_t)(end - bytes) + 1 : size;
        if (end)
            stream->state = BETWEEN;
        if (!stream->is_question)
            note_change(sent, bytes, taken);
    } else if (stream->state == IN_BODY) {
        if (taken > stream->left)
            taken = stream->left;
        stream->left -= taken;
        if (!stream->is_question)
            note_change(sent, bytes, taken);
        if (!stream->left)
            stream->state = BETWEEN;
    } else {
        if (taken > STORE_HEADER - stream->used)
            taken = STORE_HEADER - stream->used;
        memcpy(stream->header + stream->used, bytes, taken);
        stream->used += taken;
        unsigned words[STORE_HEADER / sizeof(unsigned)] = {0};
        memcpy(words, stream->header, stream->used);
        /* The type is the first word. A piece of it shows others no change yet. */
        int is_known = stream->used >= sizeof words[0] && words[0] < sizeof store_requests / sizeof store_requests[0];
        const char *name = is_known ? store_requests[words[0]] : NULL;
        if (name)
            note_change(sent, name, strlen(name));
        if (stream->used == STORE_HEADER) {
            stream->is_question = !name;
            stream->left = words[3];
            stream->state = stream->left ? IN_BODY : BETWEEN;
        }
    }
    sent->ends_message = stream->state == BETWEEN && !stream->is_question && sent->is_change;
    return taken;
}

static unsigned long count_message(const char *call, int fd, const char *bytes, size_t size)
{
    struct stream none = {0}, *stream = fd >= 0 && fd < SOCKETS ? &streams[fd] : &none;
    struct sent sent = {0};
    int ends_message = 0;
    for (size_t done = 0; done < size;) {
        done += take_part(stream, bytes + done, size - done, &sent);
        ends_message = ends_message || sent.ends_message;
    }
    return sent.is_change ? count(call, ends_message, sent.what, sent.size) : 0;
}

/* A new socket may get the number of one that was closed in the middle of a message. */
int socket(int domain, int type, int protocol)
{
    int fd = (int)syscall(SYS_socket, domain, type, protocol);
    if (fd >= 0 && fd < SOCKETS)
        streams[fd] = (struct stream){0};
    return fd;
}

static mode_t type_of(int fd)
{
    struct stat info;
    int error = errno;
    mode_t type = fd > 2 && !fstat(fd, &info) ? info.st_mode & S_IFMT : 0;
    errno = error;
    return type;
}

/* Counts output to files and sockets. Standard streams and pipes are the program's own, and not counted. */
static unsigned long count_output(const char *call, int fd, const char *bytes, size_t size)
{
    mode_t type = report < 0 ? 0 : type_of(fd);
    if (type == S_IFSOCK)
        return count_message(call, fd, bytes, size);
    return type == S_IFREG ? count(call, 0, bytes, size) : 0;
}

/* To be called after output that was counted. The kernel may have taken less than all of it; then the program sends the
 * rest again, and the stream is at the place that the kernel has reached. */
static long delivered(unsigned long number, int fd, struct stream before, const char *bytes, size_t size, long result)
{
    if (result != (long)size && fd >= 0 && fd < SOCKETS && report >= 0 && type_of(fd) == S_IFSOCK) {
        struct sent ignored = {0};
        streams[fd] = before;
        for (size_t done = 0; result > 0 && done < (size_t)result;)
            done += take_part(&streams[fd], bytes + done, (size_t)result - done, &ignored);
    }
    return done(number, result);
}

static struct stream stream_of(int fd)
{
    return fd >= 0 && fd < SOCKETS ? streams[fd] : (struct stream){0};
}

#define OUTPUT(name, fd, bytes, size, ...) \
    struct stream before = stream_of(fd); \
    unsigned long number = count_output(name, fd, bytes, size); \
    return delivered(number, fd, before, bytes, size, syscall(__VA_ARGS__))

ssize_t write(int fd, const void *bytes, size_t size) { OUTPUT("write", fd, bytes, size, SYS_write, fd, bytes, size); }

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    OUTPUT("send", fd, bytes, size, SYS_sendto, fd, bytes, size, flags, NULL, 0);
}

ssize_t sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t length)
{
    OUTPUT("sendto", fd, bytes, size, SYS_sendto, fd, bytes, size, flags, to, length);
}

#define PWRITE(name) \
    ssize_t name(int fd, const void *bytes, size_t size, off_t offset) \
    { \
        unsigned long number = count_output(#name, fd, bytes, size); \
        return done(number, syscall(SYS_pwrite64, fd, bytes, size, offset)); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

/* Joins pieces of output. The caller frees the result. */
static char *join(const struct iovec *pieces, size_t number, size_t *total)
{
    *total = 0;
    for (size_t i = 0; i < number; i++)
        *total += pieces[i].iov_len;
    char *whole = malloc(*total + 1);
    if (!whole)
        abort();
    size_t used = 0;
    for (size_t i = 0; i < number; used += pieces[i++].iov_len)
        if (pieces[i].iov_len)
            memcpy(whole + used, pieces[i].iov_base, pieces[i].iov_len);
    return whole;
}

/* free() keeps errno only since glibc 2.33. */
static long freed(char *whole, long result)
{
    int error = errno;
    free(whole);
    errno = error;
    return result;
}

/* Newer releases of libxenstore send header and body in this way. */
#define PIECES(name, fd, pieces, pieces_number, ...) \
    size_t total; \
    char *whole = join(pieces, pieces_number, &total); \
    struct stream before = stream_of(fd); \
    unsigned long call = count_output(name, fd, whole, total); \
    return freed(whole, delivered(call, fd, before, whole, total, syscall(__VA_ARGS__)))

ssize_t writev(int fd, const struct iovec *pieces, int number)
{
    PIECES("writev", fd, pieces, number < 0 ? 0 : (size_t)number, SYS_writev, fd, pieces, number);
}

ssize_t sendmsg(int fd, const struct msghdr *sent, int flags)
{
    PIECES("sendmsg", fd, sent->msg_iov, sent->msg_iovlen, SYS_sendmsg, fd, sent, flags);
}

/* MARK: Processes */

/* A process that this one starts may change what others see, and lives on when this one ends. */
pid_t fork(void)
{
    static pid_t (*real)(void);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fork");
    unsigned long number = count("fork", 0, "", 0);
    pid_t child = real();
    return child > 0 ? (pid_t)done(number, child) : child;
}

/* MARK: Files and names */

static int open_at(const char *call, int directory, const char *path, int flags, int mode)
{
    unsigned long number = flags & (O_CREAT | O_TRUNC) ? count(call, 0, path, strlen(path)) : 0;
    return (int)done(number, syscall(SYS_openat, directory, path, flags, mode));
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

static int takes_argument(int command)
{
    return command != F_GETFD && command != F_GETFL && command != F_GETOWN && command != F_GETSIG &&
           command != F_GETLEASE && command != F_GETPIPE_SZ && command != F_GET_SEALS;
}

#define FCNTL(name) \
    int name(int fd, int command, ...) \
    { \
        long argument = 0; \
        if (takes_argument(command)) { \
            va_list arguments; \
            va_start(arguments, command); \
            argument = va_arg(arguments, long); \
            va_end(arguments); \
        } \
        return control(fd, command, argument); \
    }
FCNTL(fcntl)
FCNTL(fcntl64)
