/* The library has no interface of its own: it is preloaded, and replaces system calls by name. */
#ifndef BERTH_CUT_H
#define BERTH_CUT_H
#endif
