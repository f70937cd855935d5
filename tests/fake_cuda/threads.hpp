// The threads of a block as coroutines; blocks run one after another.
#pragma once
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "memory.hpp"
#include "services.h"

constexpr int MOST_THREADS = 1024, WARP = 32;
constexpr size_t STACK = 64 * 1024;

enum class State { ready, at_block_barrier, at_warp_barrier, done };

// The compiler's own jumps: no system calls, and quicker than the library's.
using Context = void* [5];
__attribute__((noinline, noreturn)) inline void jump(Context context) {
  __builtin_longjmp(context, 1);
}

struct Thread {
  Context context;
  ucontext_t start;
  bool started = false;
  State state = State::done;
  XpIndex index;
  unsigned mask;
  int source;
  size_t bytes;
  unsigned char value[8];
};

enum class Order { forward, backward, random };
inline Order order = Order::forward;
inline std::minstd_rand generator;

inline Thread threads[MOST_THREADS];
inline Thread* current;
inline Context scheduler;
inline ucontext_t unused_link;
inline bool aborted;
inline void (*running_kernel)(void**);
inline void** running_arguments;
inline const std::string* running_name;

__attribute__((noinline)) inline void to_scheduler(State state) {
  current->state = state;
  if (!__builtin_setjmp(current->context)) jump(scheduler);
}

inline void thread_main() {
  for (;;) {
    running_kernel(running_arguments);
    to_scheduler(State::done);
  }
}

inline void block_barrier() { to_scheduler(State::at_block_barrier); }

inline void warp_exchange(unsigned mask, void* value, size_t bytes, int source) {
  if (!(mask >> ((current - threads) % WARP) & 1)) {
    aborted = !fail("a lane calls a warp function whose mask leaves it out");
    to_scheduler(State::done);
  }
  current->mask = mask;
  current->source = source;
  current->bytes = bytes;
  std::memcpy(current->value, value, bytes);
  to_scheduler(State::at_warp_barrier);
  std::memcpy(value, current->value, bytes);
}

inline void misaligned() {
  aborted = !fail(*running_name + ": misaligned address");
  to_scheduler(State::done);
}

inline XpServices services = {{}, {}, {}, {}, block_barrier, warp_exchange, misaligned};

inline void prepare(Thread& thread) {
  static char* stacks = static_cast<char*>(mmap(nullptr, MOST_THREADS * STACK,
      PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  getcontext(&thread.start);
  thread.start.uc_stack.ss_sp = stacks + (&thread - threads) * STACK;
  // Tops of stacks at equal distances would all share a few lines of the cache.
  thread.start.uc_stack.ss_size = STACK - (&thread - threads) % WARP * 320;
  thread.start.uc_link = &unused_link;
  makecontext(&thread.start, thread_main, 0);
}

__attribute__((noinline)) inline void resume(Thread& thread) {
  current = &thread;
  services.thread_index = thread.index;
  if (__builtin_setjmp(scheduler)) return;
  if (thread.started) jump(thread.context);
  prepare(thread);
  thread.started = true;
  setcontext(&thread.start);
}

inline std::vector<int> permutation(int count) {
  std::vector<int> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  if (order == Order::backward) std::reverse(numbers.begin(), numbers.end());
  if (order == Order::random) std::shuffle(numbers.begin(), numbers.end(), generator);
  return numbers;
}

// The lanes of one warp: threads that exist, those that wait for the same shuffle.
struct Warp {
  Thread* lanes;
  int count;

  unsigned waiting_with(unsigned mask) const {
    unsigned found = 0;
    for (int i = 0; i < count; ++i)
      if (lanes[i].state == State::at_warp_barrier && lanes[i].mask == mask) found |= 1u << i;
    return found;
  }
  unsigned alive() const {
    unsigned found = 0;
    for (int i = 0; i < count; ++i)
      if (lanes[i].state != State::done) found |= 1u << i;
    return found;
  }
  bool release() {
    const unsigned live = alive();
    bool any = false;
    for (int i = 0; i < count; ++i) {
      if (lanes[i].state != State::at_warp_barrier) continue;
      const unsigned group = lanes[i].mask & live;
      if (waiting_with(lanes[i].mask) != group) continue;
      exchange(group);
      any = true;
    }
    return any;
  }
  void exchange(unsigned group) {
    unsigned char given[WARP][8];
    for (int i = 0; i < count; ++i) std::memcpy(given[i], lanes[i].value, 8);
    for (int i = 0; i < count; ++i) {
      if (!(group >> i & 1)) continue;
      const int source = lanes[i].source;
      if (source >= 0 && source < WARP && group >> source & 1)
        std::memcpy(lanes[i].value, given[source], 8);
      else
        std::memset(lanes[i].value, POISON, 8);
      lanes[i].state = State::ready;
    }
  }
  bool step() {
    static const std::vector<int> forward = [] {
      std::vector<int> lanes(WARP);
      std::iota(lanes.begin(), lanes.end(), 0);
      return lanes;
    }();
    const std::vector<int> turns = order == Order::forward ? forward : permutation(WARP);
    for (int i : turns)
      if (i < count && lanes[i].state == State::ready) {
        resume(lanes[i]);
        if (aborted) return false;
      }
    return release();
  }
};

inline void run_to_barrier(std::vector<Warp> warps) {
  while (!warps.empty() && !aborted) {
    size_t turn = 0;
    if (order == Order::backward) turn = warps.size() - 1;
    if (order == Order::random) turn = generator() % warps.size();
    if (!warps[turn].step()) warps.erase(warps.begin() + turn);
  }
}

inline bool abandon(int count, const std::string& problem) {
  for (int i = 0; i < count; ++i) {
    if (threads[i].state != State::done || aborted) threads[i].started = false;
    threads[i].state = State::done;
  }
  return problem.empty() ? false : fail(problem);
}

inline bool run_block(const std::string& name, int count) {
  std::vector<Warp> warps;
  for (int first = 0; first < count; first += WARP)
    warps.push_back({threads + first, std::min(WARP, count - first)});
  const XpIndex size = services.block_size;
  for (unsigned i = 0; i < unsigned(count); ++i) {
    threads[i].index = {i % size.x, i / size.x % size.y, i / size.x / size.y};
    threads[i].state = State::ready;
  }
  aborted = false;
  for (;;) {
    run_to_barrier(warps);
    if (aborted) return abandon(count, "");
    int done = 0, in_warp = 0;
    for (int i = 0; i < count; ++i) {
      done += threads[i].state == State::done;
      in_warp += threads[i].state == State::at_warp_barrier;
    }
    if (done == count) return true;
    if (in_warp) return abandon(count, name + ": a warp function waits for lanes elsewhere");
    if (done) return abandon(count, name + ": __syncthreads() waits for threads that returned");
    for (int i = 0; i < count; ++i) threads[i].state = State::ready;
  }
}

extern "C" {
XpServices* fake_services() { return &services; }
void fake_set_order(int which, unsigned seed) {
  order = Order(which);
  generator.seed(seed + 1);
}
}
