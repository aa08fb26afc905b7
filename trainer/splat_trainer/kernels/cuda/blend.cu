// The equations are those of rasterize/blend.py (Kerbl et al. 2023, equations 3 and 4):
// alpha = opacity exp(-sigma), w = alpha T, T = product of the (1 - alpha) in front.
//
// A warp draws 8 by 8 pixels, two a lane, one four rows below the other. It reads the Gaussians of
// its tile 32 at a time, one a lane, into shared memory, and goes through them nearest first.
//
// Backward goes front to back as well: what is behind a Gaussian is the pixel's whole less what
// has been passed, so that nothing but the image is kept from drawing it. What each pixel gives to
// a Gaussian is not summed over the warp, which costs five exchanges for each of nine numbers, but
// written down for 16 Gaussians; then two lanes add up one Gaussian's pixels, as moments of the
// gradient by sigma, and make its gradients of them once. Where a multiprocessor has less shared
// memory than a Hopper's it is 8 Gaussians and four lanes: more warps fit. Features, which few
// steps have, are drawn to nothing, and their gradients have a kernel of their own.

#include "blend.h"

namespace splat {
namespace {

constexpr int kSide = 8;                  // of what a warp draws
constexpr int kPixels = kSide * kSide;
constexpr int kWarps = 4;                 // in a block, each for itself
constexpr int kBatch = 32;                // Gaussians read at once
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
constexpr int kGroup = 8;                 // Gaussians whose pixels are written down
#else
constexpr int kGroup = 16;
#endif
constexpr int kShares = 32 / kGroup;      // lanes that add up one of them
static_assert(kShares >= 2, "settle() parts the atomics between two lanes");
constexpr int kRow = kPixels + 4 * kShares;  // apart, so that no two lanes read from one bank
constexpr unsigned kAll = ~0u;
constexpr float kLog2e = 1.4426950408889634f;

// A Gaussian such that log2 of opacity exp(-sigma) is xx dx^2 + xy dx dy + yy dy^2 + log2 opacity.
struct Splat {
    float4 shape;  // x, y, xx, xy
    float4 shade;  // yy, log2 opacity, red, green
    float blue;
};

struct Batch {
    float4 shape[kBatch], shade[kBatch];
    float blue[kBatch];
};

// Where a warp draws, and its tile's list.
struct Place {
    bool there;
    int left, top, begin, end;
};

// Of one Gaussian at one pixel: `raw` before it is cut to the limit, `alpha` 0 where not drawn.
struct Coverage {
    float raw, alpha;
};

__device__ __forceinline__ Place place_of_warp(const Tiles &tiles) {
    const int parts = tiles.side / kSide;
    const int number = blockIdx.x * kWarps + threadIdx.x / 32;
    const int tile = number / (parts * parts), part = number % (parts * parts);
    if (tile >= tiles.columns * tiles.rows) return {false, 0, 0, 0, 0};
    return {
        true,
        tile % tiles.columns * tiles.side + part % parts * kSide,
        tile / tiles.columns * tiles.side + part / parts * kSide,
        tiles.offsets[tile],
        tiles.offsets[tile + 1],
    };
}

__device__ __forceinline__ Splat read(const Projected &gaussians, const Tiles &tiles, int place) {
    const int g = tiles.ids[place];
    const float *mean = gaussians.means2d + 2 * g, *conic = gaussians.conics + 3 * g;
    const float *color = gaussians.colors + 3 * g;
    return {
        {mean[0], mean[1], -0.5f * kLog2e * conic[0], -kLog2e * conic[1]},
        {-0.5f * kLog2e * conic[2], __log2f(gaussians.opacities[g]), color[0], color[1]},
        color[2],
    };
}

// Both pixels of a lane; `dx`, `dy` are from the upper one to the mean.
__device__ __forceinline__ void cover(
    const float4 &shape, const float4 &shade, float dx, float dy, const Limits &limits,
    Coverage covered[2]) {
    const float along_y = shape.w * dx, along_x = fmaf(shape.z * dx, dx, shade.y);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        const float d = dy - i * kSide / 2;
        const float power = fmaf(d, fmaf(shade.x, d, along_y), along_x);
        const float raw = exp2f(power);
        const bool drawn = power <= shade.y && raw >= limits.alpha_threshold;
        covered[i] = {raw, drawn ? fminf(raw, limits.alpha_limit) : 0};
    }
}

__device__ __forceinline__ int most_of_warp(int value) {
#pragma unroll
    for (int step = 16; step; step /= 2) value = max(value, __shfl_xor_sync(kAll, value, step));
    return value;
}

__device__ __forceinline__ float sum_of_shares(float value) {
#pragma unroll
    for (int step = 1; step < kShares; step *= 2) value += __shfl_xor_sync(kAll, value, step);
    return value;
}

// Calls `look(place, shape, shade, blue)` for the list's Gaussians, in order, while it says true.
template <typename Look>
__device__ __forceinline__ void through_the_list(
    const Projected &gaussians, const Tiles &tiles, int begin, int end, Batch &batch, Look look) {
    const int lane = threadIdx.x % 32;
    Splat next{};
    if (begin + lane < end) next = read(gaussians, tiles, begin + lane);
    for (int first = begin; first < end; first += kBatch) {
        __syncwarp();
        batch.shape[lane] = next.shape, batch.shade[lane] = next.shade;
        batch.blue[lane] = next.blue;
        __syncwarp();
        if (first + kBatch + lane < end) next = read(gaussians, tiles, first + kBatch + lane);
        const int many = min(kBatch, end - first);
        for (int j = 0; j < many; ++j) {
            if (!look(first + j, batch.shape[j], batch.shade[j], batch.blue[j])) return;
        }
    }
}

__global__ void __launch_bounds__(32 * kWarps) draw(
    const Projected gaussians, const Tiles tiles, const Limits limits,
    const float *__restrict__ background, const Drawing drawing) {
    __shared__ Batch batches[kWarps];
    const Place at = place_of_warp(tiles);
    if (!at.there) return;
    const int lane = threadIdx.x % 32;
    const int x = at.left + lane % kSide, y = at.top + lane / kSide;
    float colors[2][3] = {}, through[2] = {1, 1};
    int lasts[2] = {-1, -1};
    bool done[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) done[i] = x >= tiles.width || y + i * kSide / 2 >= tiles.height;

    through_the_list(
        gaussians, tiles, at.begin, at.end, batches[threadIdx.x / 32],
        [&](int place, const float4 &shape, const float4 &shade, float blue) {
            Coverage covered[2];
            cover(shape, shade, shape.x - (x + 0.5f), shape.y - (y + 0.5f), limits, covered);
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                const float left = through[i] * (1 - covered[i].alpha);
                const bool shown = covered[i].alpha > 0 && !done[i];
                done[i] |= shown && left <= limits.transmittance_threshold;
                if (!shown || done[i]) continue;
                const float weight = covered[i].alpha * through[i];
                colors[i][0] = fmaf(weight, shade.z, colors[i][0]);
                colors[i][1] = fmaf(weight, shade.w, colors[i][1]);
                colors[i][2] = fmaf(weight, blue, colors[i][2]);
                through[i] = left;
                lasts[i] = place;
            }
            return __any_sync(kAll, !done[0] || !done[1]) != 0;
        });

#pragma unroll
    for (int i = 0; i < 2; ++i) {
        const int row = y + i * kSide / 2, pixel = row * tiles.width + x;
        if (x >= tiles.width || row >= tiles.height) continue;
#pragma unroll
        for (int k = 0; k < 3; ++k) {
            const float behind = background ? through[i] * background[k] : 0;
            drawing.image[3 * pixel + k] = colors[i][k] + behind;
        }
        drawing.alphas[pixel] = 1 - through[i];
        drawing.lasts[pixel] = lasts[i];
    }
}

