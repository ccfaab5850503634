// probe: asks the hypervisor which devices belong to guests. It is also the minimum for comparison with Berth's times:
// the fewest calls that attach or detach several devices of one running PV domain. It takes no lock, writes no record,
// proves nothing and undoes nothing.
//
//   probe assigned ADDRESS...         prints the devices that some guest has
//   probe attach DOMID ADDRESS...     returns when back end and front end are connected
//   probe detach DOMID ADDRESS...     returns when the devices are returned; removes the bus with the last one
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenstore.h>

#define LINES 7 // Six base address registers and the ROM.
#define IO_PORTS 0x100 // IORESOURCE_IO, include/linux/ioport.h.
#define DEADLINE_SECONDS 120

static struct xs_handle *store;
static xc_interface *xen;
static unsigned domain;
static char backEnd[64], frontEnd[64];

static void die(const char *what) {
  fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
  exit(1);
}

static unsigned number(const char *address) {
  unsigned segment, bus, device, function;
  if (sscanf(address, "%x:%x:%x.%x", &segment, &bus, &device, &function) != 4) errno = EINVAL, die(address);
  return segment << 16 | bus << 8 | device << 3 | function;
}

// Reads the lines of a device's file into `text`.
static void readFile(const char *address, const char *name, char *text, size_t size) {
  char path[128];
  snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/%s", address, name);
  FILE *file = fopen(path, "r");
  if (!file) die(path);
  text[fread(text, 1, size - 1, file)] = 0;
  fclose(file);
}

// Grants a device's registers and interrupt to the domain, or revokes them. Refusals are reported and skipped.
static void permit(const char *address, int allowed) {
  char text[2048];
  readFile(address, "resource", text, sizeof text);
  char *line = text;
  for (int index = 0; index < LINES && line && *line; index++) {
    unsigned long long first, last, flags;
    if (sscanf(line, "%llx %llx %llx", &first, &last, &flags) == 3 && first) {
      int failed = flags & IO_PORTS
        ? xc_domain_ioport_permission(xen, domain, first, last - first + 1, allowed)
        : xc_domain_iomem_permission(xen, domain, first >> XC_PAGE_SHIFT,
                                     (last >> XC_PAGE_SHIFT) - (first >> XC_PAGE_SHIFT) + 1, allowed);
      if (failed) fprintf(stderr, "probe: %s register %d: %s\n", address, index, strerror(errno));
    }
    line = strchr(line, '\n');
    if (line) line++;
  }
  readFile(address, "irq", text, sizeof text);
  int interrupt = atoi(text), mapped = interrupt;
  if (interrupt <= 0 || interrupt >= 255) return;
  if (allowed) {
    if (xc_physdev_map_pirq(xen, domain, interrupt, &mapped)) fprintf(stderr, "probe: %s: map: %s\n", address, strerror(errno));
  } else {
    // Another device of the domain may share the interrupt, and may have unmapped it already.
    (void)xc_physdev_unmap_pirq(xen, domain, interrupt);
  }
  (void)xc_domain_irq_permission(xen, domain, interrupt, allowed);
}

static char *get(xs_transaction_t transaction, const char *format, ...) {
  char path[192];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(path, sizeof path, format, arguments);
  va_end(arguments);
  unsigned length;
  return xs_read(store, transaction, path, &length);
}

static void put(xs_transaction_t transaction, const char *value, const char *format, ...) {
  char path[192];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(path, sizeof path, format, arguments);
  va_end(arguments);
  if (!xs_write(store, transaction, path, value, strlen(value))) die(path);
}

// Returns the number in a node; -1 if there is none.
static int count(xs_transaction_t transaction) {
  char *text = get(transaction, "%s/num_devs", backEnd);
  int result = text ? atoi(text) : -1;
  free(text);
  return result;
}

static void putNumber(xs_transaction_t transaction, unsigned value, const char *directory, const char *name) {
  char text[16];
  snprintf(text, sizeof text, "%u", value);
  put(transaction, text, "%s/%s", directory, name);
}

static void makeDirectory(xs_transaction_t transaction, const char *path, unsigned owner, unsigned reader) {
  struct xs_permissions rights[2] = {{.id = owner, .perms = XS_PERM_NONE}, {.id = reader, .perms = XS_PERM_READ}};
  if (!xs_mkdir(store, transaction, path) || !xs_set_permissions(store, transaction, path, rights, 2)) die(path);
}

static void attachAll(xs_transaction_t transaction, int devices, char **addresses) {
  int base = count(transaction);
  if (base < 0) {
    makeDirectory(transaction, backEnd, 0, domain);
    makeDirectory(transaction, frontEnd, domain, 0);
    put(transaction, frontEnd, "%s/frontend", backEnd);
    putNumber(transaction, domain, backEnd, "frontend-id");
    putNumber(transaction, 1, backEnd, "online");
    putNumber(transaction, 1, backEnd, "state");
    put(transaction, backEnd, "%s/backend", frontEnd);
    putNumber(transaction, 0, frontEnd, "backend-id");
    putNumber(transaction, 1, frontEnd, "state");
    base = 0;
  } else {
    putNumber(transaction, 7, backEnd, "state");
  }
  for (int index = 0; index < devices; index++) {
    put(transaction, addresses[index], "%s/key-%d", backEnd, base + index);
    put(transaction, addresses[index], "%s/dev-%d", backEnd, base + index);
    put(transaction, "msitranslate=0,power_mgmt=0,permissive=0", "%s/opts-%d", backEnd, base + index);
    put(transaction, "1", "%s/state-%d", backEnd, base + index);
  }
  putNumber(transaction, base + devices, backEnd, "num_devs");
}

