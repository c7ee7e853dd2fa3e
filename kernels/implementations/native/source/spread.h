// How gradients travel from queries to keys along a row.
#pragma once

#include <vector>

#include "window.h"

namespace local_relation {

// The rows in which gradients of keys and values are summed, and the rows of queries beside them.
template <class Real>
struct Spread {
  // The taps that reach a part of a row of keys: tap v + i·step of query x reaches column x + reach + i·stride of it,
  // for i < count.
  struct Part {
    int64_t v, step, reach, stride, count;
  };

  Columns columns;          // of a row of sums: as packed keys, less the whole steps of padding before them
  int64_t left, pitch;      // zeros before the first query of a row, and the row's length with them
  std::vector<Part> parts;  // by phase

  explicit Spread(const Call& call) : columns{call.stride, 0, call.padding % call.stride, call.width} {
    const int64_t start = call.padding / call.stride;
    columns.part = round_up((call.width + columns.padding - 1) / call.stride + 1, lanes<Real>);
    left = round_up((call.span() - 1) / call.stride, lanes<Real>);
    const int64_t queries = round_up(call.out_width, lanes<Real>), keys = columns.part + start;
    pitch = left + round_up(queries > keys ? queries : keys, lanes<Real>);
    for (int64_t phase = 0; phase < call.stride; phase++) parts.push_back(part(call, phase, start));
  }

 private:
  static Part part(const Call& call, int64_t phase, int64_t start) {
    Part part{0, 0, 0, 0, 0};
    for (int64_t v = 0; v < call.kernel_size; v++) {
      const int64_t tap = v * call.dilation, reach = tap / call.stride - start;
      if (tap % call.stride != phase) continue;
      if (part.count == 0) part = {v, 0, reach, 0, 0};
      if (part.count == 1) part = {part.v, v - part.v, part.reach, reach - part.reach, 1};
      part.count++;
    }
    return part;
  }
};

}  // namespace local_relation
