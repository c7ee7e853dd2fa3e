// Backward: a row of queries at a time gives its own gradients, and adds what it owes to the rows of keys that it sees.
// Each row of keys is summed by one thread, which recomputes the few rows of queries that it shares with another.
#pragma once

#include "spread.h"
#include "weights.h"

namespace local_relation {

// A unit is so many rows of keys, which fixes the order in which the prior's gradient is summed.
constexpr int64_t kRowsOfAUnit = 8;
inline int64_t blocks_of(const Call& call) { return (call.height + kRowsOfAUnit - 1) / kRowsOfAUnit; }

template <class Real, int K>
class Backward {
  using V = Vector<Real>;

 public:
  Backward(const Call& call, const Window<Real>& window, const Mover<Real>& mover)
      : call_(call),
        window_(window),
        mover_(mover),
        composability_(composabilities<K, Real>[call.composability]),
        spread_(call),
        query_columns_{1, window.lanes_of_row, 0, call.out_width},
        grad_columns_{1, spread_.pitch, spread_.left, call.out_width},
        keys_(call.span() + call.stride, 1, window.columns.pitch()),
        values_(call.span() + call.stride, call.m, window.columns.pitch()),
        grad_keys_(call.span() + call.stride, 1, spread_.columns.pitch()),
        grad_values_(call.span() + call.stride, call.m, spread_.columns.pitch()),
        query_(window.lanes_of_row),
        grad_query_(window.lanes_of_row),
        grad_(call.m * spread_.pitch),
        spread_weights_(call.taps() * spread_.pitch),
        spread_keys_(call.taps() * spread_.pitch),
        outside_(window.columns.pitch()),
        no_prior_(call.taps()),
        weights_(call.taps()),
        grad_weights_(call.taps()),
        grad_prior_(call.taps()),
        nobodys_prior_(call.taps()),
        key_rows_(call.kernel_size),
        value_rows_(call.kernel_size) {}

  static int64_t units(const Call& call) { return call.batch * call.groups * blocks_of(call); }

  void run(int64_t begin, int64_t end) {
    const int64_t blocks_of_plane = blocks_of(call_);
    while (begin < end) {
      const int64_t plane = begin / blocks_of_plane, first = begin % blocks_of_plane;
      const int64_t rest = blocks_of_plane - first, count = rest < end - begin ? rest : end - begin;
      compute(plane, first, first + count);
      begin += count;
    }
  }

 private:
  // The gradients of the rows of keys in blocks [first, last) of a plane, and of the queries that belong to them.
  void compute(int64_t plane, int64_t first, int64_t last) {
    const int64_t batch = plane / call_.groups, group = plane % call_.groups;
    const int64_t s = call_.stride, pad = call_.padding;
    const int64_t begin = first * kRowsOfAUnit, rows = last * kRowsOfAUnit;
    const int64_t end = rows < call_.height ? rows : call_.height;
    const int64_t above = begin + pad - call_.span() + 1, below = (end - 1 + pad) / s + 1;
    const int64_t start = above > 0 ? (above + s - 1) / s : 0, stop = below < call_.out_height ? below : call_.out_height;
    int64_t block = first, flushed = begin;
    keys_.restart();
    values_.restart();
    for (int64_t row = start; row < stop; row++) {
      // Query row i belongs to key row s·i, which every window holds that is at least as large as its padding.
      const bool own = row * s >= begin && row * s < end;
      for (; own && block < row * s / kRowsOfAUnit; block++) write_prior(plane, block);
      query_side(batch, group, row, own);
      key_side(channels_of(call_, group).count, row, begin, end);
      const int64_t done = window_.row(row + 1, 0);
      for (; flushed < end && flushed < done; flushed++) flush(batch, group, flushed);
    }
    for (; flushed < end; flushed++) flush(batch, group, flushed);
    for (; block < last; block++) write_prior(plane, block);
  }

