/*
 * Logs what a process writes to the files of one folder, and when it waits for the disk: loaded with LD_PRELOAD. power-cut.test.ts
 * replays the log in part, as a disk does that lost its power.
 *
 *   WRITE_LOG_FOLDER  the folder; files of other folders are left alone
 *   WRITE_LOG         the file that the log is appended to
 *   WRITE_LOG_LIES    when set, fsync and fdatasync do nothing and say that all is well
 *
 * A record, little-endian: kind u8 (W write, T truncate, S sync, U unlink), name length u8, offset or size u64, length u32, name, bytes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -2;
static const char *folder;
static int lies;

static void start(void) {
  if (log_fd != -2) return;
  const char *path = getenv("WRITE_LOG");
  folder = getenv("WRITE_LOG_FOLDER");
  lies = getenv("WRITE_LOG_LIES") != NULL;
  log_fd = path && folder ? syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
}

/* The name of a file of the folder; NULL for any other. */
static const char *name_in_folder(const char *path) {
  size_t length = folder ? strlen(folder) : 0;
  if (length == 0 || strncmp(path, folder, length) != 0 || path[length] != '/') return NULL;
  const char *name = path + length + 1;
  return strchr(name, '/') || strlen(name) > 255 ? NULL : name;
}

static const char *name_of(int fd, char *path, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = syscall(SYS_readlink, link, path, size - 1);
  if (length <= 0) return NULL;
  path[length] = 0;
  return name_in_folder(path);
}

static void record(char kind, const char *name, uint64_t at, const void *bytes, uint32_t length) {
  unsigned char head[14];
  head[0] = kind;
  head[1] = strlen(name);
  memcpy(head + 2, &at, 8);
  memcpy(head + 10, &length, 4);
  struct iovec parts[3] = {{head, sizeof head}, {(void *)name, strlen(name)}, {(void *)bytes, length}};
  if (syscall(SYS_writev, log_fd, parts, 3) < 0) abort();
}

static void log_fd_event(char kind, int fd, uint64_t at, const void *bytes, uint32_t length) {
  char path[4096];
  int before = errno;
  pthread_mutex_lock(&lock);
  start();
  const char *name = log_fd >= 0 ? name_of(fd, path, sizeof path) : NULL;
  if (name) record(kind, name, at, bytes, length);
  pthread_mutex_unlock(&lock);
  errno = before;
}

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
  REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
  ssize_t written = real(fd, bytes, length, at);
  if (written > 0) log_fd_event('W', fd, at, bytes, written);
  return written;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
  REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
  ssize_t written = real(fd, bytes, length, at);
  if (written > 0) log_fd_event('W', fd, at, bytes, written);
  return written;
}

ssize_t write(int fd, const void *bytes, size_t length) {
  REAL(ssize_t, "write", int, const void *, size_t);
  off_t at = lseek(fd, 0, SEEK_CUR);
  ssize_t written = real(fd, bytes, length);
  if (written > 0 && at >= 0) log_fd_event('W', fd, at, bytes, written);
  return written;
}

int ftruncate(int fd, off_t size) {
  REAL(int, "ftruncate", int, off_t);
  int result = real(fd, size);
  if (result == 0) log_fd_event('T', fd, size, "", 0);
  return result;
}

int ftruncate64(int fd, off64_t size) {
  REAL(int, "ftruncate64", int, off64_t);
  int result = real(fd, size);
  if (result == 0) log_fd_event('T', fd, size, "", 0);
  return result;
}

static int is_lie(int fd) {
  char path[4096];
  pthread_mutex_lock(&lock);
  start();
  int lie = lies && name_of(fd, path, sizeof path) != NULL;
  pthread_mutex_unlock(&lock);
  return lie;
}

int fsync(int fd) {
  REAL(int, "fsync", int);
  if (is_lie(fd)) return 0;
  int result = real(fd);
  if (result == 0) log_fd_event('S', fd, 0, "", 0);
  return result;
}

int fdatasync(int fd) {
  REAL(int, "fdatasync", int);
  if (is_lie(fd)) return 0;
  int result = real(fd);
  if (result == 0) log_fd_event('S', fd, 0, "", 0);
  return result;
}

int unlink(const char *path) {
  REAL(int, "unlink", const char *);
  int result = real(path);
  pthread_mutex_lock(&lock);
  start();
  const char *name = result == 0 && log_fd >= 0 ? name_in_folder(path) : NULL;
  if (name) record('U', name, 0, "", 0);
  pthread_mutex_unlock(&lock);
  return result;
}
