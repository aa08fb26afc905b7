// project.cu for ctypes; PROJECT_CU is its text, with launches that C++ can read.
#include <cuda_runtime_api.h>

#include PROJECT_CU

extern "C" void project(
    int count, int coefficients, int degree, const float *means, const float *quats,
    const float *scales, const float *opacities, const float *sh, const float *viewmat,
    const float *K, int width, int height, const float *sight, float *means2d, float *conics,
    float *colors, float *alphas, float *depths, int *radii) {
    splat::project(
        {count, coefficients, degree, means, quats, scales, opacities, sh},
        {viewmat, K, width, height}, {sight[0], sight[1], sight[2]},
        {means2d, conics, colors, alphas, depths, radii}, nullptr);
}

extern "C" void project_backward(
    int count, int coefficients, int degree, const float *means, const float *quats,
    const float *scales, const float *opacities, const float *sh, const float *viewmat,
    const float *K, int width, int height, const float *sight, const int *radii,
    const float *v_means2d, const float *v_conics, const float *v_colors, const float *v_alphas,
    float *v_means, float *v_quats, float *v_scales, float *v_opacities, float *v_sh) {
    splat::project_backward(
        {count, coefficients, degree, means, quats, scales, opacities, sh},
        {viewmat, K, width, height}, {sight[0], sight[1], sight[2]}, radii, v_means2d, v_conics,
        v_colors, v_alphas, {v_means, v_quats, v_scales, v_opacities, v_sh}, nullptr);
}
