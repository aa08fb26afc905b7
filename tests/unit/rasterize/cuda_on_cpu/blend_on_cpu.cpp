// blend.cu for ctypes; BLEND_CU is its text, with launches that C++ can read.
#include <cuda_runtime_api.h>

#include BLEND_CU

extern "C" void blend(
    const float *means2d, const float *conics, const float *colors, const float *opacities,
    const float *background, const int *offsets, const int *ids, int width, int height, int tile,
    const float *limits, float *image, float *alphas, int *lasts) {
    const int columns = (width + tile - 1) / tile, rows = (height + tile - 1) / tile;
    splat::blend(
        {means2d, conics, colors, opacities},
        {width, height, tile, columns, rows, offsets, ids}, {limits[0], limits[1], limits[2]},
        background, {image, alphas, lasts}, nullptr);
}

extern "C" void blend_backward(
    const float *means2d, const float *conics, const float *colors, const float *opacities,
    const int *offsets, const int *ids, int width, int height, int tile, const float *limits,
    float *image, float *alphas, int *lasts, const float *v_image, const float *v_alphas,
    const float *v_drawn, int features, float *v_means2d, float *v_conics, float *v_colors,
    float *v_opacities, float *v_features) {
    const int columns = (width + tile - 1) / tile, rows = (height + tile - 1) / tile;
    splat::blend_backward(
        {means2d, conics, colors, opacities},
        {width, height, tile, columns, rows, offsets, ids}, {limits[0], limits[1], limits[2]},
        {image, alphas, lasts}, {v_image, v_alphas, v_drawn, features},
        {v_means2d, v_conics, v_colors, v_opacities, v_features}, nullptr);
}
