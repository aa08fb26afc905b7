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

// And by the features, [N, feature_count].
struct ProjectedGradients {
    float *means2d, *conics, *colors, *opacities, *features;
};

// What a drawing leaves: colours [H, W, 3], coverage [H, W], and the place in `ids` of the last
// Gaussian that each pixel shows, -1 where it shows none.
struct Drawing {
    float *image, *alphas;
    int *lasts;
};

constexpr int kMostFeatures = 4;  // in what is left of the 48 KiB that a block may share

// A loss's gradients by the image [H, W, 3], the coverage [H, W], null where it has none, and by
// what features that are zero for every Gaussian were drawn to, [H, W, feature_count].
struct DrawingGradients {
    const float *image, *alphas, *features;
    int feature_count;
};

// Draws over `background` [3], which may be null: over black.
cudaError_t blend(
    Projected gaussians, Tiles tiles, Limits limits, const float *background, Drawing drawing,
    cudaStream_t stream);

// Adds to `gradients` those of a loss whose gradients by the drawing are `v_drawing`.
cudaError_t blend_backward(
    Projected gaussians, Tiles tiles, Limits limits, Drawing drawing, DrawingGradients v_drawing,
    ProjectedGradients gradients, cudaStream_t stream);

}  // namespace splat
