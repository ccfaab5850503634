/* Linux calls and structures that Swift's Glibc module does not have. */
#ifndef BERTH_CLINUX_H
#define BERTH_CLINUX_H
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/sysmacros.h>
#include <sys/types.h>

/* Handles SIGINT, SIGTERM and, unless it is ignored, SIGHUP for this process. The first of them makes the returned
 * eventfd readable for good, and sets the flag below. The next one ends the program as if there was no handler. This is
 * C because a signal handler may call only functions that are safe there. Returns -1 with errno on failure. */
int berth_take_interrupts(void);

/* Lets SIGQUIT end this process at once, without a core dump. */
void berth_end_on_quit(void);

/* Lets all threads take memory from one arena. Each further arena reserves 64 MiB of the address space. */
void berth_use_one_arena(void);

/* Returns whether one of these signals has come. */
bool berth_is_interrupted(void);

/* Returns the process that listened at the other end of a connected UNIX socket, and stores its user. Returns -1 with
 * errno on failure (SO_PEERCRED, unix(7)). */
pid_t berth_peer(int socket, uid_t *user);

/* Returns the path of the loaded library that has this function, or NULL. The text stays valid while the library is
 * loaded (dladdr(3)). */
const char *berth_library_with(const void *function);

/* Makes a pipe whose ends neither wait nor are open in programs that this one starts. Returns -1 with errno on failure
 * (pipe2(2)). */
int berth_pipe(int ends[2]);

/* Begins to write a text to an existing file in a process of its own, and returns that process's number, or -1 with
 * errno. The process ends with the error number of the failed call as its status; 0 is success. It has none of this
 * process's files and signals from the terminal: a write into sysfs may wait in the kernel for ever, and must then keep
 * neither a lock nor a pipe. This is C because only safe functions may follow fork(2) in a program with threads. */
pid_t berth_begin_write(const char *path, const char *text, size_t length);

/* A program to begin. The descriptors become its standard streams. */
struct berth_program {
    const char *path;
    char *const *arguments;
    char *const *environment;
    int input, output, errors;
    /* The most bytes that each file may have that the program, or a child of it, writes. */
    uint64_t most_file_bytes;
};

/* Begins a program and returns its number, or -1 with errno. It leads a process group of its own, has no other open file,
 * and ends with the thread that began it. Signals have their default effects, except for SIGXFSZ: a write beyond the
 * limit fails. A program that cannot be executed ends with status 127. This is C because only safe functions may follow
 * fork(2) in a program with threads. */
pid_t berth_begin_program(const struct berth_program *program);

/* Begins a process that ends all processes of a group, and itself, when the thread ends that began it. Returns its number,
 * or -1 with errno. It is of that group, so whoever ends the group ends it, too. */
pid_t berth_begin_guard(pid_t group);

/* What a process is to read. The questions stand behind each other: this head, then `length` bytes, which are a path and
 * a NUL. */
struct berth_question {
    uint32_t kind;
    uint32_t length;
};
enum {
    /* The whole file. */
    BERTH_FILE = 1,
    /* The words of a PCI configuration space that identify a function and its capabilities: pairs of offset and word. */
    BERTH_CONFIGURATION = 2,
};

/* What a process has read of one file: this head, then `length` bytes, then what fills them to four bytes. */
struct berth_answer {
    /* The question, from 0. */
    uint32_t index;
    /* The error number of the failed call; 0 is success. */
    int32_t failure;
    uint32_t length;
};

/* Memory in which a process leaves its answers for this one. */
struct berth_answers;

/* Makes the memory for `size` bytes of answers. Returns NULL with errno on failure. */
struct berth_answers *berth_make_answers(size_t size);
void berth_free_answers(struct berth_answers *answers);

/* Returns the answers so far, and stores how many bytes they have. */
const void *berth_answers_so_far(struct berth_answers *answers, size_t *used);

/* Lets the process end after the answer that it is at. */
void berth_answer_no_more(struct berth_answers *answers);

/* Begins to read files in a process of its own, and returns that process's number, or -1 with errno. `first` is the number
 * of the first question. The end of a pipe is open in that process, and in nothing else that it has, until it ends: at the
 * last question, if it may answer no more, or if the memory is full. Nothing that a cut point counts is called. */
pid_t berth_begin_reads(
    const void *questions, size_t length, uint32_t first, struct berth_answers *answers, int end);
#endif
