// A write that claims to have written more than it was given: of the addon alone, on the main thread alone, and only while there is a file
// at the path in LYING_WRITE.
//
// Loaded before the C library. Rust's standard library panics at such a claim: so a process is brought to panic in the middle of a call
// into the core, which has no export for that.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int lies(void *caller) {
  Dl_info info;
  const char *path;
  // The thread is looked at first: the environment belongs to the main thread.
  if (syscall(SYS_gettid) != getpid() || (path = getenv("LYING_WRITE")) == NULL || access(path, F_OK) != 0) return 0;
  return dladdr(caller, &info) != 0 && info.dli_fname != NULL && strstr(info.dli_fname, ".node") != NULL;
}

ssize_t write(int file, const void *bytes, size_t length) {
  ssize_t written = syscall(SYS_write, file, bytes, length);
  // The words about the panic go to the standard error, and are left alone.
  return written > 0 && file > STDERR_FILENO && lies(__builtin_return_address(0)) ? written + 1 : written;
}
