/* SPDX-License-Identifier: Apache-2.0 */
#include "cam/noise.h"

#include <math.h>

static uint64_t bits(uint64_t seed, uint64_t index)
{
    uint64_t z = seed + (index + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

double gc_noise_uniform(uint64_t seed, uint64_t index)
{
    return (double)(bits(seed, index) >> 11) * 0x1p-53;
}

double gc_noise_normal(uint64_t seed, uint64_t index)
{
    const double two_pi = 6.283185307179586;
    const double radius = sqrt(-2.0 * log(1.0 - gc_noise_uniform(seed, 2 * index)));
    return radius * cos(two_pi * gc_noise_uniform(seed, 2 * index + 1));
}

double gc_noise_size(const float *input, int64_t count, double share)
{
    float low = input[0], high = input[0];
    for (int64_t i = 1; i < count; i++) {
        low = fminf(low, input[i]);
        high = fmaxf(high, input[i]);
    }
    return (share > 0.0 ? share : 0.15) * (double)(high - low);
}

void gc_add_noise(float *to, const float *from, int64_t count, double size, uint64_t seed,
                  uint64_t first)
{
#pragma omp parallel for schedule(static) if (count > 4096)
    for (int64_t i = 0; i < count; i++)
        to[i] = (float)(from[i] + size * gc_noise_normal(seed, first + (uint64_t)i));
}
