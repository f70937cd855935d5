// cuBLAS's products, with its signatures and its refusals.
#pragma once
#include <cmath>

#include "nodes.hpp"

enum Status { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, EXECUTION_FAILED = 13,
              NOT_SUPPORTED = 15 };
enum { R_32F = 0, R_64F = 1 };
enum { COMPUTE_32F = 68, COMPUTE_32F_FAST_TF32 = 77, COMPUTE_64F = 70 };
enum { HOST = 0, DEVICE = 1 };
constexpr int TF32_MATH = 3;
constexpr size_t MOST_POISON = 512 * 1024;

struct Handle {
  Stream* stream = nullptr;
  Pointer workspace;
  int math_mode = 0, pointer_mode = HOST;
};
inline std::set<Handle*> handles;

struct Logged {
  const char* function;
  const void *stream, *workspace;
  size_t workspace_bytes;
  int math_mode, pointer_mode, transa, transb, m, n, k, lda, ldb, ldc, batch, compute_type, captured;
  long long stride_a, stride_b, stride_c;
};
inline std::vector<Logged> products;
inline std::set<std::vector<long long>> loaded;

struct Matrix {
  Pointer pointer;
  int ld;
  long long stride;
};

inline float rounded_to_tf32(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  if ((bits & 0x7f800000u) == 0x7f800000u) return value;
  bits = (bits + 0x1000u) & ~0x1fffu;
  std::memcpy(&value, &bits, 4);
  return value;
}

template <class T> struct Product : Node {
  bool transposed_a, transposed_b, tf32, on_device;
  int m, n, k, batch;
  Matrix a, b, c;
  T alpha, beta;
  Pointer alpha_at, beta_at, workspace;

  bool check() const override {
    const struct { const Pointer& pointer; const char* what; } all[] = {
        {a.pointer, ", A"}, {b.pointer, ", B"}, {c.pointer, ", C"}, {workspace, ", workspace"},
        {alpha_at, ", alpha"}, {beta_at, ", beta"}};
    for (const auto& [pointer, what] : all) {
      if (!pointer.check(name + what)) return false;
      if (&pointer != &workspace && pointer.address && workspace.overlaps(pointer))
        return fail(name + what + ": overlaps the workspace");
    }
    const long long extent = 1ll * (n - 1) * c.ld + m;
    if (batch > 1 && std::llabs(c.stride) < extent && !interleaved())
      return fail(name + ": the results of a batch overlap");
    return true;
  }
  bool interleaved() const { return c.stride >= m && c.ld >= c.stride * batch; }
  void poison() const {
    auto* begin = reinterpret_cast<char*>(workspace.address);
    if (!begin) return;
    const size_t some = std::min(workspace.bytes, MOST_POISON);
    std::memset(begin, POISON, some);
    std::memset(begin + workspace.bytes - some, POISON, some);
  }
  bool run() override {
    poison();
    const T factor = on_device ? *reinterpret_cast<const T*>(alpha_at.address) : alpha;
    const T kept = on_device ? *reinterpret_cast<const T*>(beta_at.address) : beta;
    for (int i = 0; i < batch; ++i) multiply(i, factor, kept);
    poison();
    return c.pointer.check_fences(name);
  }
  static const T* at(const Matrix& of, int i) {
    return reinterpret_cast<const T*>(of.pointer.address) + i * of.stride;
  }
  T input(T value) const {
    if constexpr (sizeof(T) == 4) return tf32 ? rounded_to_tf32(value) : value;
    return value;
  }
  void multiply(int i, T factor, T kept) const {
    const T *left = at(a, i), *right = at(b, i);
    T* result = const_cast<T*>(at(c, i));
    std::vector<T> packed(factor == 0 ? 0 : size_t(m) * k), column(m);
    for (size_t p = 0; p < packed.size(); ++p) {
      const size_t row = p % m, inner = p / m;
      packed[p] = input(transposed_a ? left[row * a.ld + inner] : left[inner * a.ld + row]);
    }
    for (int j = 0; j < n; ++j) {
      std::fill(column.begin(), column.end(), T(0));
      for (int p = 0; p < k && factor != 0; ++p) {
        const size_t place = transposed_b ? size_t(p) * b.ld + j : size_t(j) * b.ld + p;
        const T value = input(right[place]);
        const T* line = packed.data() + size_t(p) * m;
        for (int r = 0; r < m; ++r) column[r] += line[r] * value;
      }
      T* out = result + size_t(j) * c.ld;
      for (int r = 0; r < m; ++r)
        out[r] = (factor == 0 ? T(0) : factor * column[r]) + (kept == 0 ? T(0) : kept * out[r]);
    }
  }
};

