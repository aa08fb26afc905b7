// torch.ops.splat.project and project_backward (rasterize/fused_projection.py says what they take).

#include "project.h"

#include "checks.h"

namespace {

using at::Tensor;

splat::Gaussians gaussians_of(
    const Tensor &means, const Tensor &quats, const Tensor &scales, const Tensor &opacities,
    const Tensor &sh, int64_t degree) {
    const int64_t count = opacities.numel(), coefficients = sh.size(1);
    TORCH_CHECK(
        degree >= 0 && degree <= 3 && (degree + 1) * (degree + 1) <= coefficients, "degree ",
        degree, " of ", coefficients, " coefficients");
    check(means, at::kFloat, {count, 3}, "means");
    check(quats, at::kFloat, {count, 4}, "quats");
    check(scales, at::kFloat, {count, 3}, "scales");
    check(opacities, at::kFloat, {count}, "opacities");
    check(sh, at::kFloat, {count, coefficients, 3}, "sh");
    return {
        static_cast<int>(count), static_cast<int>(coefficients), static_cast<int>(degree),
        means.const_data_ptr<float>(), quats.const_data_ptr<float>(),
        scales.const_data_ptr<float>(), opacities.const_data_ptr<float>(),
        sh.const_data_ptr<float>()};
}

splat::Camera camera_of(const Tensor &viewmat, const Tensor &K, int64_t width, int64_t height) {
    check(viewmat, at::kFloat, {4, 4}, "viewmat");
    check(K, at::kFloat, {3, 3}, "K");
    return {
        viewmat.const_data_ptr<float>(), K.const_data_ptr<float>(), static_cast<int>(width),
        static_cast<int>(height)};
}

splat::Sight sight_of(at::ArrayRef<double> sight) {
    TORCH_CHECK(sight.size() == 3, "sight is three numbers");
    return {
        static_cast<float>(sight[0]), static_cast<float>(sight[1]), static_cast<float>(sight[2])};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> project(
    const Tensor &means, const Tensor &quats, const Tensor &scales, const Tensor &opacities,
    const Tensor &sh, const Tensor &viewmat, const Tensor &K, int64_t width, int64_t height,
    int64_t degree, at::ArrayRef<double> sight) {
    const auto gaussians = gaussians_of(means, quats, scales, opacities, sh, degree);
    const int64_t count = gaussians.count;
    const c10::cuda::CUDAGuard guard(means.device());
    const auto floats = means.options();
    Tensor means2d = at::empty({count, 2}, floats), conics = at::empty({count, 3}, floats);
    Tensor colors = at::empty({count, 3}, floats), alphas = at::empty({count}, floats);
    Tensor depths = at::empty({count}, floats);
    Tensor radii = at::empty({count, 2}, floats.dtype(at::kInt));
    C10_CUDA_CHECK(splat::project(
        gaussians, camera_of(viewmat, K, width, height), sight_of(sight),
        {means2d.data_ptr<float>(), conics.data_ptr<float>(), colors.data_ptr<float>(),
         alphas.data_ptr<float>(), depths.data_ptr<float>(), radii.data_ptr<int>()},
        at::cuda::getCurrentCUDAStream()));
    return {means2d, conics, colors, alphas, depths, radii};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> project_backward(
    const Tensor &means, const Tensor &quats, const Tensor &scales, const Tensor &opacities,
    const Tensor &sh, const Tensor &viewmat, const Tensor &K, const Tensor &radii,
    const Tensor &v_means2d, const Tensor &v_conics, const Tensor &v_colors,
    const Tensor &v_alphas, int64_t width, int64_t height, int64_t degree,
    at::ArrayRef<double> sight) {
    const auto gaussians = gaussians_of(means, quats, scales, opacities, sh, degree);
    const int64_t count = gaussians.count;
    check(radii, at::kInt, {count, 2}, "radii");
    check(v_means2d, at::kFloat, {count, 2}, "v_means2d");
    check(v_conics, at::kFloat, {count, 3}, "v_conics");
    check(v_colors, at::kFloat, {count, 3}, "v_colors");
    check(v_alphas, at::kFloat, {count}, "v_alphas");
    const c10::cuda::CUDAGuard guard(means.device());
    Tensor v_means = at::empty_like(means), v_quats = at::empty_like(quats);
    Tensor v_scales = at::empty_like(scales), v_opacities = at::empty_like(opacities);
    Tensor v_sh = at::empty_like(sh);
    C10_CUDA_CHECK(splat::project_backward(
        gaussians, camera_of(viewmat, K, width, height), sight_of(sight),
        radii.const_data_ptr<int>(), v_means2d.const_data_ptr<float>(),
        v_conics.const_data_ptr<float>(), v_colors.const_data_ptr<float>(),
        v_alphas.const_data_ptr<float>(),
        {v_means.data_ptr<float>(), v_quats.data_ptr<float>(), v_scales.data_ptr<float>(),
         v_opacities.data_ptr<float>(), v_sh.data_ptr<float>()},
        at::cuda::getCurrentCUDAStream()));
    return {v_means, v_quats, v_scales, v_opacities, v_sh};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(splat, library) {
    library.def(
        "project(Tensor means, Tensor quats, Tensor scales, Tensor opacities, Tensor sh, "
        "Tensor viewmat, Tensor K, int width, int height, int degree, float[] sight) "
        "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)");
    library.def(
        "project_backward(Tensor means, Tensor quats, Tensor scales, Tensor opacities, Tensor sh, "
        "Tensor viewmat, Tensor K, Tensor radii, Tensor v_means2d, Tensor v_conics, "
        "Tensor v_colors, Tensor v_alphas, int width, int height, int degree, float[] sight) "
        "-> (Tensor, Tensor, Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(splat, CUDA, library) {
    library.impl("project", &project);
    library.impl("project_backward", &project_backward);
}
