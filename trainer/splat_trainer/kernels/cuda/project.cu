// The equations are those of rasterize/projection.py and gaussians/spherical_harmonics.py: a
// Gaussian's covariance on the image is B B^T + low pass, where B = J R Q S of the projection's
// Jacobian J, the camera's rotation R, and the Gaussian's own Q and S. A thread has one Gaussian.

#include "project.h"
#include "spherical_harmonics.cuh"

#include <type_traits>

namespace splat {
namespace {

constexpr int kThreads = 256;
constexpr float kReach = 3.33f;           // standard deviations that opacity 1 is seen to
constexpr float kFrustumMargin = 0.3f;    // past the image, of half the field of view

struct View {
    float R[3][3], t[3], center[3], fx, fy, cx, cy;
};

// What of a Gaussian's projection its gradient needs, too.
struct Flat {
    float x, y, z;        // of the mean, to the camera
    float tx, ty;         // of the mean, no further than the Jacobian changes
    float J[2][3], T[2][3], Q[3][3], P[2][3], B[2][3], scales[3];
    float quat[4], per_length;
    float xx, xy, yy, determinant;
};

__device__ __forceinline__ View view_of(const Camera &camera) {
    View view;
#pragma unroll
    for (int i = 0; i < 3; ++i) {
#pragma unroll
        for (int j = 0; j < 3; ++j) view.R[i][j] = camera.viewmat[4 * i + j];
        view.t[i] = camera.viewmat[4 * i + 3];
    }
#pragma unroll
    for (int i = 0; i < 3; ++i) {
        view.center[i] =
            -(view.R[0][i] * view.t[0] + view.R[1][i] * view.t[1] + view.R[2][i] * view.t[2]);
    }
    view.fx = camera.K[0], view.fy = camera.K[4], view.cx = camera.K[2], view.cy = camera.K[5];
    return view;
}

__device__ __forceinline__ float between(float low, float value, float high) {
    return fminf(fmaxf(value, low), high);
}

// Everything up to the covariance on the image; false where the mean is too near.
__device__ __forceinline__ bool flatten(
    const Gaussians &gaussians, int n, const Camera &camera, const View &view, const Sight &sight,
    Flat &flat) {
    const float *mean = gaussians.means + 3 * n, *quat = gaussians.quats + 4 * n;
    const auto &R = view.R;
    flat.x = R[0][0] * mean[0] + R[0][1] * mean[1] + R[0][2] * mean[2] + view.t[0];
    flat.y = R[1][0] * mean[0] + R[1][1] * mean[1] + R[1][2] * mean[2] + view.t[1];
    flat.z = R[2][0] * mean[0] + R[2][1] * mean[1] + R[2][2] * mean[2] + view.t[2];
    if (!(flat.z >= sight.near_plane)) return false;

    const float rz = 1 / flat.z;
    const float margin_x = kFrustumMargin * 0.5f * camera.width / view.fx;
    const float margin_y = kFrustumMargin * 0.5f * camera.height / view.fy;
    flat.tx = flat.z * between(
        -(view.cx / view.fx + margin_x), flat.x * rz,
        (camera.width - view.cx) / view.fx + margin_x);
    flat.ty = flat.z * between(
        -(view.cy / view.fy + margin_y), flat.y * rz,
        (camera.height - view.cy) / view.fy + margin_y);
    flat.J[0][0] = view.fx * rz, flat.J[0][1] = 0, flat.J[0][2] = -view.fx * flat.tx * rz * rz;
    flat.J[1][0] = 0, flat.J[1][1] = view.fy * rz, flat.J[1][2] = -view.fy * flat.ty * rz * rz;

    flat.per_length = rsqrtf(
        quat[0] * quat[0] + quat[1] * quat[1] + quat[2] * quat[2] + quat[3] * quat[3]);
#pragma unroll
    for (int i = 0; i < 4; ++i) flat.quat[i] = quat[i] * flat.per_length;
    const float w = flat.quat[0], x = flat.quat[1], y = flat.quat[2], z = flat.quat[3];
    flat.Q[0][0] = 1 - 2 * (y * y + z * z), flat.Q[0][1] = 2 * (x * y - w * z);
    flat.Q[0][2] = 2 * (x * z + w * y), flat.Q[1][0] = 2 * (x * y + w * z);
    flat.Q[1][1] = 1 - 2 * (x * x + z * z), flat.Q[1][2] = 2 * (y * z - w * x);
    flat.Q[2][0] = 2 * (x * z - w * y), flat.Q[2][1] = 2 * (y * z + w * x);
    flat.Q[2][2] = 1 - 2 * (x * x + y * y);
#pragma unroll
    for (int k = 0; k < 3; ++k) flat.scales[k] = expf(gaussians.scales[3 * n + k]);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
        for (int k = 0; k < 3; ++k) {
            flat.T[i][k] = flat.J[i][i] * R[i][k] + flat.J[i][2] * R[2][k];
        }
#pragma unroll
        for (int k = 0; k < 3; ++k) {
            flat.P[i][k] = flat.T[i][0] * flat.Q[0][k] + flat.T[i][1] * flat.Q[1][k]
                + flat.T[i][2] * flat.Q[2][k];
            flat.B[i][k] = flat.P[i][k] * flat.scales[k];
        }
    }
    const auto &B = flat.B;
    flat.xx = B[0][0] * B[0][0] + B[0][1] * B[0][1] + B[0][2] * B[0][2] + sight.low_pass;
    flat.xy = B[0][0] * B[1][0] + B[0][1] * B[1][1] + B[0][2] * B[1][2];
    flat.yy = B[1][0] * B[1][0] + B[1][1] * B[1][1] + B[1][2] * B[1][2] + sight.low_pass;
    flat.determinant = flat.xx * flat.yy - flat.xy * flat.xy;
    return true;
}

__device__ __forceinline__ float sigmoid(float logit) { return 1 / (1 + expf(-logit)); }

// From the camera to a Gaussian: of unit length, and one over the length.
__device__ __forceinline__ float direction_to(
    const Gaussians &gaussians, int n, const View &view, float direction[3]) {
    float square = 0;
#pragma unroll
    for (int i = 0; i < 3; ++i) {
        direction[i] = gaussians.means[3 * n + i] - view.center[i];
        square += direction[i] * direction[i];
    }
    const float per_length = rsqrtf(fmaxf(square, 1e-24f));
#pragma unroll
    for (int i = 0; i < 3; ++i) direction[i] *= per_length;
    return per_length;
}

template <int kDegree>
__global__ void __launch_bounds__(kThreads) see(
    const Gaussians gaussians, const Camera camera, const Sight sight, const Seen seen) {
    const int n = blockIdx.x * kThreads + threadIdx.x;
    if (n >= gaussians.count) return;
    int *radii = seen.radii + 2 * n;
    radii[0] = radii[1] = 0;
    const float opacity = sigmoid(gaussians.opacities[n]);
    seen.opacities[n] = opacity;
    const View view = view_of(camera);
    Flat flat;
    if (!(opacity >= sight.alpha_threshold)) return;
    if (!flatten(gaussians, n, camera, view, sight, flat) || !(flat.determinant > 0)) return;

    const float u = view.fx * flat.x / flat.z + view.cx, v = view.fy * flat.y / flat.z + view.cy;
    const float reach = fminf(kReach, sqrtf(2 * logf(opacity / sight.alpha_threshold)));
    const float across = ceilf(reach * sqrtf(flat.xx)), down = ceilf(reach * sqrtf(flat.yy));
    if (!(across > 0 || down > 0) || u + across <= 0 || u - across >= camera.width
        || v + down <= 0 || v - down >= camera.height) {
        return;
    }
    radii[0] = static_cast<int>(across), radii[1] = static_cast<int>(down);
    seen.means2d[2 * n] = u, seen.means2d[2 * n + 1] = v;
    const float inverse = 1 / flat.determinant;
    seen.conics[3 * n] = flat.yy * inverse, seen.conics[3 * n + 1] = -flat.xy * inverse;
    seen.conics[3 * n + 2] = flat.xx * inverse;
    seen.depths[n] = flat.z;

    float direction[3], values[kFunctions<kDegree>];
    direction_to(gaussians, n, view, direction);
    basis<kDegree>(direction[0], direction[1], direction[2], values);
    const int numbers = 3 * gaussians.coefficients;
    const float *sh = gaussians.sh + static_cast<long long>(n) * numbers;
    float color[3] = {0.5f, 0.5f, 0.5f};
    for_row<kDegree>(sh, numbers % 4 == 0, [&](int k, int c, float number) {
        color[c] = fmaf(values[k], number, color[c]);
    });
#pragma unroll
    for (int c = 0; c < 3; ++c) seen.colors[3 * n + c] = fmaxf(color[c], 0);
}

template <int kDegree>
__global__ void __launch_bounds__(kThreads) see_backward(
    const Gaussians gaussians, const Camera camera, const Sight sight,
    const int *__restrict__ radii, const float *__restrict__ v_means2d,
    const float *__restrict__ v_conics, const float *__restrict__ v_colors,
    const float *__restrict__ v_opacities, const GaussianGradients gradients) {
    const int n = blockIdx.x * kThreads + threadIdx.x;
    if (n >= gaussians.count) return;
    const int numbers = 3 * gaussians.coefficients;
    const bool by_four = numbers % 4 == 0;
    float *v_sh = gradients.sh + static_cast<long long>(n) * numbers;
    float v_mean[3] = {}, v_quat[4] = {}, v_scales[3] = {}, v_logit = 0;
    const View view = view_of(camera);
    Flat flat;
    const bool drawn = radii[2 * n] > 0 && radii[2 * n + 1] > 0
        && flatten(gaussians, n, camera, view, sight, flat);
    if (drawn) {
        // Colour: of what the spherical harmonics give, nothing where it is below zero.
        float direction[3], values[kFunctions<kDegree>], pull[kFunctions<kDegree>], slope[3];
        const float per_length = direction_to(gaussians, n, view, direction);
        basis<kDegree>(direction[0], direction[1], direction[2], values);
        const float *sh = gaussians.sh + static_cast<long long>(n) * numbers;
        float color[3] = {0.5f, 0.5f, 0.5f}, v_color[3];
        for_row<kDegree>(sh, by_four, [&](int k, int c, float number) {
            color[c] = fmaf(values[k], number, color[c]);
        });
#pragma unroll
        for (int c = 0; c < 3; ++c) v_color[c] = color[c] >= 0 ? v_colors[3 * n + c] : 0;
#pragma unroll
        for (int k = 0; k < kFunctions<kDegree>; ++k) pull[k] = 0;
        for_row<kDegree>(sh, by_four, [&](int k, int c, float number) {
            pull[k] = fmaf(v_color[c], number, pull[k]);
        });
        write_row<kDegree>(v_sh, by_four, numbers, values, v_color);
        basis_gradient<kDegree>(direction[0], direction[1], direction[2], pull, slope);
        const float away =
            slope[0] * direction[0] + slope[1] * direction[1] + slope[2] * direction[2];
#pragma unroll
        for (int i = 0; i < 3; ++i) v_mean[i] = (slope[i] - away * direction[i]) * per_length;

        const float opacity = sigmoid(gaussians.opacities[n]);
        v_logit = v_opacities[n] * opacity * (1 - opacity);

        // Of the conic C = S^-1 to that of the covariance S: -C v C.
        const float inverse = 1 / flat.determinant;
        const float a = flat.yy * inverse, b = -flat.xy * inverse, c = flat.xx * inverse;
        const float va = v_conics[3 * n], vb = 0.5f * v_conics[3 * n + 1];
        const float vc = v_conics[3 * n + 2];
        const float p = a * va + b * vb, q = a * vb + b * vc, r = b * va + c * vb;
        const float s = b * vb + c * vc;
        const float v_xx = -(p * a + q * b), v_xy = -(p * b + q * c), v_yy = -(r * b + s * c);

        float v_Q[3][3], v_T[2][3], v_P[2][3];
#pragma unroll
        for (int k = 0; k < 3; ++k) {
            const float v_upper = 2 * (v_xx * flat.B[0][k] + v_xy * flat.B[1][k]);
            const float v_lower = 2 * (v_xy * flat.B[0][k] + v_yy * flat.B[1][k]);
            v_scales[k] = v_upper * flat.B[0][k] + v_lower * flat.B[1][k];  // by the logarithm
            v_P[0][k] = v_upper * flat.scales[k], v_P[1][k] = v_lower * flat.scales[k];
        }
#pragma unroll
        for (int i = 0; i < 3; ++i) {
#pragma unroll
            for (int k = 0; k < 3; ++k) {
                v_Q[i][k] = flat.T[0][i] * v_P[0][k] + flat.T[1][i] * v_P[1][k];
            }
#pragma unroll
            for (int j = 0; j < 2; ++j) {
                v_T[j][i] = v_P[j][0] * flat.Q[i][0] + v_P[j][1] * flat.Q[i][1]
                    + v_P[j][2] * flat.Q[i][2];
            }
        }

        const float w = flat.quat[0], x = flat.quat[1], y = flat.quat[2], z = flat.quat[3];
        const float turn[4] = {
            2 * (x * (v_Q[2][1] - v_Q[1][2]) + y * (v_Q[0][2] - v_Q[2][0])
                 + z * (v_Q[1][0] - v_Q[0][1])),
            2 * (-2 * x * (v_Q[1][1] + v_Q[2][2]) + y * (v_Q[0][1] + v_Q[1][0])
                 + z * (v_Q[0][2] + v_Q[2][0]) + w * (v_Q[2][1] - v_Q[1][2])),
            2 * (x * (v_Q[0][1] + v_Q[1][0]) - 2 * y * (v_Q[0][0] + v_Q[2][2])
                 + z * (v_Q[1][2] + v_Q[2][1]) + w * (v_Q[0][2] - v_Q[2][0])),
            2 * (x * (v_Q[0][2] + v_Q[2][0]) + y * (v_Q[1][2] + v_Q[2][1])
                 - 2 * z * (v_Q[0][0] + v_Q[1][1]) + w * (v_Q[1][0] - v_Q[0][1])),
        };
        const float longer = w * turn[0] + x * turn[1] + y * turn[2] + z * turn[3];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            v_quat[i] = (turn[i] - longer * flat.quat[i]) * flat.per_length;
        }

        // By the mean, as the camera has it: where it falls on the image, and the Jacobian.
        const float rz = 1 / flat.z, v_u = v_means2d[2 * n], v_v = v_means2d[2 * n + 1];
        float v_J[2][2];  // of each row, its own entry and that of depth
#pragma unroll
        for (int j = 0; j < 2; ++j) {
            v_J[j][0] = v_T[j][0] * view.R[j][0] + v_T[j][1] * view.R[j][1]
                + v_T[j][2] * view.R[j][2];
            v_J[j][1] = v_T[j][0] * view.R[2][0] + v_T[j][1] * view.R[2][1]
                + v_T[j][2] * view.R[2][2];
        }
        const float across = view.fx * rz, down = view.fy * rz;
        float v_x = across * v_u, v_y = down * v_v;
        float v_z = -rz * (across * (flat.x * v_u + v_J[0][0]) + down * (flat.y * v_v + v_J[1][0]));
        const float by_tx = -across * rz * v_J[0][1], by_ty = -down * rz * v_J[1][1];
        const bool free_x = flat.tx == flat.z * (flat.x * rz);
        const bool free_y = flat.ty == flat.z * (flat.y * rz);
        if (free_x) v_x += by_tx;
        if (free_y) v_y += by_ty;
        v_z -= (free_x ? 2 : 1) * by_tx * flat.tx * rz + (free_y ? 2 : 1) * by_ty * flat.ty * rz;
#pragma unroll
        for (int i = 0; i < 3; ++i) {
            v_mean[i] += view.R[0][i] * v_x + view.R[1][i] * v_y + view.R[2][i] * v_z;
        }
    } else {
        clear_row(v_sh, by_four, numbers);
    }
#pragma unroll
    for (int i = 0; i < 3; ++i) {
        gradients.means[3 * n + i] = v_mean[i], gradients.scales[3 * n + i] = v_scales[i];
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) gradients.quats[4 * n + i] = v_quat[i];
    gradients.opacities[n] = v_logit;
}

