/* Linux calls and structures that Swift's Glibc module does not have. */
#ifndef BERTH_CLINUX_H
#define BERTH_CLINUX_H
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/sysmacros.h>

/* Takes SIGINT and SIGTERM for this process. The first of them makes the returned eventfd readable for good and sets
 * the flag below; the next one ends the program as if nothing had been taken. In C, since a signal handler may call
 * only what is safe there. Returns -1 with errno on failure. */
int berth_take_interrupts(void);

/* Whether one of them has come. */
bool berth_is_interrupted(void);
#endif
