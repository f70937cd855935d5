/* Counts what a process does to the files below one folder, and lets something happen at one of
   these events: the process is killed, or stopped, or the call fails. Loaded by LD_PRELOAD; does
   nothing until `torture_arm` is called. What it counts stands in a shared page, so that it is
   there after a SIGKILL. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE, WRITE, SYNC, RENAME, UNLINK, MKDIR, LOOK, READ, ALLOCATE, KINDS };
enum { COUNT, KILL_BEFORE, KILL_AFTER, KILL_WITHIN, STOP, FAIL, SHORT, BUDGET };

struct page {
    long long counts[KINDS], seen, fired, written;
    char what[232];
};

static struct page nowhere, *page = &nowhere;
static char folder[PATH_MAX];
static size_t folder_length;
static int armed, mask, action, error_number, lasting;
static long long at, least;
static unsigned char is_ours[4096];

static const char *names[KINDS] = {
    "open for writing", "write", "fsync", "rename", "unlink", "mkdir", "open for reading", "read",
    "allocation"};

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

int torture_arm(const char *below, const char *report, int kinds, int what, long long number,
                int error, int goes_on, long long smallest) {
    int fd = open(report, O_RDWR);
    if (fd < 0) return -1;
    void *shared = mmap(0, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared == MAP_FAILED) return -1;
    page = shared;
    snprintf(folder, sizeof folder, "%s", below);
    folder_length = strlen(folder);
    mask = kinds, action = what, at = number, error_number = error, lasting = goes_on;
    least = smallest;
    memset(is_ours, 0, sizeof is_ours);
    armed = 1;
    return 0;
}

/* Whether a path, as it was given, names something in the folder, or the folder itself. */
static int below(int directory, const char *path) {
    char full[2 * PATH_MAX], base[PATH_MAX];
    if (!armed || !path) return 0;
    if (path[0] == '/') {
        snprintf(full, sizeof full, "%s", path);
    } else {
        if (directory == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
            ssize_t n = readlink(link, base, sizeof base - 1);
            if (n < 0) return 0;
            base[n] = 0;
        }
        snprintf(full, sizeof full, "%s/%s", base, path);
    }
    if (strncmp(full, folder, folder_length)) return 0;
    char next = full[folder_length];
    return next == 0 || next == '/';
}

static int mine(int fd) { return armed && fd >= 0 && fd < 4096 && is_ours[fd]; }

static void remember(int fd, int ours) {
    if (fd >= 0 && fd < 4096) is_ours[fd] = ours;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Counts an event and returns what is to become of it, COUNT where nothing is. */
static int event(int kind, const char *path) {
    __atomic_add_fetch(&page->counts[kind], 1, __ATOMIC_SEQ_CST);
    if (!(mask >> kind & 1)) return COUNT;
    long long number = __atomic_add_fetch(&page->seen, 1, __ATOMIC_SEQ_CST);
    if (action == COUNT || action == BUDGET) return COUNT;
    if (number != at && !(lasting && number > at)) return COUNT;
    if (!__atomic_fetch_add(&page->fired, 1, __ATOMIC_SEQ_CST))
        snprintf(page->what, sizeof page->what, "%s %s", names[kind], path ? path : "");
    if (action == KILL_BEFORE || (action == KILL_WITHIN && kind != WRITE)) die();
    if (action == STOP) {
        kill(getpid(), SIGSTOP);
        return COUNT;
    }
    if (action == FAIL) errno = error_number;
    return action;
}

static long after(int fate, long result) {
    if (fate == KILL_AFTER) die();
    return result;
}

static int open_kind(int flags) { return (flags & O_ACCMODE) == O_RDONLY ? LOOK : CREATE; }

#define OPENED(call) \
    int ours = below(directory, path) && !(flags & O_DIRECTORY); \
    int fate = ours ? event(open_kind(flags), path) : COUNT; \
    if (fate == FAIL) return -1; \
    int fd = call; \
    remember(fd, ours); \
    return after(fate, fd)

#define MODE \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) {
    REAL(open);
    MODE int directory = AT_FDCWD;
    OPENED(real(path, flags, mode));
}

int open64(const char *path, int flags, ...) {
    REAL(open64);
    MODE int directory = AT_FDCWD;
    OPENED(real(path, flags, mode));
}

int openat(int directory, const char *path, int flags, ...) {
    REAL(openat);
    MODE OPENED(real(directory, path, flags, mode));
}

int openat64(int directory, const char *path, int flags, ...) {
    REAL(openat64);
    MODE OPENED(real(directory, path, flags, mode));
}

