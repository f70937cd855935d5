// Device memory: who is alive, with fences around it.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

constexpr size_t FENCE = 256;
constexpr unsigned char FENCE_BYTE = 0xA5, POISON = 0xFF;

inline std::vector<std::string> problems;
inline bool fail(const std::string& problem) {
  problems.push_back(problem);
  return false;
}

struct Allocation {
  uintptr_t begin;
  size_t bytes;
  long id;
};
inline std::map<uintptr_t, Allocation> allocations;
inline long allocations_made = 0, work_waiting = 0;
inline std::vector<void*> freed;

// CuPy's pool hands freed memory only to later work of the same stream: what waits may use it.
inline void bury() {
  if (work_waiting) return;
  for (void* memory : freed) std::free(memory);
  freed.clear();
}

inline const Allocation* owner(uintptr_t address) {
  auto next = allocations.upper_bound(address);
  if (next == allocations.begin()) return nullptr;
  const Allocation& found = std::prev(next)->second;
  return address < found.begin + found.bytes ? &found : nullptr;
}

inline bool fences_stand(const Allocation& of) {
  const auto* before = reinterpret_cast<const unsigned char*>(of.begin) - FENCE;
  const auto* after = reinterpret_cast<const unsigned char*>(of.begin) + of.bytes;
  for (size_t i = 0; i < FENCE; ++i)
    if (before[i] != FENCE_BYTE || after[i] != FENCE_BYTE) return false;
  return true;
}

// A pointer as it was handed over: the allocation must still be the same one when it is used.
struct Pointer {
  uintptr_t address = 0;
  size_t bytes = 1;
  long id = 0;

  Pointer() = default;
  Pointer(const void* pointer, size_t extent = 1)
      : address(reinterpret_cast<uintptr_t>(pointer)), bytes(extent) {
    const Allocation* found = owner(address);
    id = found ? found->id : 0;
  }
  bool check(const std::string& user) const {
    if (!address) return true;
    const Allocation* found = owner(address);
    if (!found || !id) return fail(user + ": a pointer into no live memory");
    if (found->id != id) return fail(user + ": a pointer into memory that was freed meanwhile");
    if (address + bytes > found->begin + found->bytes)
      return fail(user + ": reaches beyond the end of its memory");
    return true;
  }
  bool check_fences(const std::string& user) const {
    const Allocation* found = address ? owner(address) : nullptr;
    return !found || fences_stand(*found) || fail(user + ": wrote beyond the ends of an array");
  }
  bool overlaps(const Pointer& other) const {
    return address < other.address + other.bytes && other.address < address + bytes;
  }
};

extern "C" {
void* fake_allocate(size_t bytes) {
  const size_t whole = (FENCE + bytes + FENCE + FENCE - 1) / FENCE * FENCE;
  auto* start = static_cast<unsigned char*>(std::aligned_alloc(FENCE, whole));
  if (!start) return nullptr;
  std::memset(start, FENCE_BYTE, whole);
  std::memset(start + FENCE, POISON, bytes);
  const auto begin = reinterpret_cast<uintptr_t>(start + FENCE);
  allocations[begin] = {begin, bytes, ++allocations_made};
  return start + FENCE;
}
void fake_free(void* pointer) {
  allocations.erase(reinterpret_cast<uintptr_t>(pointer));
  freed.push_back(static_cast<unsigned char*>(pointer) - FENCE);
  bury();
}
int fake_is_live(const void* pointer) {
  return owner(reinterpret_cast<uintptr_t>(pointer)) != nullptr;
}
size_t fake_live_bytes() {
  size_t total = 0;
  for (const auto& entry : allocations) total += entry.second.bytes;
  return total;
}
size_t fake_problem_count() { return problems.size(); }
const char* fake_problem(size_t i) { return problems[i].c_str(); }
}
