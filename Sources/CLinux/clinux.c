#define _GNU_SOURCE
#include "clinux.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int interrupt_descriptor = -1;
/* Set on the thread that gets the signal, and read on other threads. */
static atomic_bool interrupted;

static void interrupt(int number)
{
    int saved = errno;
    if (atomic_exchange(&interrupted, true)) {
        signal(number, SIG_DFL);
        raise(number);
    }
    uint64_t one = 1;
    ssize_t written = write(interrupt_descriptor, &one, sizeof one);
    (void)written;
    errno = saved;
}

int berth_take_interrupts(void)
{
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART};
    interrupt_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (interrupt_descriptor < 0)
        return -1;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGINT, &action, NULL) || sigaction(SIGTERM, &action, NULL))
        return -1;
    struct sigaction before;
    if (sigaction(SIGHUP, NULL, &before))
        return -1;
    if (before.sa_handler != SIG_IGN && sigaction(SIGHUP, &action, NULL))
        return -1;
    return interrupt_descriptor;
}

static void quit(int number)
{
    _exit(128 + number);
}

void berth_end_on_quit(void)
{
    struct sigaction action = {.sa_handler = quit};
    sigemptyset(&action.sa_mask);
    sigaction(SIGQUIT, &action, NULL);
}

void berth_use_one_arena(void)
{
    mallopt(M_ARENA_MAX, 1);
}

bool berth_is_interrupted(void)
{
    return interrupted;
}

pid_t berth_peer(int socket, uid_t *user)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size))
        return -1;
    *user = peer.uid;
    return peer.pid;
}

const char *berth_library_with(const void *function)
{
    Dl_info found;
    return dladdr(function, &found) ? found.dli_fname : NULL;
}

int berth_pipe(int ends[2])
{
    return pipe2(ends, O_CLOEXEC | O_NONBLOCK);
}

pid_t berth_begin_write(const char *path, const char *text, size_t length)
{
    pid_t child = fork();
    if (child)
        return child;
    setsid();
    close_range(0, ~0U, 0);
    /* Nothing in sysfs heeds O_NONBLOCK. In place of such a file, a pipe makes this process wait, too. */
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        _exit(errno);
    while (length > 0) {
        ssize_t written = write(file, text, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            _exit(errno);
        text += written;
        length -= (size_t)written;
    }
    _exit(0);
}

pid_t berth_begin_program(const struct berth_program *program)
{
    pid_t parent = getpid();
    pid_t child = fork();
    if (child) {
        /* Both set it, so that neither can come too late. A failure means that the child has done so already. */
        if (child > 0)
            setpgid(child, child);
        return child;
    }
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The parent may have ended before the call. */
    if (getppid() != parent)
        _exit(127);
    for (int number = 1; number < NSIG; number++)
        signal(number, number == SIGXFSZ ? SIG_IGN : SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit))
        _exit(127);
    if (program->most_file_bytes < limit.rlim_cur)
        limit.rlim_cur = program->most_file_bytes;
    if (program->most_file_bytes < limit.rlim_max)
        limit.rlim_max = program->most_file_bytes;
    /* What the program allocates. An object of git is held in memory as a whole. */
    struct rlimit memory = {1UL << 30, 1UL << 30};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || setrlimit(RLIMIT_DATA, &memory))
        _exit(127);
    if (setrlimit(RLIMIT_FSIZE, &limit) || dup2(program->input, 0) < 0 || dup2(program->output, 1) < 0
        || dup2(program->errors, 2) < 0)
        _exit(127);
    close_range(3, ~0U, 0);
    execve(program->path, program->arguments, program->environment);
    _exit(127);
}

pid_t berth_begin_guard(pid_t group)
{
    pid_t parent = getpid();
    pid_t child = fork();
    if (child)
        return child;
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_SETMASK, &end, NULL);
    close_range(0, ~0U, 0);
    if (setpgid(0, group) || prctl(PR_SET_PDEATHSIG, SIGTERM))
        _exit(1);
    int number;
    /* The parent may have ended before the call. */
    if (getppid() == parent)
        sigwait(&end, &number);
    kill(0, SIGKILL);
    _exit(0);
}

/* MARK: Reads */

struct berth_answers {
    size_t size;
    atomic_size_t used;
    atomic_bool is_last;
    unsigned char bytes[];
};

struct berth_answers *berth_make_answers(size_t size)
{
    size += sizeof(struct berth_answers);
    /* Only what is written to takes memory. */
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    struct berth_answers *answers = memory;
    answers->size = size - sizeof(struct berth_answers);
    return answers;
}

void berth_free_answers(struct berth_answers *answers)
{
    munmap(answers, answers->size + sizeof(struct berth_answers));
}

const void *berth_answers_so_far(struct berth_answers *answers, size_t *used)
{
    *used = atomic_load(&answers->used);
    return answers->bytes;
}

void berth_answer_no_more(struct berth_answers *answers)
{
    atomic_store(&answers->is_last, true);
}

/* An answer that is being written. */
struct room {
    unsigned char *bytes;
    size_t size;
    size_t used;
};

