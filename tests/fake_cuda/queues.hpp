// Streams: what they capture, and the work that waits on each until somebody waits for it.
#pragma once
#include <algorithm>
#include <deque>
#include <memory>
#include <set>

#include "memory.hpp"

struct Node {
  std::string name;
  virtual ~Node() = default;
  virtual bool check() const = 0;
  virtual bool run() = 0;
};

struct Graph {
  std::vector<std::shared_ptr<Node>> nodes;
};

struct Work {
  long turn;
  std::shared_ptr<Node> node;
};

struct Stream {
  bool blocking = true, alive = true;
  std::unique_ptr<Graph> capturing;
  bool capture_failed = false;
  std::deque<Work> queue;
};

inline Stream null_stream;
inline std::set<Stream*> streams;
inline int captures_running = 0, device_depth = 0;
inline long last_turn = 0;

inline Stream& queue_of(Stream* stream) { return stream ? *stream : null_stream; }
inline bool is_stream(Stream* stream) {
  return !stream || (streams.count(stream) && stream->alive);
}
inline bool is_capturing(Stream* stream) { return stream && stream->capturing; }
inline void invalidate_captures() {
  for (Stream* stream : streams)
    if (stream->capturing) stream->capture_failed = true;
}

inline void enqueue(Stream* stream, const std::shared_ptr<Node>& node) {
  queue_of(stream).queue.push_back({++last_turn, node});
  ++work_waiting;
}

// The null stream and the blocking ones wait for each other's earlier work; others for nobody's.
inline std::vector<Stream*> ordered_with(const Stream& stream) {
  std::vector<Stream*> found;
  if (&stream != &null_stream) {
    if (stream.blocking) found.push_back(&null_stream);
    return found;
  }
  for (Stream* other : streams)
    if (other->blocking) found.push_back(other);
  return found;
}

// Do the work of a stream up to a turn, and before each piece of it what that waits for.
inline bool do_work(Stream& stream, long turn) {
  bool well = true;
  while (!stream.queue.empty() && stream.queue.front().turn <= turn) {
    const Work work = stream.queue.front();
    for (Stream* other : ordered_with(stream)) well &= do_work(*other, work.turn - 1);
    stream.queue.pop_front();
    well &= work.node->run();
    --work_waiting;
  }
  return well;
}

inline bool wait_for(Stream& stream) {
  const long now = last_turn;
  bool well = do_work(stream, now);
  if (&stream == &null_stream)
    for (Stream* other : ordered_with(stream)) well &= do_work(*other, now);
  bury();
  return well;
}

// Streams that nothing orders end in the order that one hopes for least: the last asked first.
inline bool wait_for_all() {
  const long now = last_turn;
  std::vector<Stream*> all(streams.begin(), streams.end());
  all.push_back(&null_stream);
  const auto last = [](const Stream* one) { return one->queue.empty() ? 0 : one->queue.back().turn; };
  std::stable_sort(all.begin(), all.end(),
                   [&](const Stream* a, const Stream* b) { return last(a) > last(b); });
  bool well = true;
  for (Stream* stream : all) well &= do_work(*stream, now);
  bury();
  return well;
}

// Record a node where the stream captures; else put it behind the stream's other work.
inline bool issue(Stream* stream, std::shared_ptr<Node> node) {
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
  enqueue(stream, node);
  return true;
}

extern "C" {
void fake_enter_device(int levels) { device_depth += levels; }
int fake_captures_running() { return captures_running; }
void fake_invalidate_captures() { invalidate_captures(); }
Stream* fake_stream_create(int blocking) {
  Stream* stream = *streams.insert(new Stream).first;
  stream->blocking = blocking;
  return stream;
}
// What waits on a stream that ends is done all the same.
void fake_stream_destroy(Stream* stream) {
  if (is_capturing(stream)) --captures_running;
  stream->capturing.reset();
  stream->alive = false;
}
int fake_wait(Stream* stream) { return wait_for(queue_of(stream)); }
int fake_wait_for_all() { return wait_for_all(); }
int fake_is_idle(Stream* stream) { return queue_of(stream).queue.empty(); }
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
  for (const auto& node : graph->nodes) enqueue(stream, node);
  return true;
}
void fake_graph_destroy(Graph* graph) { delete graph; }
size_t fake_graph_size(Graph* graph) { return graph->nodes.size(); }
const char* fake_graph_node(Graph* graph, size_t i) { return graph->nodes[i]->name.c_str(); }
}