struct Request {
  int transa, transb, m, n, k, batch, lda, ldb, ldc, type_a, type_b, type_c, compute_type;
  const void *alpha, *a, *b, *beta, *c;
  long long stride_a, stride_b, stride_c;
};

inline Matrix matrix(const void* pointer, int rows, int columns, int ld, long long stride,
                     int batch, size_t bytes) {
  const long long last = 1ll * (columns - 1) * ld + rows + (batch - 1) * stride;
  return {Pointer(pointer, rows && columns ? last * bytes : 1), ld, stride};
}

template <class T> std::shared_ptr<Node> make_product(const Handle& h, const Request& r) {
  auto product = std::make_shared<Product<T>>();
  product->name = "gemm";
  product->transposed_a = r.transa;
  product->transposed_b = r.transb;
  product->tf32 = r.compute_type == COMPUTE_32F_FAST_TF32 || h.math_mode == TF32_MATH;
  product->on_device = h.pointer_mode == DEVICE;
  product->m = r.m, product->n = r.n, product->k = r.k, product->batch = r.batch;
  const int rows_a = r.transa ? r.k : r.m, rows_b = r.transb ? r.n : r.k;
  product->a = matrix(r.a, rows_a, r.m + r.k - rows_a, r.lda, r.stride_a, r.batch, sizeof(T));
  product->b = matrix(r.b, rows_b, r.n + r.k - rows_b, r.ldb, r.stride_b, r.batch, sizeof(T));
  product->c = matrix(r.c, r.m, r.n, r.ldc, r.stride_c, r.batch, sizeof(T));
  if (product->on_device) {
    product->alpha_at = Pointer(r.alpha, sizeof(T));
    product->beta_at = Pointer(r.beta, sizeof(T));
  } else {
    product->alpha = *static_cast<const T*>(r.alpha);
    product->beta = *static_cast<const T*>(r.beta);
  }
  product->workspace = h.workspace;
  return product;
}

inline bool valid(const Request& r) {
  const int rows_a = r.transa ? r.k : r.m, rows_b = r.transb ? r.n : r.k;
  const bool transposes = r.transa >= 0 && r.transa <= 2 && r.transb >= 0 && r.transb <= 2;
  return transposes && r.m >= 0 && r.n >= 0 && r.k >= 0 && r.batch >= 0 && r.alpha && r.beta &&
         r.lda >= std::max(1, rows_a) && r.ldb >= std::max(1, rows_b) && r.ldc >= std::max(1, r.m);
}

inline Status failed(const std::string& problem) {
  fail(problem);
  invalidate_captures();
  return EXECUTION_FAILED;
}

inline Status multiply(const char* function, Handle* h, const Request& r) {
  if (!handles.count(h)) return NOT_INITIALIZED;
  const bool captured = is_stream(h->stream) && is_capturing(h->stream);
  products.push_back({function, h->stream, (void*)h->workspace.address,
      h->workspace.address ? h->workspace.bytes : 0, h->math_mode, h->pointer_mode, r.transa,
      r.transb, r.m, r.n, r.k, r.lda, r.ldb, r.ldc, r.batch, r.compute_type, captured, r.stride_a,
      r.stride_b, r.stride_c});
  if (!valid(r)) return INVALID_VALUE;
  const bool same = r.type_a == r.type_b && r.type_b == r.type_c;
  const bool single = same && r.type_a == R_32F &&
                      (r.compute_type == COMPUTE_32F || r.compute_type == COMPUTE_32F_FAST_TF32);
  if (!single && !(same && r.type_a == R_64F && r.compute_type == COMPUTE_64F)) return NOT_SUPPORTED;
  if (!r.m || !r.n || !r.batch) return SUCCESS;
  if (captured && !h->workspace.address)
    return failed("gemm: captured without a workspace of the caller's");
  if (h->pointer_mode == HOST && (fake_is_live(r.alpha) || fake_is_live(r.beta)))
    return failed("gemm: device pointers to alpha or beta in host pointer mode");
  const auto alignment = [](const void* at) {
    return std::gcd((long long)(reinterpret_cast<uintptr_t>(at)), 16ll);
  };
  const std::vector<long long> form = {r.transa, r.transb, r.m, r.n, r.k, r.batch, r.compute_type,
                                       alignment(r.a), alignment(r.b), alignment(r.c)};
  if (captured && !loaded.count(form))
    return failed("gemm: loads a kernel during the capture; one of its form has not run before");
  loaded.insert(form);
  auto node = single ? make_product<float>(*h, r) : make_product<double>(*h, r);
  return issue(h->stream, std::move(node)) ? SUCCESS : EXECUTION_FAILED;
}

