#define _GNU_SOURCE
#include "clinux.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
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
    int file = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
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