static int isListed(const char *address, int devices, char **addresses) {
  for (int index = 0; index < devices; index++)
    if (address && !strcmp(address, addresses[index])) return 1;
  return 0;
}

static void markAll(xs_transaction_t transaction, int devices, char **addresses) {
  int entries = count(transaction);
  for (int index = 0; index < entries; index++) {
    char *address = get(transaction, "%s/dev-%d", backEnd, index);
    if (isListed(address, devices, addresses)) put(transaction, "5", "%s/state-%d", backEnd, index);
    free(address);
  }
  putNumber(transaction, 7, backEnd, "state");
}

// Removes the entries and closes the gaps; asks an empty bus to close.
static void compact(xs_transaction_t transaction, int devices, char **addresses) {
  static const char *names[] = {"key", "dev", "opts", "state", "vdev"};
  int entries = count(transaction), kept = 0;
  for (int index = 0; index < entries; index++) {
    char *address = get(transaction, "%s/dev-%d", backEnd, index), path[128];
    int goes = isListed(address, devices, addresses);
    free(address);
    for (size_t name = 0; name < sizeof names / sizeof *names; name++) {
      char *value = get(transaction, "%s/%s-%d", backEnd, names[name], index);
      if (value && !goes && kept != index) put(transaction, value, "%s/%s-%d", backEnd, names[name], kept);
      if (value && (goes || kept != index)) {
        snprintf(path, sizeof path, "%s/%s-%d", backEnd, names[name], index);
        if (!xs_rm(store, transaction, path)) die(path);
      }
      free(value);
    }
    kept += !goes;
  }
  putNumber(transaction, kept, backEnd, "num_devs");
  if (!kept) {
    putNumber(transaction, 0, backEnd, "online");
    putNumber(transaction, 5, backEnd, "state");
  }
}

static void removeBus(xs_transaction_t transaction, int devices, char **addresses) {
  (void)devices, (void)addresses;
  if (!xs_rm(store, transaction, backEnd) || !xs_rm(store, transaction, frontEnd)) die("remove the bus");
}

// Does `change` in one transaction, and again from the start if another writer committed first.
static void transact(void (*change)(xs_transaction_t, int, char **), int devices, char **addresses) {
  for (;;) {
    xs_transaction_t transaction = xs_transaction_start(store);
    if (transaction == XBT_NULL) die("transaction");
    change(transaction, devices, addresses);
    if (xs_transaction_end(store, transaction, false)) return;
    if (errno != EAGAIN) die("commit");
  }
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

// Waits until the ends are in these states; 0 means any state.
static void await(int back, int front) {
  double deadline = now() + DEADLINE_SECONDS;
  for (;;) {
    char *first = get(XBT_NULL, "%s/state", backEnd), *second = get(XBT_NULL, "%s/state", frontEnd);
    int isThere = (!back || (first && atoi(first) == back)) && (!front || (second && atoi(second) == front));
    free(first), free(second);
    if (isThere) return;
    struct pollfd ready = {.fd = xs_fileno(store), .events = POLLIN};
    int left = (deadline - now()) * 1000;
    if (left <= 0) errno = ETIMEDOUT, die("the guest");
    if (poll(&ready, 1, left) > 0)
      for (char **event; (event = xs_check_watch(store));) free(event);
  }
}

// Waits until dom0's kernel has dropped its object. sysfs sends no event, so this looks every few milliseconds.
static void awaitObjectGone(void) {
  char path[64];
  snprintf(path, sizeof path, "/sys/bus/xen-backend/devices/pci-%u-0", domain);
  for (double deadline = now() + DEADLINE_SECONDS; !access(path, F_OK);) {
    if (now() > deadline) errno = ETIMEDOUT, die(path);
    poll(NULL, 0, 5);
  }
}

static void attach(int devices, char **addresses) {
  for (int index = 0; index < devices; index++) {
    if (xc_assign_device(xen, domain, number(addresses[index]), 0)) die(addresses[index]);
    permit(addresses[index], 1);
  }
  transact(attachAll, devices, addresses);
  await(4, 4);
}

static void detach(int devices, char **addresses) {
  transact(markAll, devices, addresses);
  await(4, 0);
  transact(compact, devices, addresses);
  if (!count(XBT_NULL)) {
    await(6, 0);
    awaitObjectGone();
    transact(removeBus, 0, NULL);
  }
  for (int index = 0; index < devices; index++) {
    permit(addresses[index], 0);
    if (xc_deassign_device(xen, domain, number(addresses[index]))) die(addresses[index]);
  }
}

int main(int argc, char **argv) {
  if (argc < 3) return 64;
  xen = xc_interface_open(NULL, NULL, 0);
  if (!xen) die("xc_interface_open");
  if (!strcmp(argv[1], "assigned")) {
    for (int index = 2; index < argc; index++)
      // Without a domain, it asks whether any guest has it (iommu_do_pci_domctl, xen/drivers/passthrough/pci.c).
      if (xc_test_assign_device(xen, DOMID_INVALID, number(argv[index]))) puts(argv[index]);
    return 0;
  }
  domain = atoi(argv[2]);
  snprintf(backEnd, sizeof backEnd, "/local/domain/0/backend/pci/%u/0", domain);
  snprintf(frontEnd, sizeof frontEnd, "/local/domain/%u/device/pci/0", domain);
  store = xs_open(0);
  if (!store || !xs_watch(store, backEnd, "") || !xs_watch(store, frontEnd, "")) die("xenstore");
  if (!strcmp(argv[1], "attach")) attach(argc - 3, argv + 3);
  else if (!strcmp(argv[1], "detach")) detach(argc - 3, argv + 3);
  else return 64;
  return 0;
}