template <typename Launch>
cudaError_t for_degree(int degree, Launch launch) {
    switch (degree) {
        case 0: launch(std::integral_constant<int, 0>()); break;
        case 1: launch(std::integral_constant<int, 1>()); break;
        case 2: launch(std::integral_constant<int, 2>()); break;
        default: launch(std::integral_constant<int, 3>());
    }
    return cudaGetLastError();
}

int blocks_for(int count) { return (count + kThreads - 1) / kThreads; }

}  // namespace

cudaError_t project(
    Gaussians gaussians, Camera camera, Sight sight, Seen seen, cudaStream_t stream) {
    return for_degree(gaussians.degree, [&](auto degree) {
        see<degree.value><<<blocks_for(gaussians.count), kThreads, 0, stream>>>(
            gaussians, camera, sight, seen);
    });
}

cudaError_t project_backward(
    Gaussians gaussians, Camera camera, Sight sight, const int *radii, const float *v_means2d,
    const float *v_conics, const float *v_colors, const float *v_opacities,
    GaussianGradients gradients, cudaStream_t stream) {
    return for_degree(gaussians.degree, [&](auto degree) {
        see_backward<degree.value><<<blocks_for(gaussians.count), kThreads, 0, stream>>>(
            gaussians, camera, sight, radii, v_means2d, v_conics, v_colors, v_opacities,
            gradients);
    });
}

}  // namespace splat
