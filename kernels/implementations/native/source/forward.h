// Forward: y = Σ w·x, two rows of outputs at a time where they share rows of values.
#pragma once

#include "weights.h"

namespace local_relation {

template <class Real, int K>
class Forward {
  using V = Vector<Real>;

 public:
  Forward(const Call& call, const Window<Real>& window, const Mover<Real>& mover)
      : call_(call),
        window_(window),
        mover_(mover),
        composability_(composabilities<K, Real>[call.composability]),
        columns_{1, window.lanes_of_row, 0, call.out_width},
        keys_(call.span() + call.stride, 1, window.columns.pitch()),
        values_(call.span() + call.stride, call.m, window.columns.pitch()),
        queries_(2 * window.lanes_of_row),
        outputs_(2 * call.m * window.lanes_of_row),
        outside_(window.columns.pitch()),
        no_prior_(call.taps()),
        weights_(2 * call.taps()),
        key_rows_(call.kernel_size + 1),
        value_rows_(call.kernel_size + 1) {}

  // A unit is two rows of outputs of a group.
  static int64_t units(const Call& call) { return call.batch * call.groups * pairs(call); }

  void run(int64_t begin, int64_t end) {
    const bool shared = call_.stride == 1 && call_.dilation == 1;
    for (int64_t unit = begin; unit < end; unit++) {
      const int64_t plane = unit / pairs(call_), row = unit % pairs(call_) * 2;
      if (row == 0 || unit == begin) {
        keys_.restart();
        values_.restart();
      }
      const int64_t batch = plane / call_.groups, group = plane % call_.groups;
      const int64_t rows = row + 1 < call_.out_height ? 2 : 1;
      if (shared && rows == 2)
        compute<2>(batch, group, row);
      else
        for (int64_t r = 0; r < rows; r++) compute<1>(batch, group, row + r);
    }
  }

 private:
  static int64_t pairs(const Call& call) { return (call.out_height + 1) / 2; }

  template <int ROWS>
  void compute(int64_t batch, int64_t group, int64_t row) {
    const Members members = channels_of(call_, group);
    const Plane<Real> query(mover_, call_.query, batch, scalar_of(group));
    const Plane<Real> output(mover_, call_.output, batch, members);
    find_rows<ROWS>(batch, group, row);
    for (int r = 0; r < ROWS; r++) query.pack(queries_ + r * window_.lanes_of_row, 0, row + r, columns_);
    const Real* prior = call_.prior ? static_cast<const Real*>(call_.prior) + group * call_.taps() : no_prior_;
    for (int64_t x = 0; x < call_.out_width; x += lanes<Real>) {
      V inverse[ROWS];
      for (int r = 0; r < ROWS; r++) {
        const int64_t first = call_.zeros ? 0 : window_.first(row + r);
        const int64_t last = call_.zeros ? call_.kernel_size : window_.last(row + r);
        const V query_of_tile = load(queries_ + r * window_.lanes_of_row + x);
        const Tile<Real> tile{prior, key_rows_ + r, x, first, last, query_of_tile};
        inverse[r] = 1 / composability_.weigh(window_, tile, weights_ + r * call_.taps());
      }
      int64_t channel = 0;
      for (; channel + 4 <= members.count; channel += 4) gather<ROWS, 4>(channel, row, x, inverse);
      for (; channel < members.count; channel++) gather<ROWS, 1>(channel, row, x, inverse);
    }
    for (int r = 0; r < ROWS; r++)
      output.unpack(outputs_ + r * call_.m * window_.lanes_of_row, window_.lanes_of_row, row + r, columns_);
  }

  // Packs the rows of keys and values that the outputs see, and notes where they are: tap u of row r is rows[r + u].
  template <int ROWS>
  void find_rows(int64_t batch, int64_t group, int64_t row) {
    const Plane<Real> key(mover_, call_.key, batch, scalar_of(group));
    const Plane<Real> value(mover_, call_.value, batch, channels_of(call_, group));
    const int64_t top = window_.row(row, 0), bottom = window_.row(row + ROWS - 1, call_.kernel_size - 1) + 1;
    const int64_t first = top > 0 ? top : 0, last = bottom < call_.height ? bottom : call_.height;
    keys_.advance(key, first, last, window_.columns);
    values_.advance(value, first, last, window_.columns);
    for (int64_t j = 0; j < call_.kernel_size + ROWS - 1; j++) {
      const int64_t y = window_.row(row, j);
      key_rows_[j] = window_.inside(y) ? keys_.row(y) : outside_;
      value_rows_[j] = window_.inside(y) ? values_.row(y) : nullptr;
    }
  }

  // The outputs of C channels of ROWS rows.
  template <int ROWS, int C>
  void gather(int64_t channel, int64_t row, int64_t x, const V (&inverse)[ROWS]) {
    const int64_t k = side<K>(window_), below = call_.height - window_.row(row, 0);
    const int64_t rows = (below + call_.dilation - 1) / call_.dilation;
    const int64_t last = rows < k ? rows : k, place = channel * values_.pitch() + x;
    const V* weights[ROWS];
    for (int r = 0; r < ROWS; r++) weights[r] = weights_ + r * (k - 1) * k;
    V sums[ROWS][C] = {};
    int64_t j = window_.first(row);
    if (ROWS == 2 && j == 0) add_row(value_rows_[j++] + place, weights[0], sums[0]);
    for (; j < last; j++) add_rows(value_rows_[j] + place, j * k, weights, sums);
    if (ROWS == 2 && rows > k) add_row(value_rows_[k] + place, weights[ROWS - 1] + k * k, sums[ROWS - 1]);
    for (int r = 0; r < ROWS; r++)
      for (int c = 0; c < C; c++)
        store(outputs_ + (r * call_.m + channel + c) * window_.lanes_of_row + x, sums[r][c] * inverse[r]);
  }

  // Adds a row of values that all ROWS rows of outputs see, each by weights from `tap` on.
  template <int ROWS, int C>
  INLINE void add_rows(const Real* values, int64_t tap, const V* const (&weights)[ROWS], V (&sums)[ROWS][C]) const {
    const int64_t k = side<K>(window_), pitch = values_.pitch();
    ROLLED for (int64_t v = 0; v < k; v++) {
      V vectors[C];
      for (int c = 0; c < C; c++) {
        vectors[c] = load(values + c * pitch + shift<K>(window_, v));
        IN_REGISTER(vectors[c]);
      }
      for (int r = 0; r < ROWS; r++) {
        V weight = weights[r][tap + v];
        IN_REGISTER(weight);
        for (int c = 0; c < C; c++) sums[r][c] += weight * vectors[c];
      }
    }
  }

  // Adds a row of values that one row of outputs sees.
  template <int C>
  INLINE void add_row(const Real* values, const V* weights, V (&sums)[C]) const {
    const int64_t k = side<K>(window_), pitch = values_.pitch();
    ROLLED for (int64_t v = 0; v < k; v++)
      for (int c = 0; c < C; c++) sums[c] += weights[v] * load(values + c * pitch + shift<K>(window_, v));
  }

  const Call& call_;
  const Window<Real>& window_;
  const Mover<Real>& mover_;
  const Composability<Real>& composability_;
  const Columns columns_;  // of a row of queries or outputs
  Ring<Real> keys_, values_;
  Buffer<Real> queries_, outputs_, outside_, no_prior_;
  Buffer<V> weights_;
  Buffer<const Real*> key_rows_, value_rows_;
};

}  // namespace local_relation