// What a warp writes down of a group of Gaussians; read four at once.
struct alignas(16) Notes {
    int places[kGroup];                // in the list of ids
    float v_image[3][kPixels];
    float v_sigma[kGroup][kRow];       // the loss's gradient by sigma, at each pixel
    float weight[kGroup][kRow];
};

template <bool kFeatures>
struct FeatureNotes {};

template <>
struct alignas(16) FeatureNotes<true> {
    float v[kMostFeatures][kPixels];
};

static_assert(
    kWarps * (sizeof(Batch) + sizeof(Notes) + sizeof(FeatureNotes<true>)) <= 48 * 1024,
    "no block has more shared memory unless it is asked for at its launch");

// The products of a Gaussian's weights and an image, at this lane's share of the pixels.
__device__ __forceinline__ float times_weights(const float *weights, const float *image, int share) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kPixels / 4 / kShares; ++i) {
        const int four = i * kShares + share;
        const float4 w = *reinterpret_cast<const float4 *>(weights + 4 * four);
        const float4 v = *reinterpret_cast<const float4 *>(image + 4 * four);
        sum += w.x * v.x + w.y * v.y + w.z * v.z + w.w * v.w;
    }
    return sum;
}

// Adds up the pixels of the first `filled` Gaussians in the notes, and gives them their gradients.
template <bool kFeatures>
__device__ __forceinline__ void settle(
    const Projected &gaussians, const Tiles &tiles, const Place &at, const Notes &notes,
    const FeatureNotes<kFeatures> &features, int count, int filled,
    const ProjectedGradients &gradients) {
    const int lane = threadIdx.x % 32, slot = lane / kShares, share = lane % kShares;
    float sum = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0, red = 0, green = 0, blue = 0;
    if (slot < filled) {
#pragma unroll
        for (int i = 0; i < kPixels / 4 / kShares; ++i) {
            const int four = i * kShares + share;  // pixels of a row, from the warp's middle:
            const float px = four % 2 * 4 - 3.5f, py = four / 2 - 3.5f;
            const auto of = [four](const float *row) {
                return *reinterpret_cast<const float4 *>(row + 4 * four);
            };
            const float4 q = of(notes.v_sigma[slot]), w = of(notes.weight[slot]);
            const float4 v0 = of(notes.v_image[0]), v1 = of(notes.v_image[1]);
            const float4 v2 = of(notes.v_image[2]);
            red += w.x * v0.x + w.y * v0.y + w.z * v0.z + w.w * v0.w;
            green += w.x * v1.x + w.y * v1.y + w.z * v1.z + w.w * v1.w;
            blue += w.x * v2.x + w.y * v2.y + w.z * v2.z + w.w * v2.w;
            const float s = (q.x + q.y) + (q.z + q.w);
            const float first = q.y + 2 * q.z + 3 * q.w, second = q.y + 4 * q.z + 9 * q.w;
            const float sx = px * s + first;
            sum += s, x += sx, xx += px * (sx + first) + second;
            y += py * s, xy += py * sx, yy += py * py * s;
        }
    }
    sum = sum_of_shares(sum), x = sum_of_shares(x), y = sum_of_shares(y);
    xx = sum_of_shares(xx), xy = sum_of_shares(xy), yy = sum_of_shares(yy);
    red = sum_of_shares(red), green = sum_of_shares(green), blue = sum_of_shares(blue);
    const int g = slot < filled ? tiles.ids[notes.places[slot]] : 0;
    if constexpr (kFeatures) {
        for (int f = 0; f < count; ++f) {
            float weighed = 0;
            if (slot < filled) weighed = times_weights(notes.weight[slot], features.v[f], share);
            weighed = sum_of_shares(weighed);
            if (slot < filled && share == f % 2) {
                atomicAdd(gradients.features + count * g + f, weighed);
            }
        }
    }
    if (slot >= filled) return;
    const float *conic = gaussians.conics + 3 * g;
    const float mean_x = gaussians.means2d[2 * g] - (at.left + kSide / 2);
    const float mean_y = gaussians.means2d[2 * g + 1] - (at.top + kSide / 2);
    const float dx = mean_x * sum - x, dy = mean_y * sum - y;  // sums of v_sigma (mean - pixel)
    if (share == 0) {
        atomicAdd(gradients.means2d + 2 * g, conic[0] * dx + conic[1] * dy);
        atomicAdd(gradients.means2d + 2 * g + 1, conic[1] * dx + conic[2] * dy);
        atomicAdd(gradients.opacities + g, -sum / gaussians.opacities[g]);
        atomicAdd(gradients.colors + 3 * g, red);
    } else if (share == 1) {
        atomicAdd(gradients.colors + 3 * g + 1, green);
        atomicAdd(gradients.colors + 3 * g + 2, blue);
        atomicAdd(gradients.conics + 3 * g, 0.5f * (mean_x * (dx - x) + xx));
        atomicAdd(gradients.conics + 3 * g + 1, mean_x * dy - mean_y * x + xy);
        atomicAdd(gradients.conics + 3 * g + 2, 0.5f * (mean_y * (dy - y) + yy));
    }
}

