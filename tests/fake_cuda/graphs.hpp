// Streams, what they capture, and graphs: kernels, copies and products in one ordered list.
#pragma once
#include <memory>
#include <set>

#include "threads.hpp"

struct Node {
  std::string name;
  virtual ~Node() = default;
  virtual bool check() const = 0;
  virtual bool run() = 0;
};

struct Graph {
  std::vector<std::unique_ptr<Node>> nodes;
};

struct Stream {
  std::unique_ptr<Graph> capturing;
  bool capture_failed = false;
};

inline std::set<Stream*> streams;
inline int captures_running = 0, device_depth = 0;

inline bool is_stream(Stream* stream) { return !stream || streams.count(stream); }
inline bool is_capturing(Stream* stream) { return stream && stream->capturing; }
inline void invalidate_captures() {
  for (Stream* stream : streams)
    if (stream->capturing) stream->capture_failed = true;
}

// Record a node where the stream captures; else run it at once.
inline bool issue(Stream* stream, std::unique_ptr<Node> node) {
  if (!is_stream(stream)) return fail(node->name + ": no such stream");
  if (device_depth < 1) return fail(node->name + ": off the device");
  if (!node->check()) {
    invalidate_captures();
    return false;
  }
  if (is_capturing(stream)) {
    stream->capturing->nodes.push_back(std::move(node));
    return true;
  }
  if (captures_running) {
    invalidate_captures();
    return fail(node->name + ": on another stream than the one that captures");
  }
  return node->run();
}

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

extern "C" {
void fake_enter_device(int levels) { device_depth += levels; }
int fake_captures_running() { return captures_running; }
void fake_invalidate_captures() { invalidate_captures(); }
Stream* fake_stream_create() { return *streams.insert(new Stream).first; }
void fake_stream_destroy(Stream* stream) {
  if (is_capturing(stream)) --captures_running;
  streams.erase(stream);
  delete stream;
}
int fake_begin_capture(Stream* stream) {
  if (!stream) return fail("the null stream can't capture");
  if (captures_running) return fail("a stream captures already");
  stream->capturing = std::make_unique<Graph>();
  stream->capture_failed = false;
  ++captures_running;
  return true;
}
Graph* fake_end_capture(Stream* stream) {
  if (!is_capturing(stream)) return fail("the stream doesn't capture"), nullptr;
  --captures_running;
  Graph* graph = stream->capturing.release();
  if (!stream->capture_failed) return graph;
  delete graph;
  return fail("the capture was invalidated"), nullptr;
}
int fake_is_capturing(Stream* stream) { return is_capturing(stream); }
int fake_graph_launch(Graph* graph, Stream* stream) {
  if (!is_stream(stream)) return fail("graph: no such stream");
  if (device_depth < 1) return fail("graph: off the device");
  if (captures_running) {
    invalidate_captures();
    return fail("graph: launched during a capture");
  }
  for (const auto& node : graph->nodes)
    if (!node->check()) return false;
  for (const auto& node : graph->nodes)
    if (!node->run()) return false;
  return true;
}
void fake_graph_destroy(Graph* graph) { delete graph; }
size_t fake_graph_size(Graph* graph) { return graph->nodes.size(); }
const char* fake_graph_node(Graph* graph, size_t i) { return graph->nodes[i]->name.c_str(); }

int fake_launch(Stream* stream, const char* name, void (*call)(void**), char* shared_begin,
                size_t shared_bytes, const unsigned* sizes, int count, void** values,
                const XpParameter* parameters) {
  auto kernel = std::make_unique<Kernel>();
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
  auto copy = std::make_unique<Copy>();
  copy->name = "copy";
  copy->target = Pointer(target, bytes);
  copy->source = Pointer(source, bytes);
  return issue(stream, std::move(copy));
}
}