  void query_side(int64_t batch, int64_t group, int64_t row, bool own) {
    const Members members = channels_of(call_, group);
    const Plane<Real> query(mover_, call_.query, batch, scalar_of(group));
    find_rows(batch, group, row);
    query.pack(query_, 0, row, query_columns_);
    Plane<Real>(mover_, call_.output, batch, members).pack(grad_, spread_.pitch, row, grad_columns_);
    const Real* prior = call_.prior ? static_cast<const Real*>(call_.prior) + group * call_.taps() : no_prior_;
    const int64_t first = call_.zeros ? 0 : window_.first(row);
    const int64_t last = call_.zeros ? call_.kernel_size : window_.last(row);
    for (int64_t x = 0; x < call_.out_width; x += lanes<Real>) {
      const Tile<Real> tile{prior, key_rows_, x, first, last, load(query_ + x)};
      const V inverse = 1 / composability_.weigh(window_, tile, weights_);
      differentiate_weights(members.count, row, tile);
      const V mean = normalise(tile, inverse);
      const Gradients<Real> to{own ? grad_prior_ : nobodys_prior_, spread_weights_ + spread_.left,
                               spread_keys_ + spread_.left, spread_.pitch};
      store(grad_query_ + x, composability_.differentiate(window_, tile, weights_, grad_weights_, mean, to));
    }
    clear_beyond_the_row();
    if (own) Plane<Real>(mover_, call_.grad_query, batch, scalar_of(group)).unpack(grad_query_, 0, row, query_columns_);
  }

  void find_rows(int64_t batch, int64_t group, int64_t row) {
    const Plane<Real> key(mover_, call_.key, batch, scalar_of(group));
    const Plane<Real> value(mover_, call_.value, batch, channels_of(call_, group));
    const int64_t top = window_.row(row, 0), bottom = window_.row(row, call_.kernel_size - 1) + 1;
    const int64_t first = top > 0 ? top : 0, last = bottom < call_.height ? bottom : call_.height;
    keys_.advance(key, first, last, window_.columns);
    values_.advance(value, first, last, window_.columns);
    for (int64_t u = 0; u < call_.kernel_size; u++) {
      const int64_t y = window_.row(row, u);
      key_rows_[u] = window_.inside(y) ? keys_.row(y) : outside_;
      value_rows_[u] = window_.inside(y) ? values_.row(y) : nullptr;
    }
  }

  // dw = Σ_c dy·x of all taps.
  void differentiate_weights(int64_t channels, int64_t row, const Tile<Real>& tile) {
    const int64_t k = side<K>(window_);
    for (int64_t tap = tile.first * k; tap < tile.last * k; tap++) grad_weights_[tap] = V{};
    int64_t channel = 0;
    for (; channel + 8 <= channels; channel += 8) add_products<8>(channel, row, tile.x);
    for (; channel + 2 <= channels; channel += 2) add_products<2>(channel, row, tile.x);
    for (; channel < channels; channel++) add_products<1>(channel, row, tile.x);
  }

  template <int C>
  void add_products(int64_t channel, int64_t row, int64_t x) {
    const int64_t k = side<K>(window_), pitch = values_.pitch();
    V grads[C];
    for (int c = 0; c < C; c++) {
      grads[c] = load(grad_ + (channel + c) * spread_.pitch + spread_.left + x);
      IN_REGISTER(grads[c]);
    }
    for (int64_t u = window_.first(row); u < window_.last(row); u++) {
      const Real* values = value_rows_[u] + channel * pitch + x;
      ROLLED for (int64_t v = 0; v < k; v++) {
        V sum = grad_weights_[u * k + v];
        for (int c = 0; c < C; c++) sum += grads[c] * load(values + c * pitch + shift<K>(window_, v));
        grad_weights_[u * k + v] = sum;
      }
    }
  }

  // Makes weights of what `weigh` has left; returns Σ_taps w·dw.
  V normalise(const Tile<Real>& tile, V inverse) {
    const int64_t k = side<K>(window_);
    V mean = {};
    for (int64_t tap = tile.first * k; tap < tile.last * k; tap++) {
      weights_[tap] *= inverse;
      mean += weights_[tap] * grad_weights_[tap];
    }
    return mean;
  }

  // Lanes beyond the row's last query hold what no query asked for.
  void clear_beyond_the_row() {
    const int64_t count = window_.lanes_of_row - call_.out_width;
    for (int64_t tap = 0; tap < call_.taps() && count; tap++) {
      const int64_t place = tap * spread_.pitch + spread_.left + call_.out_width;
      std::memset(spread_weights_ + place, 0, count * sizeof(Real));
      std::memset(spread_keys_ + place, 0, count * sizeof(Real));
    }
  }

  // Adds a row of queries' part of the gradients of the rows [begin, end) of keys and values.
  void key_side(int64_t channels, int64_t row, int64_t begin, int64_t end) {
    const auto wanted = [&](int64_t u) {
      return u < call_.kernel_size && window_.row(row, u) >= begin && window_.row(row, u) < end;
    };
    for (int64_t u = 0; u < call_.kernel_size; u++) {
      if (!wanted(u)) continue;
      if (wanted(u + 1)) {
        add_rows<2>(channels, row, u);
        u++;
      } else {
        add_rows<1>(channels, row, u);
      }
    }
  }

