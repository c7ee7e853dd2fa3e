// Vectors of 32 bytes, which every compiler splits where the machine's are shorter, and e^x on them.
#pragma once

#include <cstdint>
#include <cstring>
#include <new>

// Sums that a caller keeps in registers must not go through memory to a function of their own.
#define INLINE inline __attribute__((always_inline))
// Unrolled over the taps as well, a loop over channels needs more registers than there are.
#define ROLLED _Pragma("GCC unroll 1")
// What several products use is to be loaded once; compilers would rather load it for each.
#ifdef __AVX__
#define IN_REGISTER(vector) asm("" : "+v"(vector))
#else
#define IN_REGISTER(vector)
#endif

namespace local_relation {

template <class Real>
struct VectorOf;
template <>
struct VectorOf<float> {
  typedef float Type __attribute__((vector_size(32)));
  typedef float Anywhere __attribute__((vector_size(32), aligned(sizeof(float)), may_alias));
  typedef uint32_t Bits __attribute__((vector_size(32)));
};
template <>
struct VectorOf<double> {
  typedef double Type __attribute__((vector_size(32)));
  typedef double Anywhere __attribute__((vector_size(32), aligned(sizeof(double)), may_alias));
  typedef uint64_t Bits __attribute__((vector_size(32)));
};
template <class Real>
using Vector = typename VectorOf<Real>::Type;
template <class Real>
constexpr int64_t lanes = 32 / sizeof(Real);

template <class Real>
INLINE Vector<Real> load(const Real* from) {
  return *reinterpret_cast<const typename VectorOf<Real>::Anywhere*>(from);
}

template <class Real>
INLINE void store(Real* to, const Vector<Real>& vector) {
  *reinterpret_cast<typename VectorOf<Real>::Anywhere*>(to) = vector;
}

// Rows to columns, in place: three times, the two halves are shuffled as cards are.
INLINE void transpose(Vector<float> (&block)[8]) {
#if defined(__clang__) || __GNUC__ >= 12
  for (int round = 0; round < 3; round++) {
    Vector<float> next[8];
    for (int i = 0; i < 4; i++) {
      next[2 * i] = __builtin_shufflevector(block[i], block[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
      next[2 * i + 1] = __builtin_shufflevector(block[i], block[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; i++) block[i] = next[i];
  }
#else
  for (int i = 0; i < 8; i++)
    for (int j = 0; j < i; j++) {
      const float kept = block[i][j];
      block[i][j] = block[j][i];
      block[j][i] = kept;
    }
#endif
}

template <class Real>
inline Real sum_of_lanes(const Vector<Real>& vector) {
  Real sum = 0;
  for (int64_t lane = 0; lane < lanes<Real>; lane++) sum += vector[lane];
  return sum;
}

inline constexpr int64_t round_up(int64_t count, int64_t step) { return (count + step - 1) / step * step; }

// e^x = 2^n·e^f with n = round(x·log2 e). Adding `magic` rounds and leaves n in the lowest bits. x ≤ 0, −∞ gives 0,
// and so does what is below the smallest normal number; a NaN stays one.
template <class Real>
struct Exponential;

template <>
struct Exponential<float> {
  static constexpr float lowest = -88.0296919f, log2_e = 1.44269504f, magic = 12582912.0f, ln_2 = 0.693147181f;
  static constexpr int mantissa = 23, bias = 127;

  static Vector<float> fraction(Vector<float> x, Vector<float> n) { return x - n * ln_2; }
  // Within 1.3 units in the last place, and 1 at 0.
  static Vector<float> power(Vector<float> f) {
    Vector<float> p = f * 0.00829027215f + 0.0418981599f;
    p = p * f + 0.166676381f;
    p = p * f + 0.499991478f;
    p = p * f + 0.999999706f;
    return p * f + 1.0f;
  }
};

template <>
struct Exponential<double> {
  static constexpr double lowest = -709.0895657128241, log2_e = 1.4426950408889634, magic = 6755399441055744.0;
  static constexpr int mantissa = 52, bias = 1023;

  static Vector<double> fraction(Vector<double> x, Vector<double> n) {
    return (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  }
  // Taylor's series: the next term is below 2e-17 where |f| ≤ ln(2)/2.
  static Vector<double> power(Vector<double> f) {
    constexpr double factorials[] = {6227020800.0, 479001600.0, 39916800.0, 3628800.0, 362880.0, 40320.0, 5040.0,
                                     720.0,        120.0,       24.0,       6.0,       2.0,      1.0};
    Vector<double> p = Vector<double>{} + 1.0 / factorials[0];
    for (int i = 1; i < 13; i++) p = p * f + 1.0 / factorials[i];
    return p * f + 1.0;
  }
};

template <class Real>
inline Vector<Real> exponential(Vector<Real> x) {
  using E = Exponential<Real>;
  Vector<Real> lowest = Vector<Real>{} + E::lowest;
  IN_REGISTER(lowest);
  x = lowest > x ? lowest : x;
  const Vector<Real> rounded = x * E::log2_e + E::magic;
  const Vector<Real> power = E::power(E::fraction(x, rounded - E::magic));
  const auto scale = ((typename VectorOf<Real>::Bits)rounded + E::bias) << E::mantissa;
  return power * (Vector<Real>)scale;
}

// Zeroed memory on a cache line's boundary, each array in a block of its own, so that a sanitizer sees its end.
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t count)
      : data_(static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(64)))) {
    std::memset(static_cast<void*>(data_), 0, count * sizeof(T));
  }
  ~Buffer() { ::operator delete(data_, std::align_val_t(64)); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  operator T*() const { return data_; }

 private:
  T* data_;
};

}  // namespace local_relation
