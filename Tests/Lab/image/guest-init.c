// The only program of a lab guest: loads the given modules, and prints on its console which PCI devices the guest has.
//
// In a stub domain it also starts the stub domain's work. It prints a line `lab-pci [...]` after the start, and when
// the set of devices, or a driver, has changed. In between it waits for the kernel's uevents, because there is only one
// emulated processor.
#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices"
// A driver binds right after its device has appeared: one line reports both.
#define QUIET_MILLISECONDS 150

static char report[16384];
static size_t length;

static void add(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int count = vsnprintf(report + length, sizeof report - length, format, arguments);
  va_end(arguments);
  if (count > 0 && length + count < sizeof report) length += count;
}

// Returns the first line of a file below a device's folder, without its `0x`.
static const char *attribute(const char *device, const char *name) {
  static char text[64];
  char path[512];
  snprintf(path, sizeof path, DEVICES "/%s/%s", device, name);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t count = file < 0 ? 0 : read(file, text, sizeof text - 1);
  if (file >= 0) close(file);
  text[count > 0 ? count : 0] = 0;
  text[strcspn(text, "\n")] = 0;
  return strncmp(text, "0x", 2) ? text : text + 2;
}

static void tellDevice(const char *device) {
  char path[512], target[512];
  add("%s{\"at\":\"%s\",\"id\":\"%s:", length > 1 ? "," : "", device, attribute(device, "vendor"));
  add("%s\"", attribute(device, "device"));
  snprintf(path, sizeof path, DEVICES "/%s/driver", device);
  ssize_t count = readlink(path, target, sizeof target - 1);
  if (count > 0) {
    target[count] = 0;
    const char *slash = strrchr(target, '/');
    add(",\"driver\":\"%s\"", slash ? slash + 1 : target);
  }
  snprintf(path, sizeof path, DEVICES "/%s/net", device);
  DIR *interfaces = opendir(path);
  for (struct dirent *entry; interfaces && (entry = readdir(interfaces));) {
    if (entry->d_name[0] == '.') continue;
    char name[300];
    snprintf(name, sizeof name, "net/%s/address", entry->d_name);
    add(",\"mac\":\"%s\"", attribute(device, name));
  }
  if (interfaces) closedir(interfaces);
  add("}");
}

static void look(void) {
  length = 0;
  add("[");
  struct dirent **entries;
  int count = scandir(DEVICES, &entries, NULL, alphasort);
  for (int index = 0; index < count; index++) {
    if (entries[index]->d_name[0] != '.') tellDevice(entries[index]->d_name);
    free(entries[index]);
  }
  if (count >= 0) free(entries);
  add("]");
}

static double uptime(void) {
  struct timespec time;
  clock_gettime(CLOCK_BOOTTIME, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void loadModules(void) {
  FILE *order = fopen("/modules/order", "r");
  char name[256], path[300];
  while (order && fgets(name, sizeof name, order)) {
    name[strcspn(name, "\n")] = 0;
    // A guest without the front end's driver never answers on its bus.
    if (strstr(name, "pcifront") && getenv("lab_no_pcifront")) continue;
    snprintf(path, sizeof path, "/modules/%s", name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || syscall(SYS_finit_module, file, "", 0)) printf("lab-failed %s\n", name);
    if (file >= 0) close(file);
  }
  if (order) fclose(order);
}

int main(void) {
  mkdir("/proc", 0755), mkdir("/sys", 0755), mkdir("/dev", 0755);
  mount("proc", "/proc", "proc", 0, NULL);
  mount("sysfs", "/sys", "sysfs", 0, NULL);
  mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
  int console = open("/dev/console", O_RDWR);
  for (int descriptor = 0; descriptor < 3; descriptor++) dup2(console, descriptor);
  setvbuf(stdout, NULL, _IOLBF, sizeof report + 64);

  int events = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
  if (events < 0 || bind(events, (struct sockaddr *)&address, sizeof address)) printf("lab-failed uevents\n");
  loadModules();
  if (!access("/stub", X_OK) && !fork()) execl("/stub", "/stub", (char *)NULL), _exit(1);
  printf("lab-up %.2f\n", uptime());

  char last[sizeof report] = "", event[8192];
  for (int wait = 0;;) {
    struct pollfd ready = {.fd = events, .events = POLLIN};
    if (poll(&ready, 1, wait) > 0) {
      // Neither its content nor an overflow matters, because the devices are read again.
      if (recv(events, event, sizeof event, MSG_DONTWAIT) < 0) {}
      wait = QUIET_MILLISECONDS;
      continue;
    }
    look();
    if (strcmp(report, last)) {
      printf("lab-pci %s\n", report);
      strcpy(last, report);
    }
    wait = -1;
  }
}