  // Adds to the ROWS rows of keys that taps u, u + 1, … of a row of queries see.
  template <int ROWS>
  void add_rows(int64_t channels, int64_t row, int64_t u) {
    Real *keys[ROWS], *values[ROWS];
    for (int r = 0; r < ROWS; r++) {
      keys[r] = grad_keys_.row(window_.row(row, u + r));
      values[r] = grad_values_.row(window_.row(row, u + r));
    }
    for (int64_t phase = 0; phase < call_.stride; phase++) {
      const auto& part = spread_.parts[phase];
      for (int64_t a = 0; a < spread_.columns.part && part.count; a += lanes<Real>) {
        const int64_t place = phase * spread_.columns.part + a, from = spread_.left + a - part.reach;
        for (int r = 0; r < ROWS; r++) add_keys(part, (u + r) * call_.kernel_size, from, keys[r] + place);
        int64_t channel = 0;
        for (; channel + 4 <= channels; channel += 4) add_values<ROWS, 4>(part, u, from, channel, values, place);
        for (; channel < channels; channel++) add_values<ROWS, 1>(part, u, from, channel, values, place);
      }
    }
  }

  using Part = typename Spread<Real>::Part;

  void add_keys(const Part& part, int64_t tap, int64_t from, Real* sums) {
    const int64_t step = part.step * spread_.pitch - part.stride;
    const Real* spread = spread_keys_ + (tap + part.v) * spread_.pitch + from;
    V sum = load(sums);
    for (int64_t i = 0; i < part.count; i++) sum += load(spread + i * step);
    store(sums, sum);
  }

  template <int ROWS, int C>
  void add_values(const Part& part, int64_t u, int64_t from, int64_t channel, Real* const (&to)[ROWS], int64_t place) {
    const int64_t pitch = spread_.columns.pitch(), step = part.step * spread_.pitch - part.stride;
    const Real* grad = grad_ + channel * spread_.pitch + from;
    const Real* weights[ROWS];
    V sums[ROWS][C];
    for (int r = 0; r < ROWS; r++) {
      weights[r] = spread_weights_ + ((u + r) * call_.kernel_size + part.v) * spread_.pitch + from;
      for (int c = 0; c < C; c++) sums[r][c] = load(to[r] + place + (channel + c) * pitch);
    }
    ROLLED for (int64_t i = 0; i < part.count; i++) {
      V grads[C];
      for (int c = 0; c < C; c++) {
        grads[c] = load(grad + c * spread_.pitch - i * part.stride);
        IN_REGISTER(grads[c]);
      }
      for (int r = 0; r < ROWS; r++) {
        V weight = load(weights[r] + i * step);
        IN_REGISTER(weight);
        for (int c = 0; c < C; c++) sums[r][c] += weight * grads[c];
      }
    }
    for (int r = 0; r < ROWS; r++)
      for (int c = 0; c < C; c++) store(to[r] + place + (channel + c) * pitch, sums[r][c]);
  }

  // Hands a finished row of gradients over and makes its place ready for another.
  void flush(int64_t batch, int64_t group, int64_t y) {
    const Plane<Real> key(mover_, call_.grad_key, batch, scalar_of(group));
    const Plane<Real> value(mover_, call_.grad_value, batch, channels_of(call_, group));
    key.unpack(grad_keys_.row(y), grad_keys_.pitch(), y, spread_.columns);
    value.unpack(grad_values_.row(y), grad_values_.pitch(), y, spread_.columns);
    grad_keys_.clear(y);
    grad_values_.clear(y);
  }

  void write_prior(int64_t plane, int64_t block) {
    if (!call_.grad_prior) return;
    Real* partial = static_cast<Real*>(call_.partials) + (plane * blocks_of(call_) + block) * call_.taps();
    for (int64_t tap = 0; tap < call_.taps(); tap++) {
      partial[tap] = sum_of_lanes<Real>(grad_prior_[tap]);
      grad_prior_[tap] = V{};
    }
  }

  const Call& call_;
  const Window<Real>& window_;
  const Mover<Real>& mover_;
  const Composability<Real>& composability_;
  const Spread<Real> spread_;
  const Columns query_columns_, grad_columns_;
  Ring<Real> keys_, values_, grad_keys_, grad_values_;
  Buffer<Real> query_, grad_query_, grad_, spread_weights_, spread_keys_, outside_, no_prior_;
  Buffer<V> weights_, grad_weights_, grad_prior_, nobodys_prior_;
  Buffer<const Real*> key_rows_, value_rows_;
};

}  // namespace local_relation
