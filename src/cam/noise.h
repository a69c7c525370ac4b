/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers by index: number `i` of a stream is a function of the seed and i alone, so it does
 * not depend on threads or on the order of use, and anybody can compute it again.
 *
 *   bits(seed, i)    = SplitMix64's output function of (seed + (i + 1) * 0x9E3779B97F4A7C15)
 *   uniform(seed, i) = (bits >> 11) / 2^53                                   in [0, 1)
 *   normal(seed, i)  = sqrt(-2 ln(1 - uniform(2i))) cos(2 pi uniform(2i + 1))      (Box-Muller)
 *
 * SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
 */
#ifndef GC_CAM_NOISE_H
#define GC_CAM_NOISE_H

#include <stdint.h>

double gc_noise_uniform(uint64_t seed, uint64_t index);
double gc_noise_normal(uint64_t seed, uint64_t index);

/** Standard deviation of the noise for an input: a share (0: 0.15) of its range, as SmoothGrad has
 *  it (Smilkov et al. 2017, arXiv:1706.03825). */
double gc_noise_size(const float *input, int64_t count, double share);

/** to[i] = from[i] + size * normal(seed, first + i); `to` may be `from`. */
void gc_add_noise(float *to, const float *from, int64_t count, double size, uint64_t seed,
                  uint64_t first);

#endif
