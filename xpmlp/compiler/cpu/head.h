#define _POSIX_C_SOURCE 200809L /* threads and signals, which C11 alone may hide */
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Vectors of the C library's functions, where it has them: glibc on x86-64. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && !defined(XPMLP_SCALAR_MATH)
#define VECTORS __attribute__((simd("notinbranch"), const))
VECTORS float expf(float);
VECTORS double exp(double);
VECTORS float logf(float);
VECTORS double log(double);
#if __GLIBC_PREREQ(2, 35)
VECTORS float tanhf(float);
VECTORS double tanh(double);
VECTORS float expm1f(float);
VECTORS double expm1(double);
VECTORS float log1pf(float);
VECTORS double log1p(double);
#endif
#endif

typedef long long Size;

static inline float largest_float(float a, float b) { return a > b || a != a ? a : b; }
static inline double largest_double(double a, double b) { return a > b || a != a ? a : b; }
#define largest(a, b) _Generic((a), float: largest_float, default: largest_double)((a), (b))

/* Rows in a random order are nowhere ahead in the caches by themselves. */
enum { AHEAD = 2 };

static inline void fetch_ahead(const char* row, Size bytes) {
    for (Size at = 0; at < bytes; at += 64) __builtin_prefetch(row + at, 0, 2);
}

typedef void Sgemm(int, int, int, BlasInt, BlasInt, BlasInt, float, const float*, BlasInt,
                   const float*, BlasInt, float, float*, BlasInt);
typedef void Dgemm(int, int, int, BlasInt, BlasInt, BlasInt, double, const double*, BlasInt,
                   const double*, BlasInt, double, double*, BlasInt);

/* Numbers below the smallest normal one count as zero while a program runs, as on a GPU: a
   processor takes a hundred times as long for them. Returns, and puts back, what was set. */
#if defined(__x86_64__) || defined(__i386__)
static unsigned flush_to_zero(void) {
    unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | 0x8040);
    return before;
}
static void put_back(unsigned before) { __builtin_ia32_ldmxcsr(before); }
#elif defined(__aarch64__)
static uint64_t flush_to_zero(void) {
    uint64_t before;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(before));
    __asm__ __volatile__("msr fpcr, %0" ::"r"(before | (1 << 24)));
    return before;
}
static void put_back(uint64_t before) { __asm__ __volatile__("msr fpcr, %0" ::"r"(before)); }
#else
static int flush_to_zero(void) { return 0; }
static void put_back(int before) { (void)before; }
#endif

/* A tile of a chain: its first and last row or column, and its number. */
typedef struct {
    Size chain, begin, end, part;
} Piece;

/* Some steps. a, n, c: the arrays, sizes and numbers that the text names by their places.
   pieces: of all phases; ends: where those of each phase end. order: row indices, or none.
   step: the one that runs, until last. rates, metrics: of all steps. moving: how many arrays lie
   further on in each step; moved: which, and by how many bytes. */
typedef struct {
    void** a;
    const Size* n;
    const double* c;
    Sgemm* sgemm;
    Dgemm* dgemm;
    const Piece* pieces;
    const Size* ends;
    Size phases;
    const int64_t* order;
    Size batch_size;
    const char* rates;
    Size rate_bytes;
    char* metrics;
    Size metrics_bytes;
    Size step, last;
    Size moving;
    const Size* moved;
} Job;

typedef void Chain(const Job*, Size begin, Size end, Size part);
typedef void Alone(const Job*);
