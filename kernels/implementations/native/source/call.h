// What a call is made of: sizes, options and tensors, as Python lays them out. Every field takes eight bytes.
#pragma once

#include <cstdint>

namespace local_relation {

// Runs body(begin, end, context) over parts of [begin, end) on torch's threads; zero where all went well.
using Body = void (*)(int64_t begin, int64_t end, void* context);
using ParallelFor = int32_t (*)(int64_t begin, int64_t end, int64_t grain, Body body, void* context);

// An (N, C, H, W) tensor; strides in elements.
struct Image {
  char* data;
  int64_t batch, channel, row, column;
};

struct Call {
  int64_t dtype, composability, zeros, strided;
  int64_t batch, channels, groups, height, width, out_height, out_width;
  int64_t kernel_size, m, stride, padding, dilation;
  Image query, key, value;
  Image output;                              // y, or dy in backward
  Image grad_query, grad_key, grad_value;    // backward only
  const void* prior;                         // (G, k, k) in the dtype of sums, or null
  void* grad_prior;                          // (G, k, k) in the dtype of sums, or null
  ParallelFor parallel;
  void* partials;                            // the library's own

  int64_t span() const { return dilation * (kernel_size - 1) + 1; }
  int64_t taps() const { return kernel_size * kernel_size; }
};
static_assert(sizeof(Call) == 8 * (16 + 7 * 5 + 4), "Python lays a call out as an array of eight-byte fields");

// The channels of an image that go together: `count` of them, from `first` in steps of `step`.
struct Members {
  int64_t first, step, count;
};

inline Members channels_of(const Call& call, int64_t group) {
  if (call.strided) return {group, call.groups, (call.channels - 1 - group) / call.groups + 1};
  const int64_t first = group * call.m;
  return {first, 1, call.channels - first < call.m ? call.channels - first : call.m};
}

inline Members scalar_of(int64_t group) { return {group, 1, 1}; }

}  // namespace local_relation
