// The library's entry points on small cases, for a sanitizer to watch: every tensor is a heap block of its own and of
// its exact size. A line of standard input is a case; what no sanitizer sees, as a gap that is written or an element
// that is not, ends the program with a message.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "native.cpp"

using local_relation::Body;
using local_relation::Call;
using local_relation::Image;

namespace {

int64_t parts = 1;  // into which a parallel loop is cut

int32_t parallel_for(int64_t begin, int64_t end, int64_t, Body body, void* context) {
  const int64_t step = (end - begin + parts - 1) / parts;
  for (int64_t first = begin; first < end; first += step) body(first, first + step < end ? first + step : end, context);
  return 0;
}

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(1);
}

// An image in one of three layouts: contiguous, channels last, or with a gap after every element.
class Tensor {
 public:
  Tensor(int64_t itemsize, int64_t layout, int64_t n, int64_t c, int64_t h, int64_t w)
      : itemsize_(itemsize), gap_(layout == 2 ? 2 : 1), count_(n * c * h * w), bytes_(new char[count_ * gap_ * itemsize]) {
    const bool last = layout == 1;
    image = {bytes_.get(), c * h * w * gap_, (last ? 1 : h * w) * gap_, (last ? w * c : w) * gap_, (last ? c : 1) * gap_};
    std::memset(bytes_.get(), 0xff, count_ * gap_ * itemsize);  // NaN in every dtype
  }

  void fill(int64_t dtype, uint32_t seed) {
    for (int64_t i = 0; i < count_; i++) {
      seed = seed * 1664525u + 1013904223u;
      const float number = static_cast<float>(seed >> 8) / (1 << 23) - 1;
      char* to = bytes_.get() + i * gap_ * itemsize_;
      local_relation::BFloat16 bfloat16;
      local_relation::Float16 float16;
      const double wide = number;
      narrow(bfloat16, number);
      narrow(float16, number);
      const void* sources[] = {&number, &bfloat16, &float16, &wide};
      std::memcpy(to, sources[dtype], itemsize_);
    }
  }

  // Every element written, no gap touched.
  void check(int64_t dtype, const std::string& name) const {
    for (int64_t i = 0; i < count_ * gap_; i++) {
      const char* from = bytes_.get() + i * itemsize_;
      double number = 0;
      float single = 0;
      if (dtype == 0) std::memcpy(&single, from, 4), number = single;
      if (dtype == 3) std::memcpy(&number, from, 8);
      if (dtype == 1) widen(single, *reinterpret_cast<const local_relation::BFloat16*>(from)), number = single;
      if (dtype == 2) widen(single, *reinterpret_cast<const local_relation::Float16*>(from)), number = single;
      if (std::isfinite(number) != (i % gap_ == 0)) fail(name + (i % gap_ ? ": a gap is written" : ": not a number"));
    }
  }
  std::string content() const { return std::string(bytes_.get(), count_ * gap_ * itemsize_); }

  Image image;

 private:
  int64_t itemsize_, gap_, count_;
  std::unique_ptr<char[]> bytes_;
};

struct Case {
  int64_t dtype, composability, zeros, strided, n, c, h, w, k, m, s, p, d, layout;
};

// All results of a case, byte by byte.
std::string run(const Case& x) {
  const int64_t itemsize = x.dtype == 3 ? 8 : x.dtype == 0 ? 4 : 2, g = (x.c + x.m - 1) / x.m, span = x.d * (x.k - 1) + 1;
  const int64_t ho = (x.h + 2 * x.p - span) / x.s + 1, wo = (x.w + 2 * x.p - span) / x.s + 1;
  const auto tensor = [&](int64_t c, int64_t h, int64_t w) { return Tensor(itemsize, x.layout, x.n, c, h, w); };
  Tensor query = tensor(g, ho, wo), key = tensor(g, x.h, x.w), value = tensor(x.c, x.h, x.w), output = tensor(x.c, ho, wo);
  Tensor grad = tensor(x.c, ho, wo), grad_query = tensor(g, ho, wo), grad_key = tensor(g, x.h, x.w);
  Tensor grad_value = tensor(x.c, x.h, x.w);
  const int64_t wide = x.dtype == 3 ? 3 : 0;
  Tensor prior(wide ? 8 : 4, 0, 1, g, x.k, x.k), grad_prior(wide ? 8 : 4, 0, 1, g, x.k, x.k);
  Tensor* inputs[] = {&query, &key, &value, &grad};
  for (uint32_t i = 0; i < 4; i++) inputs[i]->fill(x.dtype, i + 1);
  prior.fill(wide, 5);
  Call call{x.dtype, x.composability, x.zeros, x.strided, x.n, x.c, g, x.h, x.w, ho, wo, x.k, x.m, x.s, x.p, x.d,
            query.image, key.image, value.image, output.image, {}, {}, {}, prior.image.data, nullptr, parallel_for, nullptr};
  if (local_relation_forward(&call)) fail("forward failed");
  output.check(x.dtype, "output");
  call.output = grad.image;
  call.grad_query = grad_query.image;
  call.grad_key = grad_key.image;
  call.grad_value = grad_value.image;
  call.grad_prior = grad_prior.image.data;
  if (local_relation_backward(&call)) fail("backward failed");
  grad_query.check(x.dtype, "gradient of the query");
  grad_key.check(x.dtype, "gradient of the key");
  grad_value.check(x.dtype, "gradient of the value");
  grad_prior.check(wide, "gradient of the prior");
  return output.content() + grad_query.content() + grad_key.content() + grad_value.content() + grad_prior.content();
}

}  // namespace

int main() {
  Case x;
  int count = 0;
  while (std::scanf("%ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld", &x.dtype, &x.composability, &x.zeros,
                    &x.strided, &x.n, &x.c, &x.h, &x.w, &x.k, &x.m, &x.s, &x.p, &x.d, &x.layout) == 14) {
    parts = 1;
    const std::string whole = run(x);
    for (parts = 2; parts < 7; parts += 2)
      if (run(x) != whole) fail("other results in " + std::to_string(parts) + " parts");
    count++;
  }
  std::printf("%d\n", count);
}
