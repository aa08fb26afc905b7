// What operators ask of tensors before a kernel trusts them.
#pragma once

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

inline void check(
    const at::Tensor &tensor, at::ScalarType type, at::IntArrayRef sizes, const char *name) {
    TORCH_CHECK(tensor.is_cuda() && tensor.is_contiguous(), name, " is not contiguous on a GPU");
    TORCH_CHECK(tensor.scalar_type() == type, name, " is of ", tensor.scalar_type());
    TORCH_CHECK(tensor.sizes() == sizes, name, " is ", tensor.sizes(), ", not ", sizes);
}
