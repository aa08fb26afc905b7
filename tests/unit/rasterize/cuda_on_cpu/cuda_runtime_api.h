// The words of CUDA that our kernels use, in C++20: a lane is a thread, and the 32 of a warp meet
// wherever a kernel has them exchange or wait. Blocks and their warps run one after another, so
// that kernels whose warps wait for each other do not work here.
#pragma once

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cmath>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)

using cudaError_t = int;
using cudaStream_t = void *;

using std::max;
using std::min;

struct float4 {
    float x, y, z, w;
};

struct Index {
    int x;
};

struct Warp {
    std::barrier<> meet{32};
    double slots[32];
};

inline thread_local Index threadIdx, blockIdx;
inline thread_local Warp *warp;

inline int lane_of_thread() { return threadIdx.x % 32; }

inline void __syncwarp() { warp->meet.arrive_and_wait(); }

template <typename Value, typename Choose>
Value exchanged(Value value, Choose choose) {
    warp->slots[lane_of_thread()] = value;
    __syncwarp();
    const Value chosen = choose(warp->slots);
    __syncwarp();
    return chosen;
}

template <typename Value>
Value __shfl_xor_sync(unsigned, Value value, int other) {
    return exchanged(value, [other](const double *slots) {
        return static_cast<Value>(slots[lane_of_thread() ^ other]);
    });
}

inline int __any_sync(unsigned, bool value) {
    return exchanged(static_cast<int>(value), [](const double *slots) {
        return static_cast<int>(std::any_of(slots, slots + 32, [](double one) { return one; }));
    });
}

inline float rsqrtf(float value) { return 1 / std::sqrt(value); }
inline float __log2f(float value) { return std::log2(value); }
inline float __fdividef(float above, float below) { return above / below; }
inline void atomicAdd(float *sum, float value) { std::atomic_ref<float>(*sum) += value; }
inline cudaError_t cudaGetLastError() { return 0; }

template <typename Kernel, typename... Arguments>
void launched(int blocks, int threads, Kernel kernel, Arguments... arguments) {
    for (int block = 0; block < blocks; ++block) {
        for (int first = 0; first < threads; first += 32) {
            Warp all;
            std::vector<std::jthread> lanes;
            for (int lane = 0; lane < 32; ++lane) {
                lanes.emplace_back([&, lane] {
                    threadIdx.x = first + lane, blockIdx.x = block, warp = &all;
                    kernel(arguments...);
                });
            }
        }
    }
}
