// What compiled kernels and the runtime share.
#pragma once
#include <cstddef>

struct XpIndex {
  unsigned x, y, z;
};

struct XpServices {
  XpIndex thread_index, block_index, block_size, grid_size;
  void (*block_barrier)();
  // Hands `value` to the warp and receives the value of lane `source`, in place.
  void (*warp_exchange)(unsigned mask, void* value, size_t bytes, int source);
  // Ends the kernel: a GPU loads and stores nothing that lies across its own size.
  void (*misaligned)();
};

// kind: 'p' pointer, 'f' floating point, 'i' integer. element, element_bytes: of a pointer's
// target, or '?' where it is neither a number of the above kinds.
struct XpParameter {
  char kind, element;
  unsigned char bytes, element_bytes;
};
