// The library's entry points: choose the types, and share the units of work among torch's threads.
#include <atomic>
#include <exception>

#include "backward.h"
#include "forward.h"

namespace local_relation {
namespace {

// A part of the work should be worth the microseconds that it takes to hand it to a thread.
constexpr int64_t kTapsOfAPart = 20000;

template <class Work, class Real>
struct Job {
  const Call& call;
  const Window<Real>& window;
  const Mover<Real>& mover;
  std::atomic<bool> failed;

  static void part(int64_t begin, int64_t end, void* context) {
    Job& job = *static_cast<Job*>(context);
    try {
      Work(job.call, job.window, job.mover).run(begin, end);
    } catch (const std::exception&) {  // memory; an exception must not leave through torch's C interface
      job.failed = true;
    }
  }
};

template <class Work, class Real>
int32_t share(const Call& call, const Window<Real>& window, const Mover<Real>& mover) {
  const int64_t units = Work::units(call);
  const int64_t taps = call.batch * call.groups * call.out_height * window.lanes_of_row * call.taps();
  const int64_t grain = taps ? kTapsOfAPart * units / taps : 0;
  Job<Work, Real> job{call, window, mover, {false}};
  const int32_t error = call.parallel(0, units, grain < 1 ? 1 : grain, Job<Work, Real>::part, &job);
  return error ? error : job.failed.load();
}

template <template <class, int> class Work, class Real>
int32_t with_mover(const Call& call, const Mover<Real>& mover) {
  const Window<Real> window(call);
  const bool seven = call.kernel_size == 7 && call.stride == 1 && call.dilation == 1;
  return seven ? share<Work<Real, 7>>(call, window, mover) : share<Work<Real, 0>>(call, window, mover);
}

template <template <class, int> class Work>
int32_t with_dtype(const Call& call) {
  constexpr Mover<float> narrow[] = {mover<float, float>, mover<BFloat16, float>, mover<Float16, float>};
  try {
    return call.dtype == 3 ? with_mover<Work>(call, mover<double, double>) : with_mover<Work>(call, narrow[call.dtype]);
  } catch (const std::exception&) {
    return 1;
  }
}

// The prior's gradient from the units' parts, always in the same order.
template <class Real>
void sum_partials(const Call& call) {
  const int64_t blocks = blocks_of(call), taps = call.taps();
  const Real* partials = static_cast<const Real*>(call.partials);
  for (int64_t group = 0; group < call.groups; group++)
    for (int64_t tap = 0; tap < taps; tap++) {
      double sum = 0;
      for (int64_t batch = 0; batch < call.batch; batch++)
        for (int64_t block = 0; block < blocks; block++)
          sum += partials[((batch * call.groups + group) * blocks + block) * taps + tap];
      static_cast<Real*>(call.grad_prior)[group * taps + tap] = static_cast<Real>(sum);
    }
}

template <class Real>
int32_t backward(Call call) {
  if (!call.grad_prior) return with_dtype<Backward>(call);
  const Buffer<Real> partials(call.batch * call.groups * blocks_of(call) * call.taps());
  call.partials = partials;
  const int32_t error = with_dtype<Backward>(call);
  if (!error) sum_partials<Real>(call);
  return error;
}

}  // namespace
}  // namespace local_relation

// Zero where all went well; else memory was short.
extern "C" int32_t local_relation_forward(const local_relation::Call* call) {
  return local_relation::with_dtype<local_relation::Forward>(*call);
}

extern "C" int32_t local_relation_backward(const local_relation::Call* call) {
  using namespace local_relation;
  try {
    return call->dtype == 3 ? backward<double>(*call) : backward<float>(*call);
  } catch (const std::exception&) {
    return 1;
  }
}
