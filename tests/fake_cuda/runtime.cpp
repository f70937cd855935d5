// A stand-in for the CUDA runtime and cuBLAS on the CPU: one library, loaded with ctypes.
#include "blas.hpp"

extern "C" {
// A new test: forget what was logged, and what waits; memory, streams and handles in use stay.
void fake_reset() {
  problems.clear();
  products.clear();
  loaded.clear();
  device_depth = 0;
  captures_running = 0;
  null_stream.queue.clear();
  for (Stream* stream : streams) {
    stream->capturing.reset();
    stream->queue.clear();
  }
  work_waiting = 0;
  bury();
  fake_set_order(0, 0);
}
}
