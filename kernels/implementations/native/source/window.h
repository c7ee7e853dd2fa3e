// The window of a row of outputs: where its taps are in packed rows, and what each adds to a logit.
#pragma once

#include <limits>

#include "rows.h"

namespace local_relation {

template <class Real>
struct Window {
  const Call& call;
  int64_t kernel_size, lanes_of_row;  // outputs of a row, rounded up to whole vectors
  Columns columns;                    // of packed rows of key and value
  Buffer<int64_t> shift;              // (k): tap v of output x is at x + shift[v] of a packed row
  Buffer<Real> border;                // (k, lanes_of_row): −∞ where tap v is outside the image and takes no part

  explicit Window(const Call& call)
      : call(call),
        kernel_size(call.kernel_size),
        lanes_of_row(round_up(call.out_width, lanes<Real>)),
        columns{call.stride, part(call), call.padding, call.width},
        shift(call.kernel_size),
        border(call.kernel_size * lanes_of_row) {
    for (int64_t v = 0; v < kernel_size; v++) {
      const int64_t tap = v * call.dilation;
      shift[v] = tap % call.stride * columns.part + tap / call.stride;
      for (int64_t x = 0; x < call.out_width && !call.zeros; x++) {
        const int64_t column = x * call.stride + tap - call.padding;
        if (column < 0 || column >= call.width) border[v * lanes_of_row + x] = -std::numeric_limits<Real>::infinity();
      }
    }
  }

  // The image row of an output row's tap u.
  int64_t row(int64_t output, int64_t u) const { return output * call.stride + u * call.dilation - call.padding; }
  bool inside(int64_t row) const { return row >= 0 && row < call.height; }
  // The first tap u of an output row that is in the image, and the one after the last.
  int64_t first(int64_t output) const {
    const int64_t above = -row(output, 0);
    return above <= 0 ? 0 : (above + call.dilation - 1) / call.dilation;
  }
  int64_t last(int64_t output) const {
    const int64_t below = call.height - row(output, 0);
    const int64_t rows = (below + call.dilation - 1) / call.dilation;
    return rows < kernel_size ? rows : kernel_size;
  }

 private:
  static int64_t part(const Call& call) {
    const int64_t taps = round_up(call.out_width, lanes<Real>) + (call.span() - 1) / call.stride;
    const int64_t image = (call.width + call.padding - 1) / call.stride + 1;
    return round_up(taps > image ? taps : image, lanes<Real>);
  }
};

// Packed rows of an image, as many as a window sees at a time; row y is in slot y mod slots.
template <class Real>
class Ring {
 public:
  Ring(int64_t slots, int64_t planes, int64_t pitch)
      : slots_(slots), size_(planes * pitch), pitch_(pitch), rows_(slots * planes * pitch) {}

  int64_t pitch() const { return pitch_; }
  Real* row(int64_t y) const { return rows_ + y % slots_ * size_; }

  // Nothing that is packed is of use any more.
  void restart() { next_ = 0; }
  // Packs what is still missing of the rows [first, last).
  void advance(const Plane<Real>& plane, int64_t first, int64_t last, const Columns& columns) {
    for (next_ = next_ < first ? first : next_; next_ < last; next_++) plane.pack(row(next_), pitch_, next_, columns);
  }
  void clear(int64_t y) const { std::memset(row(y), 0, size_ * sizeof(Real)); }

 private:
  int64_t slots_, size_, pitch_, next_ = 0;
  Buffer<Real> rows_;
};

// A kernel size that the compiler knows, with neighbouring taps in neighbouring columns; 0: any.
template <int K, class Real>
inline int64_t side(const Window<Real>& window) {
  return K ? K : window.kernel_size;
}
template <int K, class Real>
inline int64_t shift(const Window<Real>& window, int64_t v) {
  return K ? v : window.shift[v];
}

}  // namespace local_relation
