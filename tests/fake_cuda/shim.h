// The part of CUDA C that kernels here use, for a C++ compiler.
#pragma once
#include <math.h>

#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#include "services.h"

#define __global__
#define __device__
#define __host__
#define __constant__ const
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __shared__ static __attribute__((section("xp_shared")))

static XpServices* xp_services;
#define threadIdx (xp_services->thread_index)
#define blockIdx (xp_services->block_index)
#define blockDim (xp_services->block_size)
#define gridDim (xp_services->grid_size)

extern "C" void xp_bind(XpServices* services) { xp_services = services; }
// What the compiler calls (-fsanitize=alignment) before it uses a pointer that is not aligned.
extern "C" __attribute__((visibility("hidden"))) void __ubsan_handle_type_mismatch_v1(void*, void*) {
  xp_services->misaligned();
}
extern "C" __attribute__((weak, visibility("hidden"))) char __start_xp_shared[];
extern "C" __attribute__((weak, visibility("hidden"))) char __stop_xp_shared[];
extern "C" char* xp_shared_begin() { return __start_xp_shared; }
extern "C" size_t xp_shared_bytes() { return __stop_xp_shared - __start_xp_shared; }

namespace {

constexpr int warpSize = 32;

struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

template <class L, class R> auto min(L a, R b) { return b < a ? b : a; }
template <class L, class R> auto max(L a, R b) { return a < b ? b : a; }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / ::sqrt(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
template <class To, class From> To xp_bits(From value) {
  To result;
  memcpy(&result, &value, sizeof result);
  return result;
}
inline float __int_as_float(int bits) { return xp_bits<float>(bits); }
inline int __float_as_int(float value) { return xp_bits<int>(value); }
inline float __uint_as_float(unsigned bits) { return xp_bits<float>(bits); }
inline unsigned __float_as_uint(float value) { return xp_bits<unsigned>(value); }
inline double __longlong_as_double(long long bits) { return xp_bits<double>(bits); }
inline long long __double_as_longlong(double value) { return xp_bits<long long>(value); }
template <class T> T __ldg(const T* address) { return *address; }

inline void __syncthreads() { xp_services->block_barrier(); }
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  int nothing = 0;
  xp_services->warp_exchange(mask, &nothing, sizeof nothing, 0);
}
inline void __threadfence() { asm volatile("" ::: "memory"); }
inline void __threadfence_block() { __threadfence(); }

inline int xp_lane() {
  const XpIndex thread = threadIdx, size = blockDim;
  return (thread.x + size.x * (thread.y + size.y * thread.z)) % 32;
}
template <class T> T xp_exchange(unsigned mask, T value, int source, int width) {
  static_assert(std::is_arithmetic_v<T>, "shuffles take numbers");
  const int lane = xp_lane(), end = lane - lane % width + width;
  xp_services->warp_exchange(mask, &value, sizeof value, source < end ? source : lane);
  return value;
}
template <class T> T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const int lane = xp_lane();
  return xp_exchange(mask, value, lane - lane % width + source % width, width);
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return xp_exchange(mask, value, xp_lane() + int(delta), width);
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
  return xp_exchange(mask, value, xp_lane() ^ lanes, width);
}

template <class T> T xp_add(T* address, T value) {
  const T old = *address;
  *address = old + value;
  return old;
}
inline int atomicAdd(int* address, int value) { return xp_add(address, value); }
inline unsigned atomicAdd(unsigned* address, unsigned value) { return xp_add(address, value); }
inline float atomicAdd(float* address, float value) { return xp_add(address, value); }
inline double atomicAdd(double* address, double value) { return xp_add(address, value); }
inline unsigned atomicInc(unsigned* address, unsigned limit) {
  const unsigned old = *address;
  *address = old >= limit ? 0 : old + 1;
  return old;
}

template <class T> constexpr char xp_kind() {
  if (std::is_pointer_v<T>) return 'p';
  if (std::is_floating_point_v<T>) return 'f';
  return std::is_integral_v<T> ? 'i' : '?';
}
template <class T> constexpr XpParameter xp_parameter() {
  using Element = std::remove_cv_t<std::remove_pointer_t<T>>;
  if constexpr (!std::is_pointer_v<T> || std::is_void_v<Element>)
    return {xp_kind<T>(), '?', sizeof(T), 0};
  else
    return {'p', xp_kind<Element>(), sizeof(T), sizeof(Element)};
}
template <class... P> XpParameter* xp_parameters(void (*)(P...), int* count) {
  static XpParameter found[] = {xp_parameter<P>()..., XpParameter{}};
  *count = sizeof...(P);
  return found;
}
template <class... P, size_t... I>
void xp_call(void (*kernel)(P...), void** arguments, std::index_sequence<I...>) {
  kernel(*static_cast<std::remove_cv_t<P>*>(arguments[I])...);
}
template <class... P> void xp_call(void (*kernel)(P...), void** arguments) {
  xp_call(kernel, arguments, std::index_sequence_for<P...>{});
}

}  // namespace

#define XP_EXPORT(name)                                                           \
  extern "C" void name##__call(void** arguments) { xp_call(name, arguments); }    \
  extern "C" XpParameter* name##__parameters(int* count) {                        \
    return xp_parameters(name, count);                                            \
  }

// NVRTC, without headers, knows none of these; a source may define them itself.
#undef INFINITY
#undef NAN
#undef HUGE_VAL
#undef HUGE_VALF
#undef M_PI
#undef M_SQRT2
#define int8_t unknown_int8_t
#define int16_t unknown_int16_t
#define int32_t unknown_int32_t
#define int64_t unknown_int64_t
#define uint8_t unknown_uint8_t
#define uint16_t unknown_uint16_t
#define uint32_t unknown_uint32_t
#define uint64_t unknown_uint64_t
#define uintptr_t unknown_uintptr_t
#define std unknown_std
