// Alpha blending of projected Gaussians, and its gradient: what blend_ops.cpp calls.
#pragma once

#include <cuda_runtime_api.h>

namespace splat {

// From which coverage of a pixel a Gaussian is drawn, the most that it covers of one, and how much
// light must be left behind it (rasterize/interface.py).
struct Limits {
    float alpha_threshold, alpha_limit, transmittance_threshold;
};

// An image's size, and the lists of its square tiles (rasterize/tile_lists.py): `offsets` has a
// row of tiles more than the image, so that each list's end is the next one's beginning.
struct Tiles {
    int width, height, side, columns, rows;
    const int *offsets, *ids;
};

// Of N Gaussians: [N, 2] in pixels, [N, 3], [N, 3], [N] in 0..1.
struct Projected {
    const float *means2d, *conics, *colors, *opacities;
};

struct ProjectedGradients {
    float *means2d, *conics, *colors, *opacities;
};

// What a drawing leaves: colours [H, W, 3], coverage [H, W], and the place in `ids` of the last
// Gaussian that each pixel shows, -1 where it shows none.
struct Drawing {
    float *image, *alphas;
    int *lasts;
};

// Draws over `background` [3], which may be null: over black.
cudaError_t blend(
    Projected gaussians, Tiles tiles, Limits limits, const float *background, Drawing drawing,
    cudaStream_t stream);

// Adds to `gradients` those of a loss with gradients `v_image` [H, W, 3] by the image and
// `v_alphas` [H, W] by the coverage; the latter may be null: none.
cudaError_t blend_backward(
    Projected gaussians, Tiles tiles, Limits limits, Drawing drawing, const float *v_image,
    const float *v_alphas, ProjectedGradients gradients, cudaStream_t stream);

}  // namespace splat
