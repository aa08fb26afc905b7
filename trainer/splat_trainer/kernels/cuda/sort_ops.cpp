// torch.ops.splat.sort_pairs (rasterize/tile_sort.py says what it takes).

#include <ATen/cuda/cub.h>

#include "checks.h"

namespace {

using at::Tensor;

template <typename Key>
void sort(const Tensor &keys, Tensor &sorted, const Tensor &values, Tensor &moved) {
    // PyTorch has CUB's radix sort in its own library, which is stable.
    at::cuda::cub::radix_sort_pairs<Key, int32_t>(
        keys.const_data_ptr<Key>(), sorted.data_ptr<Key>(), values.const_data_ptr<int32_t>(),
        moved.data_ptr<int32_t>(), keys.numel());
}

std::tuple<Tensor, Tensor> sort_pairs(const Tensor &keys, const Tensor &values) {
    const bool wide = keys.scalar_type() == at::kLong;
    check(keys, wide ? at::kLong : at::kInt, {keys.numel()}, "keys");
    check(values, at::kInt, {keys.numel()}, "values");
    const c10::cuda::CUDAGuard guard(keys.device());
    Tensor sorted = at::empty_like(keys), moved = at::empty_like(values);
    if (wide) {
        sort<int64_t>(keys, sorted, values, moved);
    } else {
        sort<int32_t>(keys, sorted, values, moved);
    }
    return {sorted, moved};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(splat, library) {
    library.def("sort_pairs(Tensor keys, Tensor values) -> (Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(splat, CUDA, library) {
    library.impl("sort_pairs", &sort_pairs);
}
