// Real spherical harmonics up to degree 3, as gaussians/spherical_harmonics.py has them, and rows of
// their coefficients: [functions, 3], of which a kernel of a lower degree reads the first.

#pragma once

namespace splat {

template <int kDegree>
constexpr int kFunctions = (kDegree + 1) * (kDegree + 1);

// Sloan 2013: values in a direction of unit length.
template <int kDegree>
__device__ __forceinline__ void basis(float x, float y, float z, float *values) {
    values[0] = 0.28209479177387814f;
    if (kDegree >= 1) {
        values[1] = -0.48860251190292f * y, values[2] = 0.48860251190292f * z;
        values[3] = -0.48860251190292f * x;
    }
    const float xx = x * x, yy = y * y, zz = z * z;
    if (kDegree >= 2) {
        values[4] = 1.092548430592079f * x * y, values[5] = -1.092548430592079f * y * z;
        values[6] = 0.9461746957575601f * zz - 0.3153915652525201f;
        values[7] = -1.092548430592079f * x * z, values[8] = 0.5462742152960395f * (xx - yy);
    }
    if (kDegree >= 3) {
        values[9] = -0.5900435899266435f * y * (3 * xx - yy);
        values[10] = 2.890611442640554f * x * y * z;
        values[11] = y * (0.4570457994644658f - 2.285228997322329f * zz);
        values[12] = z * (1.865881662950577f * zz - 1.119528997770346f);
        values[13] = x * (0.4570457994644658f - 2.285228997322329f * zz);
        values[14] = 1.445305721320277f * z * (xx - yy);
        values[15] = -0.5900435899266435f * x * (xx - 3 * yy);
    }
}

// The gradient by the direction of the sum of `pull` times the functions.
template <int kDegree>
__device__ __forceinline__ void basis_gradient(
    float x, float y, float z, const float *pull, float slope[3]) {
    slope[0] = slope[1] = slope[2] = 0;
    if (kDegree >= 1) {
        slope[0] -= 0.48860251190292f * pull[3], slope[1] -= 0.48860251190292f * pull[1];
        slope[2] += 0.48860251190292f * pull[2];
    }
    const float xx = x * x, yy = y * y, zz = z * z;
    if (kDegree >= 2) {
        const float mixed = 1.092548430592079f, square = 0.5462742152960395f * 2 * pull[8];
        slope[0] += mixed * (y * pull[4] - z * pull[7]) + square * x;
        slope[1] += mixed * (x * pull[4] - z * pull[5]) - square * y;
        slope[2] += 2 * 0.9461746957575601f * z * pull[6] - mixed * (y * pull[5] + x * pull[7]);
    }
    if (kDegree >= 3) {
        const float third = -0.5900435899266435f, all = 2.890611442640554f * pull[10];
        const float middle = 0.4570457994644658f - 2.285228997322329f * zz;
        const float along = -2 * 2.285228997322329f * z, high = 1.445305721320277f * pull[14];
        slope[0] += third * (6 * x * y * pull[9] + 3 * (xx - yy) * pull[15]) + all * y * z
            + middle * pull[13] + 2 * high * z * x;
        slope[1] += third * (3 * (xx - yy) * pull[9] - 6 * x * y * pull[15]) + all * x * z
            + middle * pull[11] - 2 * high * z * y;
        slope[2] += all * x * y + along * (y * pull[11] + x * pull[13])
            + (3 * 1.865881662950577f * zz - 1.119528997770346f) * pull[12] + high * (xx - yy);
    }
}

// A row of coefficients, four numbers at a time where rows begin at multiples of 16 bytes: a warp's
// rows lie apart, and each of its reads and writes costs as many as there are.
template <int kDegree, typename Each>
__device__ __forceinline__ void for_row(const float *row, bool by_four, Each each) {
    constexpr int kNumbers = 3 * kFunctions<kDegree>;
    if (by_four) {
#pragma unroll
        for (int i = 0; i < (kNumbers + 3) / 4; ++i) {
            const float4 four = reinterpret_cast<const float4 *>(row)[i];
            const float numbers[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                if (4 * i + j < kNumbers) each((4 * i + j) / 3, (4 * i + j) % 3, numbers[j]);
            }
        }
    } else {
#pragma unroll
        for (int i = 0; i < kNumbers; ++i) each(i / 3, i % 3, row[i]);
    }
}

// Writes the products of `values` and `color`, and zeros up to the row's end.
template <int kDegree>
__device__ __forceinline__ void write_row(
    float *row, bool by_four, int numbers, const float *values, const float color[3]) {
    constexpr int kNumbers = 3 * kFunctions<kDegree>;
    const auto number = [&](int i) { return i < kNumbers ? values[i / 3] * color[i % 3] : 0; };
    int i = 0;
    if (by_four) {
#pragma unroll
        for (; i < kNumbers; i += 4) {
            *reinterpret_cast<float4 *>(row + i) =
                {number(i), number(i + 1), number(i + 2), number(i + 3)};
        }
        for (; i < numbers; i += 4) *reinterpret_cast<float4 *>(row + i) = {0, 0, 0, 0};
    } else {
#pragma unroll
        for (; i < kNumbers; ++i) row[i] = number(i);
        for (; i < numbers; ++i) row[i] = 0;
    }
}

__device__ __forceinline__ void clear_row(float *row, bool by_four, int numbers) {
    int i = 0;
    if (by_four) {
        for (; i < numbers; i += 4) *reinterpret_cast<float4 *>(row + i) = {0, 0, 0, 0};
    }
    for (; i < numbers; ++i) row[i] = 0;
}

}  // namespace splat
