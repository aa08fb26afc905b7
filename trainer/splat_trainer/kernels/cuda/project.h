// What one camera sees of each Gaussian, and its gradient: what project_ops.cpp calls.
#pragma once

#include <cuda_runtime_api.h>

namespace splat {

// N Gaussians as they are trained: [N, 3], [N, 4] of any length, [N, 3] logarithms, [N] logits,
// and spherical harmonics [N, coefficients, 3], of which those up to `degree` are used.
struct Gaussians {
    int count, coefficients, degree;
    const float *means, *quats, *scales, *opacities, *sh;
};

struct GaussianGradients {
    float *means, *quats, *scales, *opacities, *sh;
};

// A pinhole camera: [4, 4] from the world to it, [3, 3], and the size of its image.
struct Camera {
    const float *viewmat, *K;
    int width, height;
};

// rasterize/interface.py: LOW_PASS, NEAR_PLANE, ALPHA_THRESHOLD.
struct Sight {
    float low_pass, near_plane, alpha_threshold;
};

// [N, 2] in pixels, [N, 3], [N, 3], [N] in 0..1, [N], and [N, 2], which is zero where a Gaussian
// is not drawn: its other values are then not written.
struct Seen {
    float *means2d, *conics, *colors, *opacities, *depths;
    int *radii;
};

cudaError_t project(
    Gaussians gaussians, Camera camera, Sight sight, Seen seen, cudaStream_t stream);

// Writes all of `gradients` from those by what was seen; zero for what is not drawn.
cudaError_t project_backward(
    Gaussians gaussians, Camera camera, Sight sight, const int *radii, const float *v_means2d,
    const float *v_conics, const float *v_colors, const float *v_opacities,
    GaussianGradients gradients, cudaStream_t stream);

}  // namespace splat
