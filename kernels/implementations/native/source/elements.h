// The dtypes that tensors hold, and their conversions, free of branches so that loops over them become vectors.
#pragma once

#include <cstdint>
#include <cstring>

namespace local_relation {

struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

inline float of_bits(uint32_t bits) {
  float number;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}

inline uint32_t bits_of(float number) {
  uint32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  return bits;
}

inline void widen(float& to, float from) { to = from; }
inline void widen(double& to, double from) { to = from; }
inline void widen(float& to, BFloat16 from) { to = of_bits(static_cast<uint32_t>(from.bits) << 16); }
inline void widen(float& to, Float16 from) {
  const uint32_t magnitude = (from.bits & 0x7fffu) << 13, exponent = magnitude & (0x7c00u << 13);
  const uint32_t normal = magnitude + (exponent == (0x7c00u << 13) ? 224u << 23 : 112u << 23);
  const uint32_t subnormal = bits_of(of_bits(magnitude + (113u << 23)) - of_bits(113u << 23));
  const uint32_t sign = (from.bits & 0x8000u) << 16;
  to = of_bits((exponent == 0 ? subnormal : normal) | sign);
}

// To the nearest, ties to even.
inline void narrow(float& to, float from) { to = from; }
inline void narrow(double& to, double from) { to = from; }
inline void narrow(BFloat16& to, float from) {
  const uint32_t bits = bits_of(from);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  to.bits = static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
}
inline void narrow(Float16& to, float from) {
  const uint32_t bits = bits_of(from), magnitude = bits & 0x7fffffffu;
  const uint32_t normal = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  // Adding 1/2 leaves the bits of a subnormal number, rounded, at the end.
  const uint32_t subnormal = bits_of(of_bits(magnitude) + 0.5f) - bits_of(0.5f);
  const uint32_t special = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
  const uint32_t finite = magnitude < (113u << 23) ? subnormal : normal;
  to.bits = static_cast<uint16_t>((magnitude >= (143u << 23) ? special : finite) | ((bits >> 16) & 0x8000u));
}

}  // namespace local_relation
