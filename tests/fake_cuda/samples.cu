// Kernels that prove the stand-in.
__device__ __forceinline__ float warp_sum(float value) {
  #pragma unroll
  for (int lanes = 16; lanes > 0; lanes /= 2)
    value += __shfl_xor_sync(0xffffffffu, value, lanes);
  return value;
}
// __global__ void in_a_comment(int nothing);
extern "C" __global__ void __launch_bounds__(256)
block_sum(const float* __restrict__ x, float* __restrict__ out, int count) {
  __shared__ float parts[8];
  float sum = 0.0f;
  for (int i = threadIdx.x; i < count; i += blockDim.x) sum += x[blockIdx.x * count + i];
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
  BARRIER
  if (threadIdx.x < 32) {
    sum = warp_sum(threadIdx.x < blockDim.x / 32 ? parts[threadIdx.x] : 0.0f);
    if (threadIdx.x == 0) out[blockIdx.x] = sum;
  }
}
extern "C" __global__ void __launch_bounds__(256)
last_block_sum(const double* x, double* parts, double* out, unsigned* ticket, long long count) {
  __shared__ double shared[256];
  __shared__ bool last;
  const long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
  shared[threadIdx.x] = i < count ? x[i] : 0.0;
  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
  }
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = shared[0];
    __threadfence();
    last = atomicInc(ticket, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    double sum = 0.0;
    for (int b = 0; b < gridDim.x; ++b) sum += parts[b];
    *out = sum;
  }
}
extern "C" __global__ void scale(float* x, float factor, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) x[i] *= factor;
}
extern "C" __global__ void copy_four(const float4* x, float4* out) {
  out[threadIdx.x] = x[threadIdx.x];
}
extern "C" __global__ void shifted(int* down, unsigned* spread, double* early) {
  const int lane = threadIdx.x % 32;
  if (threadIdx.x >= 32) early[lane] = __shfl_down_sync(0xffffffffu, double(lane), 16);
  down[threadIdx.x] = __shfl_down_sync(0xffffffffu, int(threadIdx.x), 1);
  spread[threadIdx.x] = __shfl_sync(0xffffffffu, threadIdx.x, 5);
}
extern "C" __global__ void uneven(int* x) {
  if (threadIdx.x == 3) return;
  __syncthreads();
  x[threadIdx.x] = 1;
}
extern "C" __global__ void deadlocked(int* x) {
  if (threadIdx.x < 16) __syncwarp();
  else __syncthreads();
}
extern "C" __global__ void uninitialised(float* out) {
  __shared__ float memory[4];
  out[threadIdx.x] = memory[threadIdx.x];
}
