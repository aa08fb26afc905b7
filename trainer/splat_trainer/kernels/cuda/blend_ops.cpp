// torch.ops.splat.blend and blend_backward (rasterize/fused_blend.py says what they take).

#include "blend.h"

#include "checks.h"

namespace {

using at::Tensor;
using Maybe = std::optional<Tensor>;

const float *optional_data(const Maybe &tensor) {
    return tensor ? tensor->const_data_ptr<float>() : nullptr;
}

splat::Projected projected(
    const Tensor &means2d, const Tensor &conics, const Tensor &colors, const Tensor &opacities) {
    const int64_t count = opacities.numel();
    check(means2d, at::kFloat, {count, 2}, "means2d");
    check(conics, at::kFloat, {count, 3}, "conics");
    check(colors, at::kFloat, {count, 3}, "colors");
    check(opacities, at::kFloat, {count}, "opacities");
    return {
        means2d.const_data_ptr<float>(), conics.const_data_ptr<float>(),
        colors.const_data_ptr<float>(), opacities.const_data_ptr<float>()};
}

splat::Tiles tiles_of(
    const Tensor &offsets, const Tensor &ids, int64_t width, int64_t height, int64_t tile) {
    TORCH_CHECK(tile > 0 && tile % 8 == 0, "tiles of ", tile, " pixels");
    const int64_t columns = (width + tile - 1) / tile, rows = (height + tile - 1) / tile;
    check(offsets, at::kInt, {rows + 1, columns}, "offsets");
    check(ids, at::kInt, {ids.numel()}, "ids");
    return {
        static_cast<int>(width), static_cast<int>(height), static_cast<int>(tile),
        static_cast<int>(columns), static_cast<int>(rows), offsets.const_data_ptr<int>(),
        ids.const_data_ptr<int>()};
}

splat::Limits limits_of(at::ArrayRef<double> limits) {
    TORCH_CHECK(limits.size() == 3, "limits are three");
    return {
        static_cast<float>(limits[0]), static_cast<float>(limits[1]),
        static_cast<float>(limits[2])};
}

std::tuple<Tensor, Tensor, Tensor> blend(
    const Tensor &means2d, const Tensor &conics, const Tensor &colors, const Tensor &opacities,
    const Maybe &background, const Tensor &offsets, const Tensor &ids, int64_t width,
    int64_t height, int64_t tile, at::ArrayRef<double> limits) {
    const auto gaussians = projected(means2d, conics, colors, opacities);
    const auto tiles = tiles_of(offsets, ids, width, height, tile);
    if (background) check(*background, at::kFloat, {3}, "background");
    const c10::cuda::CUDAGuard guard(means2d.device());
    Tensor image = at::empty({height, width, 3}, means2d.options());
    Tensor alphas = at::empty({height, width, 1}, means2d.options());
    Tensor lasts = at::empty({height, width}, offsets.options());
    C10_CUDA_CHECK(splat::blend(
        gaussians, tiles, limits_of(limits), optional_data(background),
        {image.data_ptr<float>(), alphas.data_ptr<float>(), lasts.data_ptr<int>()},
        at::cuda::getCurrentCUDAStream()));
    return {image, alphas, lasts};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> blend_backward(
    const Tensor &means2d, const Tensor &conics, const Tensor &colors, const Tensor &opacities,
    const Tensor &offsets, const Tensor &ids, const Tensor &image, const Tensor &alphas,
    const Tensor &lasts, const Tensor &v_image, const Maybe &v_alphas, const Maybe &v_features,
    int64_t tile, at::ArrayRef<double> limits) {
    const int64_t height = image.size(0), width = image.size(1), count = opacities.numel();
    const auto gaussians = projected(means2d, conics, colors, opacities);
    const auto tiles = tiles_of(offsets, ids, width, height, tile);
    check(image, at::kFloat, {height, width, 3}, "image");
    check(alphas, at::kFloat, {height, width, 1}, "alphas");
    check(lasts, at::kInt, {height, width}, "lasts");
    check(v_image, at::kFloat, {height, width, 3}, "v_image");
    if (v_alphas) check(*v_alphas, at::kFloat, {height, width, 1}, "v_alphas");
    const int64_t features = v_features ? v_features->size(-1) : 0;
    if (v_features) check(*v_features, at::kFloat, {height, width, features}, "v_features");
    TORCH_CHECK(features <= splat::kMostFeatures, features, " features are too many");
    const c10::cuda::CUDAGuard guard(means2d.device());
    // Cleared by one launch.
    const Tensor all = at::zeros({(9 + features) * count}, means2d.options());
    const auto parts =
        all.split_with_sizes({2 * count, 3 * count, 3 * count, count, features * count});
    C10_CUDA_CHECK(splat::blend_backward(
        gaussians, tiles, limits_of(limits),
        {image.data_ptr<float>(), alphas.data_ptr<float>(), lasts.data_ptr<int>()},
        {v_image.const_data_ptr<float>(), optional_data(v_alphas), optional_data(v_features),
         static_cast<int>(features)},
        {parts[0].data_ptr<float>(), parts[1].data_ptr<float>(), parts[2].data_ptr<float>(),
         parts[3].data_ptr<float>(), parts[4].data_ptr<float>()},
        at::cuda::getCurrentCUDAStream()));
    return {
        parts[0].view({count, 2}), parts[1].view({count, 3}), parts[2].view({count, 3}),
        parts[3], parts[4].view({count, features})};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(splat, library) {
    library.def(
        "blend(Tensor means2d, Tensor conics, Tensor colors, Tensor opacities, Tensor? background, "
        "Tensor offsets, Tensor ids, int width, int height, int tile, float[] limits) "
        "-> (Tensor, Tensor, Tensor)");
    library.def(
        "blend_backward(Tensor means2d, Tensor conics, Tensor colors, Tensor opacities, "
        "Tensor offsets, Tensor ids, Tensor image, Tensor alphas, Tensor lasts, Tensor v_image, "
        "Tensor? v_alphas, Tensor? v_features, int tile, float[] limits) "
        "-> (Tensor, Tensor, Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(splat, CUDA, library) {
    library.impl("blend", &blend);
    library.impl("blend_backward", &blend_backward);
}
