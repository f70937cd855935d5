// What a stream is asked to do: kernels, copies, and work that Python does for CuPy's own kernels.
#pragma once
#include "queues.hpp"
#include "threads.hpp"

struct Kernel : Node {
  void (*call)(void**);
  char* shared_begin;
  size_t shared_bytes;
  XpIndex grid, block;
  std::vector<std::vector<char>> values;
  std::vector<Pointer> pointers;

  bool check() const override {
    const unsigned long threads_used = 1ul * block.x * block.y * block.z;
    if (!threads_used || threads_used > MOST_THREADS || !grid.x || !grid.y || !grid.z ||
        grid.y > 65535 || grid.z > 65535)
      return fail(name + ": an impossible grid or block");
    for (size_t i = 0; i < pointers.size(); ++i)
      if (!pointers[i].check(name + ", pointer " + std::to_string(i))) return false;
    return true;
  }
  bool run() override {
    std::vector<void*> arguments;
    for (auto& value : values) arguments.push_back(value.data());
    running_kernel = call;
    running_name = &name;
    running_arguments = arguments.data();
    services.grid_size = grid;
    services.block_size = block;
    for (int i : permutation(grid.x * grid.y * grid.z)) {
      services.block_index = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
      if (shared_bytes) std::memset(shared_begin, POISON, shared_bytes);
      if (!run_block(name, block.x * block.y * block.z)) return false;
    }
    for (const Pointer& pointer : pointers)
      if (!pointer.check_fences(name)) return false;
    return true;
  }
};

struct Copy : Node {
  Pointer target, source;
  bool check() const override { return target.check("copy, target") && source.check("copy, source"); }
  bool run() override {
    std::memmove(reinterpret_cast<void*>(target.address),
                 reinterpret_cast<void*>(source.address), target.bytes);
    return true;
  }
};

struct HostWork : Node {
  int (*call)(long);
  long number;
  bool check() const override { return true; }
  bool run() override { return call(number) || fail(name + ": failed on the device"); }
};

extern "C" {
int fake_launch(Stream* stream, const char* name, void (*call)(void**), char* shared_begin,
                size_t shared_bytes, const unsigned* sizes, int count, void** values,
                const XpParameter* parameters) {
  auto kernel = std::make_shared<Kernel>();
  kernel->name = name;
  kernel->call = call;
  kernel->shared_begin = shared_begin;
  kernel->shared_bytes = shared_bytes;
  kernel->grid = {sizes[0], sizes[1], sizes[2]};
  kernel->block = {sizes[3], sizes[4], sizes[5]};
  for (int i = 0; i < count; ++i) {
    const char* value = static_cast<const char*>(values[i]);
    kernel->values.emplace_back(value, value + parameters[i].bytes);
    if (parameters[i].kind == 'p') kernel->pointers.emplace_back(*static_cast<void**>(values[i]));
  }
  return issue(stream, std::move(kernel));
}
int fake_copy(Stream* stream, void* target, const void* source, size_t bytes) {
  auto copy = std::make_shared<Copy>();
  copy->name = "copy";
  copy->target = Pointer(target, bytes);
  copy->source = Pointer(source, bytes);
  return issue(stream, std::move(copy));
}
int fake_host_work(Stream* stream, const char* name, int (*call)(long), long number) {
  auto work = std::make_shared<HostWork>();
  work->name = name;
  work->call = call;
  work->number = number;
  return issue(stream, std::move(work));
}
}