int close(int fd) {
    REAL(close);
    remember(fd, 0);
    return real(fd);
}

/* How many bytes of a write go through: all, some, or -1 for an error. */
static ssize_t allowed(int fate, size_t size) {
    if (fate == FAIL) return -1;
    if (fate == SHORT || fate == KILL_WITHIN) return size > 1 ? size / 2 : size;
    if (action != BUDGET) return size;
    long long left = at - page->written;
    if (left <= 0 && size) {
        if (!page->fired++) snprintf(page->what, sizeof page->what, "byte %lld", at);
        errno = error_number;
        return -1;
    }
    return (long long)size < left ? (ssize_t)size : (ssize_t)left;
}

#define WRITTEN(call) \
    if (!mine(fd)) { \
        size_t part = size; \
        return call; \
    } \
    int fate = event(WRITE, 0); \
    ssize_t part = allowed(fate, size); \
    if (part < 0) return -1; \
    ssize_t done = call; \
    if (done > 0) page->written += done; \
    if (fate == KILL_WITHIN) die(); \
    return after(fate, done)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    WRITTEN(real(fd, data, part));
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t place) {
    REAL(pwrite);
    WRITTEN(real(fd, data, part, place));
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t place) {
    REAL(pwrite64);
    WRITTEN(real(fd, data, part, place));
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    if (!mine(fd) || count < 1) return real(fd, parts, count);
    return write(fd, parts[0].iov_base, parts[0].iov_len);
}

#define DONE(kind, is, path, call) \
    int fate = (is) ? event(kind, path) : COUNT; \
    if (fate == FAIL) return -1; \
    return after(fate, call)

ssize_t read(int fd, void *data, size_t size) {
    REAL(read);
    DONE(READ, mine(fd), 0, real(fd, data, size));
}

ssize_t pread(int fd, void *data, size_t size, off_t place) {
    REAL(pread);
    DONE(READ, mine(fd), 0, real(fd, data, size, place));
}

ssize_t pread64(int fd, void *data, size_t size, off64_t place) {
    REAL(pread64);
    DONE(READ, mine(fd), 0, real(fd, data, size, place));
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t place) {
    REAL(mmap);
    if (mine(fd) && event(READ, "(mapped)") == FAIL) return MAP_FAILED;
    return real(address, size, protection, flags, fd, place);
}

void *mmap64(void *address, size_t size, int protection, int flags, int fd, off64_t place) {
    REAL(mmap64);
    if (mine(fd) && event(READ, "(mapped)") == FAIL) return MAP_FAILED;
    return real(address, size, protection, flags, fd, place);
}

int fsync(int fd) {
    REAL(fsync);
    if (armed && !mine(fd)) return real(fd);
    if (!armed) return real(fd);
    int fate = event(SYNC, 0); /* without the wait for a disk: no power is lost here */
    return fate == FAIL ? -1 : after(fate, 0);
}

int fdatasync(int fd) { return fsync(fd); }

int ftruncate(int fd, off_t size) {
    REAL(ftruncate);
    DONE(WRITE, mine(fd), "(truncate)", real(fd, size));
}

int ftruncate64(int fd, off64_t size) {
    REAL(ftruncate64);
    DONE(WRITE, mine(fd), "(truncate)", real(fd, size));
}

int rename(const char *from, const char *to) {
    REAL(rename);
    DONE(RENAME, below(AT_FDCWD, to), to, real(from, to));
}

int renameat(int a, const char *from, int b, const char *to) {
    REAL(renameat);
    DONE(RENAME, below(b, to), to, real(a, from, b, to));
}

int unlink(const char *path) {
    REAL(unlink);
    DONE(UNLINK, below(AT_FDCWD, path), path, real(path));
}

int unlinkat(int directory, const char *path, int flags) {
    REAL(unlinkat);
    DONE(UNLINK, below(directory, path), path, real(directory, path, flags));
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    DONE(MKDIR, below(AT_FDCWD, path), path, real(path, mode));
}

int mkdirat(int directory, const char *path, mode_t mode) {
    REAL(mkdirat);
    DONE(MKDIR, below(directory, path), path, real(directory, path, mode));
}

#ifdef __GLIBC__
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static int refused(size_t size) {
    if (!armed || !(mask >> ALLOCATE & 1) || size < (size_t)least) return 0;
    return event(ALLOCATE, 0) == FAIL;
}

void *malloc(size_t size) { return refused(size) ? 0 : __libc_malloc(size); }

void *calloc(size_t count, size_t size) {
    return refused(count * size) ? 0 : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) { return refused(size) ? 0 : __libc_realloc(old, size); }
#endif
