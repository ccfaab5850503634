/* The library has no interface of its own: it is preloaded, and stands in for system calls by name. */
#ifndef BERTH_CUT_H
#define BERTH_CUT_H
#endif