extern "C" {
int cublasCreate_v2(Handle** handle) {
  if (!handle) return INVALID_VALUE;
  if (device_depth < 1 || captures_running) return failed("cublasCreate: off the device or captured");
  *handle = *handles.insert(new Handle).first;
  return SUCCESS;
}
int cublasDestroy_v2(Handle* handle) {
  if (!handles.erase(handle)) return NOT_INITIALIZED;
  delete handle;
  return SUCCESS;
}
int cublasSetStream_v2(Handle* handle, Stream* stream) {
  if (!handles.count(handle)) return NOT_INITIALIZED;
  if (!is_stream(stream)) return failed("cublasSetStream: no such stream");
  handle->stream = stream;
  handle->workspace = Pointer();
  return SUCCESS;
}
int cublasSetWorkspace_v2(Handle* handle, void* workspace, size_t bytes) {
  if (!handles.count(handle)) return NOT_INITIALIZED;
  if (!workspace || reinterpret_cast<uintptr_t>(workspace) % 256) return INVALID_VALUE;
  const Pointer pointer(workspace, bytes);
  if (!pointer.check("cublasSetWorkspace")) return EXECUTION_FAILED;
  handle->workspace = pointer;
  return SUCCESS;
}
int cublasSetMathMode(Handle* handle, int mode) {
  if (!handles.count(handle)) return NOT_INITIALIZED;
  if (mode < 0 || (mode & ~16) > 8) return INVALID_VALUE;
  handle->math_mode = mode;
  return SUCCESS;
}
int cublasSetPointerMode_v2(Handle* handle, int mode) {
  if (!handles.count(handle)) return NOT_INITIALIZED;
  if (mode != HOST && mode != DEVICE) return INVALID_VALUE;
  handle->pointer_mode = mode;
  return SUCCESS;
}
int cublasGetProperty(int type, int* value) {
  static const int version[] = {13, 1, 0};
  if (type < 0 || type > 2 || !value) return INVALID_VALUE;
  *value = version[type];
  return SUCCESS;
}
const char* cublasGetStatusString(int status) {
  switch (status) {
    case SUCCESS: return "success";
    case NOT_INITIALIZED: return "the library was not initialized";
    case INVALID_VALUE: return "an unsupported value or parameter was passed to the function";
    case EXECUTION_FAILED: return "the function failed to launch on the GPU";
    case NOT_SUPPORTED: return "the functionality requested is not supported";
    default: return "unknown error code";
  }
}
int cublasGemmEx(Handle* handle, int transa, int transb, int m, int n, int k, const void* alpha,
                 const void* a, int type_a, int lda, const void* b, int type_b, int ldb,
                 const void* beta, void* c, int type_c, int ldc, int compute_type, int) {
  return multiply("cublasGemmEx", handle, {transa, transb, m, n, k, 1, lda, ldb, ldc, type_a,
      type_b, type_c, compute_type, alpha, a, b, beta, c, 0, 0, 0});
}
int cublasGemmStridedBatchedEx(
    Handle* handle, int transa, int transb, int m, int n, int k, const void* alpha, const void* a,
    int type_a, int lda, long long stride_a, const void* b, int type_b, int ldb, long long stride_b,
    const void* beta, void* c, int type_c, int ldc, long long stride_c, int batch,
    int compute_type, int) {
  return multiply("cublasGemmStridedBatchedEx", handle, {transa, transb, m, n, k, batch, lda, ldb,
      ldc, type_a, type_b, type_c, compute_type, alpha, a, b, beta, c, stride_a, stride_b,
      stride_c});
}
size_t fake_product_count() { return products.size(); }
const Logged* fake_product(size_t i) { return &products[i]; }
}
