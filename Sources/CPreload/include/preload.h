/* The library has no interface of its own: it is preloaded, and replaces functions of Xen's libraries by name. */
#ifndef BERTH_PRELOAD_H
#define BERTH_PRELOAD_H
#endif
