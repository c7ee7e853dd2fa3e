// The weights of a vector of outputs: Φ, the logits of all taps, and their softmax but for the division.
#pragma once

#include "window.h"

namespace local_relation {

struct Multiplication {
  template <class V>
  static V value(V query, V key) { return query * key; }
  template <class V>
  static V query_slope(V, V key) { return key; }
  template <class V>
  static V key_slope(V query, V) { return query; }
};

struct SquaredDifference {
  template <class V>
  static V value(V query, V key) { return -((query - key) * (query - key)); }
  template <class V>
  static V query_slope(V query, V key) { return (key - query) + (key - query); }
  template <class V>
  static V key_slope(V query, V key) { return (query - key) + (query - key); }
};

struct AbsoluteDifference {
  template <class V>
  static V value(V query, V key) {
    const V difference = query - key;
    return difference < 0 ? difference : -difference;
  }
  template <class V>
  static V sign(V x) {
    const V zero = {}, one = zero + 1;
    return x > 0 ? one : (x < 0 ? -one : x);
  }
  template <class V>
  static V query_slope(V query, V key) { return sign(key - query); }
  template <class V>
  static V key_slope(V query, V key) { return sign(query - key); }
};

// What the taps of a vector of outputs have in memory: outputs x to x + lanes, the rows of taps [first, last).
template <class Real>
struct Tile {
  const Real* prior;        // (k, k) of the group
  const Real* const* rows;  // (k): the packed row of keys of each u
  int64_t x, first, last;
  Vector<Real> query;
};

// e^(logit − largest) of k² taps into `weights`; returns their sum.
template <class Phi, int K, class Real>
Vector<Real> weigh(const Window<Real>& window, const Tile<Real>& tile, Vector<Real>* weights) {
  using V = Vector<Real>;
  const int64_t k = side<K>(window);
  const Real* border = window.border + tile.x;
  const V query = tile.query;
  V largest = V{} - std::numeric_limits<Real>::infinity();
  for (int64_t u = tile.first; u < tile.last; u++) {
    const Real* row = tile.rows[u] + tile.x;
    for (int64_t v = 0; v < k; v++) {
      const V key = load(row + shift<K>(window, v));
      const V logit = Phi::value(query, key) + (load(border + v * window.lanes_of_row) + tile.prior[u * k + v]);
      largest = logit > largest ? logit : largest;
      weights[u * k + v] = logit;
    }
  }
  V sum = {};
  for (int64_t tap = tile.first * k; tap < tile.last * k; tap++) {
    weights[tap] = exponential<Real>(weights[tap] - largest);
    sum += weights[tap];
  }
  return sum;
}

// Where the gradients of a vector of outputs go. Those of weights and keys are spread over rows of queries, tap by tap.
template <class Real>
struct Gradients {
  Vector<Real>* prior;  // (k²), added to
  Real *weights, *keys;
  int64_t pitch;
};

// From weights w and their gradients d, both k², to those of logits, w·(d − Σ_taps w·d), and on to those of keys and the
// prior; returns the query's.
template <class Phi, int K, class Real>
Vector<Real> differentiate(const Window<Real>& window, const Tile<Real>& tile, const Vector<Real>* weights,
                           const Vector<Real>* grad_weights, Vector<Real> mean, const Gradients<Real>& to) {
  using V = Vector<Real>;
  const int64_t k = side<K>(window), pitch = to.pitch;
  const V query = tile.query;  // read once: what is stored below might be it, for all that the compiler knows
  V grad_query = {};
  for (int64_t u = tile.first; u < tile.last; u++) {
    const Real* row = tile.rows[u] + tile.x;
    V* const grad_prior = to.prior + u * k;
    Real *spread_weights = to.weights + u * k * pitch + tile.x, *spread_keys = to.keys + u * k * pitch + tile.x;
    for (int64_t v = 0; v < k; v++) {
      const V key = load(row + shift<K>(window, v)), weight = weights[u * k + v];
      const V grad = weight * (grad_weights[u * k + v] - mean);
      grad_query += grad * Phi::query_slope(query, key);
      grad_prior[v] += grad;
      store(spread_weights + v * pitch, weight);
      store(spread_keys + v * pitch, V(grad * Phi::key_slope(query, key)));
    }
  }
  return grad_query;
}

// What depends on Φ.
template <class Real>
struct Composability {
  Vector<Real> (*weigh)(const Window<Real>&, const Tile<Real>&, Vector<Real>*);
  Vector<Real> (*differentiate)(const Window<Real>&, const Tile<Real>&, const Vector<Real>*, const Vector<Real>*,
                                Vector<Real>, const Gradients<Real>&);
};

template <class Phi, int K, class Real>
constexpr Composability<Real> composability = {weigh<Phi, K, Real>, differentiate<Phi, K, Real>};

template <int K, class Real>
constexpr Composability<Real> composabilities[] = {composability<Multiplication, K, Real>,
                                                   composability<SquaredDifference, K, Real>,
                                                   composability<AbsoluteDifference, K, Real>};

}  // namespace local_relation
