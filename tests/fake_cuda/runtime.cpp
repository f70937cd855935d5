// A stand-in for the CUDA runtime and cuBLAS on the CPU: one library, loaded with ctypes.
#include "blas.hpp"

extern "C" {
// A new test: forget what was logged; memory, streams and handles in use stay.
void fake_reset() {
  problems.clear();
  products.clear();
  device_depth = 0;
  captures_running = 0;
  for (Stream* stream : streams) stream->capturing.reset();
  fake_set_order(0, 0);
}
}
