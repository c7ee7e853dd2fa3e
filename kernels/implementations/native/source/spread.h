// How gradients travel from queries to keys: along a row, key column a of part φ hears from the queries a − reach[i].
#pragma once

#include <vector>

#include "window.h"

namespace local_relation {

// The columns of the rows in which gradients of keys and values are summed, and of the rows of queries beside them.
template <class Real>
struct Spread {
  struct Tap {
    int64_t v, reach;  // tap v of query x is at x + reach of the key columns' part
  };

  Columns columns;                      // of a row of sums: as packed keys, less the whole steps of padding before them
  int64_t left, pitch;                  // zeros before the first query of a row, and the row's length with them
  std::vector<std::vector<Tap>> parts;  // the taps that reach each part

  explicit Spread(const Call& call) : columns{call.stride, 0, call.padding % call.stride, call.width}, parts(call.stride) {
    const int64_t start = call.padding / call.stride;
    columns.part = round_up((call.width + columns.padding - 1) / call.stride + 1, lanes<Real>);
    left = round_up((call.span() - 1) / call.stride, lanes<Real>);
    for (int64_t v = 0; v < call.kernel_size; v++) {
      const int64_t tap = v * call.dilation;
      parts[tap % call.stride].push_back({v, tap / call.stride - start});
    }
    const int64_t queries = round_up(call.out_width, lanes<Real>);
    pitch = left + (queries > columns.part + start ? queries : columns.part + start);
    pitch = round_up(pitch, lanes<Real>);
  }
};

}  // namespace local_relation
