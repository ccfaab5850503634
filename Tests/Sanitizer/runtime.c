// What the thread sanitizer must know for correct reports about this program.
//
// The fast paths of Swift's `Mutex` are compiled into the program, and so instrumented. The slow paths, for a mutex
// that another thread holds or waits for, are in libswiftSynchronization, which is not instrumented. The sanitizer
// would not know what they acquire and release, and would report each contended mutex falsely. The symbols are those of
// `_MutexHandle` (stdlib/public/Synchronization/Mutex/LinuxImpl.swift, Swift 6.2).

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void __tsan_acquire(void *address);
void __tsan_release(void *address);

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define SELF __attribute__((swift_context)) void *self

typedef __attribute__((swiftcall)) void lock_slow(uint32_t thread, SELF);
typedef __attribute__((swiftcall)) void unlock_slow(SELF);

static void *next(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (!found) {
    fprintf(stderr, "Swift's Mutex no longer has %s\n", name);
    abort();
  }
  return found;
}

__attribute__((swiftcall)) void berth_lock_slow(uint32_t thread, SELF) __asm__(LOCK);
__attribute__((swiftcall)) void berth_unlock_slow(SELF) __asm__(UNLOCK);

__attribute__((swiftcall)) void berth_lock_slow(uint32_t thread, SELF) {
  ((lock_slow *)next(LOCK))(thread, self);
  __tsan_acquire(self);
}

__attribute__((swiftcall)) void berth_unlock_slow(SELF) {
  __tsan_release(self);
  ((unlock_slow *)next(UNLOCK))(self);
}

// libxenstore ends a handle's reader by cancelling it in `read` (tools/libs/store/xs.c, Xen 4.17). The sanitizer takes
// that for an error and ends the program. A handle that is never closed avoids this end.
void xs_close(void *handle) { (void)handle; }