/* Reads a whole file of sysfs, which gives a page at once unless it ends there. Returns the error number. */
static int read_whole(int file, struct room *room)
{
    enum { PAGE = 4096 };
    for (;;) {
        if (room->size - room->used < PAGE)
            return EFBIG;
        long count = syscall(SYS_read, file, room->bytes + room->used, room->size - room->used);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return errno;
        room->used += (size_t)count;
        if (count < PAGE)
            return 0;
    }
}

/* Reads one word of a configuration space, and adds it to the answer. Returns the error number, or -1 if the space ends
 * before the word. */
static int read_word(int file, uint32_t offset, struct room *room, uint32_t *word)
{
    long count;
    do
        count = syscall(SYS_pread64, file, word, sizeof *word, (long)offset);
    while (count < 0 && errno == EINTR);
    if (count != sizeof *word)
        return count < 0 ? errno : -1;
    if (room->size - room->used < 2 * sizeof *word)
        return EFBIG;
    memcpy(room->bytes + room->used, &offset, sizeof offset);
    memcpy(room->bytes + room->used + sizeof offset, word, sizeof *word);
    room->used += 2 * sizeof *word;
    return 0;
}

/* Reads the words of a configuration space up to the end of its two chains of capabilities. Each word costs an access to the
 * device, so no other is read. */
static int read_configuration(int file, struct room *room)
{
    uint32_t word = 0, start = 0;
    int failure;
    for (uint32_t offset = 0x04; offset <= 0x0C; offset += 4)
        if ((failure = read_word(file, offset, room, &word)))
            return failure;
    if ((failure = read_word(file, 0x34, room, &start)))
        return failure;
    /* The kernel's own limit (PCI_FIND_CAP_TTL, drivers/pci/pci.h, 6.1). */
    uint32_t offset = start & 0xFC;
    for (int count = 0; count < 48 && offset >= 0x40; count++) {
        if ((failure = read_word(file, offset, room, &word)))
            break;
        if ((word & 0xFF) == 0xFF)
            break;
        offset = word >> 8 & 0xFC;
    }
    if (failure > 0)
        return failure;
    /* Each capability has at least a header of four bytes, so a longer chain is a loop. */
    offset = 0x100;
    for (int count = 0; count < 1024 && offset >= 0x100; count++) {
        uint32_t ignored;
        if ((failure = read_word(file, offset, room, &word)))
            break;
        if (word == 0 || word == UINT32_MAX)
            break;
        /* The serial number and Access Control Services (PCI_EXT_CAP_ID_*, linux/pci_regs.h). */
        if ((word & 0xFFFF) == 0x0003 || (word & 0xFFFF) == 0x000D)
            for (uint32_t at = 4; at <= 8 && failure == 0; at += 4)
                failure = read_word(file, offset + at, room, &ignored);
        if (failure > 0)
            break;
        offset = word >> 20 & 0xFFC;
    }
    return failure;
}

static int answer(const struct berth_question *question, const char *path, struct room *room)
{
    /* Without O_NONBLOCK, which nothing in sysfs heeds: in place of such a file, a pipe makes this process wait, too. */
    long file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return errno;
    int failure =
        question->kind == BERTH_CONFIGURATION ? read_configuration((int)file, room) : read_whole((int)file, room);
    syscall(SYS_close, (int)file);
    return failure < 0 ? 0 : failure;
}

pid_t berth_begin_reads(
    const void *questions, size_t length, uint32_t first, struct berth_answers *answers, int end)
{
    /* fork(3) would wait for locks of other threads, and copy what nobody needs here. */
    pid_t child = _Fork();
    if (child)
        return child;
    syscall(SYS_setsid);
    /* Standard input is the end of the pipe, and nothing else is open. */
    if (end != 0 && syscall(SYS_dup2, end, 0) < 0)
        syscall(SYS_exit_group, 1);
    syscall(SYS_close_range, 1U, ~0U, 0U);
    const unsigned char *rest = questions, *stop = rest + length;
    for (uint32_t index = first; rest < stop; index++) {
        struct berth_question question;
        memcpy(&question, rest, sizeof question);
        size_t used = atomic_load(&answers->used);
        struct berth_answer head = {.index = index};
        if (answers->size - used < sizeof head)
            break;
        struct room room = {
            .bytes = answers->bytes + used + sizeof head, .size = (answers->size - used - sizeof head) & ~(size_t)3};
        head.failure = answer(&question, (const char *)rest + sizeof question, &room);
        /* Another process will have more room. */
        if (head.failure == EFBIG && used > 0)
            break;
        head.length = head.failure ? 0 : (uint32_t)room.used;
        memcpy(answers->bytes + used, &head, sizeof head);
        atomic_store(&answers->used, used + sizeof head + ((head.length + 3) & ~(size_t)3));
        rest += sizeof question + question.length;
        /* Only here: a process that begins late still answers the question that it was begun for. */
        if (atomic_load(&answers->is_last))
            break;
    }
    syscall(SYS_exit_group, 0);
    __builtin_unreachable();
}