template <bool kFeatures>
__global__ void __launch_bounds__(32 * kWarps) draw_backward(
    const Projected gaussians, const Tiles tiles, const Limits limits, const Drawing drawing,
    const DrawingGradients v_drawing, const ProjectedGradients gradients) {
    __shared__ Batch batches[kWarps];
    __shared__ Notes all_notes[kWarps];
    __shared__ FeatureNotes<kFeatures> all_features[kWarps];
    const Place at = place_of_warp(tiles);
    if (!at.there) return;
    Notes &notes = all_notes[threadIdx.x / 32];
    FeatureNotes<kFeatures> &features = all_features[threadIdx.x / 32];
    const int count = v_drawing.feature_count;
    const int lane = threadIdx.x % 32;
    const int x = at.left + lane % kSide, y = at.top + lane / kSide;
    float v[2][3] = {}, through[2] = {1, 1}, behind[2] = {};
    int lasts[2] = {-1, -1};
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        const int row = y + i * kSide / 2, pixel = row * tiles.width + x;
        const bool inside = x < tiles.width && row < tiles.height;
        if (inside) {
            lasts[i] = drawing.lasts[pixel];
#pragma unroll
            for (int k = 0; k < 3; ++k) {
                v[i][k] = v_drawing.image[3 * pixel + k];
                behind[i] += drawing.image[3 * pixel + k] * v[i][k];
            }
            // What lies behind all Gaussians is uncovered: its share falls as coverage grows.
            if (v_drawing.alphas) {
                behind[i] -= v_drawing.alphas[pixel] * (1 - drawing.alphas[pixel]);
            }
        }
#pragma unroll
        for (int k = 0; k < 3; ++k) notes.v_image[k][lane + 32 * i] = v[i][k];
        if constexpr (kFeatures) {
            for (int f = 0; f < count; ++f) {
                features.v[f][lane + 32 * i] =
                    inside ? v_drawing.features[count * pixel + f] : 0;
            }
        }
    }
    const int end = min(at.end, most_of_warp(max(lasts[0], lasts[1])) + 1);

    int filled = 0;
    through_the_list(
        gaussians, tiles, at.begin, end, batches[threadIdx.x / 32],
        [&](int place, const float4 &shape, const float4 &shade, float blue) {
            Coverage covered[2];
            cover(shape, shade, shape.x - (x + 0.5f), shape.y - (y + 0.5f), limits, covered);
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                if (place > lasts[i]) covered[i].alpha = 0;
            }
            if (!__any_sync(kAll, covered[0].alpha > 0 || covered[1].alpha > 0)) return true;
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                const float alpha = covered[i].alpha, left = 1 - alpha;
                const float pull = shade.z * v[i][0] + shade.w * v[i][1] + blue * v[i][2];
                const float value = through[i] * pull;
                behind[i] -= alpha * value;
                const float v_alpha = value - __fdividef(behind[i], left);
                notes.weight[filled][lane + 32 * i] = alpha * through[i];
                // At its limit, alpha does not follow sigma.
                const bool follows = alpha == covered[i].raw;
                notes.v_sigma[filled][lane + 32 * i] = follows ? -alpha * v_alpha : 0;
                through[i] *= left;
            }
            if (lane == 0) notes.places[filled] = place;
            if (++filled == kGroup) {
                __syncwarp();
                settle(gaussians, tiles, at, notes, features, count, filled, gradients);
                __syncwarp();
                filled = 0;
            }
            return true;
        });
    __syncwarp();
    if (filled) settle(gaussians, tiles, at, notes, features, count, filled, gradients);
}

int blocks_for(const Tiles &tiles) {
    const int parts = tiles.side / kSide;
    return (tiles.columns * tiles.rows * parts * parts + kWarps - 1) / kWarps;
}

}  // namespace

cudaError_t blend(
    Projected gaussians, Tiles tiles, Limits limits, const float *background, Drawing drawing,
    cudaStream_t stream) {
    draw<<<blocks_for(tiles), 32 * kWarps, 0, stream>>>(
        gaussians, tiles, limits, background, drawing);
    return cudaGetLastError();
}

cudaError_t blend_backward(
    Projected gaussians, Tiles tiles, Limits limits, Drawing drawing, DrawingGradients v_drawing,
    ProjectedGradients gradients, cudaStream_t stream) {
    if (v_drawing.feature_count) {
        draw_backward<true><<<blocks_for(tiles), 32 * kWarps, 0, stream>>>(
            gaussians, tiles, limits, drawing, v_drawing, gradients);
    } else {
        draw_backward<false><<<blocks_for(tiles), 32 * kWarps, 0, stream>>>(
            gaussians, tiles, limits, drawing, v_drawing, gradients);
    }
    return cudaGetLastError();
}

}  // namespace splat
