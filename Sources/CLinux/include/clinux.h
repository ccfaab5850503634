/* Linux calls and structures that Swift's Glibc module does not have. */
#ifndef BERTH_CLINUX_H
#define BERTH_CLINUX_H
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#endif
