// Rows of images on their way into packed rows and back: any dtype and strides outside, vectors of numbers inside.
#pragma once

#include "call.h"
#include "elements.h"
#include "vectors.h"

namespace local_relation {

// A packed row holds the padded image's columns X in `stride` parts: part φ has X = stride·a + φ at a = 0, 1, …, so
// that a tap of neighbouring outputs is a run of numbers whatever the stride. Image column x is X = x + padding.
struct Columns {
  int64_t stride, part, padding, width;

  int64_t pitch() const { return stride * part; }
  // The first a of part φ that is in the image, and how many there are.
  int64_t first(int64_t phase) const { return phase >= padding ? 0 : (padding - phase + stride - 1) / stride; }
  int64_t count(int64_t phase) const {
    const int64_t x = stride * first(phase) + phase - padding;
    return x >= width ? 0 : (width - 1 - x) / stride + 1;
  }
};

// The planes of a group's channels, or the one of a query or key.
struct Planes {
  int64_t count, step;  // step in elements of the image
};

template <class Element, class Real>
inline void pack_run(Real* to, const Element* from, int64_t count, int64_t step) {
  if (step == 1)
    for (int64_t i = 0; i < count; i++) widen(to[i], from[i]);
  else
    for (int64_t i = 0; i < count; i++) widen(to[i], from[i * step]);
}

template <class Element, class Real>
inline void unpack_run(Element* to, const Real* from, int64_t count, int64_t step) {
  if (step == 1)
    for (int64_t i = 0; i < count; i++) narrow(to[i], from[i]);
  else
    for (int64_t i = 0; i < count; i++) narrow(to[i * step], from[i]);
}

// Rows between `data`, one image row's first element, and packed rows `pitch` apart, a row for each plane. What a packed
// row has outside the image is left as it is.
template <class Element, class Real>
void pack(Real* rows, int64_t pitch, const char* data, Planes planes, int64_t column, const Columns& columns) {
  for (int64_t phase = 0; phase < columns.stride; phase++) {
    const int64_t first = columns.first(phase), count = columns.count(phase);
    Real* to = rows + phase * columns.part + first;
    const Element* from = reinterpret_cast<const Element*>(data);
    if (count > 0) from += (columns.stride * first + phase - columns.padding) * column;
    const int64_t step = columns.stride * column;
    if (planes.step == 1 && planes.count > 1)  // channels last: a pixel's channels are read together
      for (int64_t i = 0; i < count; i++)
        for (int64_t plane = 0; plane < planes.count; plane++) widen(to[plane * pitch + i], from[i * step + plane]);
    else
      for (int64_t plane = 0; plane < planes.count; plane++)
        pack_run(to + plane * pitch, from + plane * planes.step, count, step);
  }
}

template <class Element, class Real>
void unpack(const Real* rows, int64_t pitch, char* data, Planes planes, int64_t column, const Columns& columns) {
  for (int64_t phase = 0; phase < columns.stride; phase++) {
    const int64_t first = columns.first(phase), count = columns.count(phase);
    const Real* from = rows + phase * columns.part + first;
    Element* to = reinterpret_cast<Element*>(data);
    if (count > 0) to += (columns.stride * first + phase - columns.padding) * column;
    const int64_t step = columns.stride * column;
    if (planes.step == 1 && planes.count > 1)
      for (int64_t i = 0; i < count; i++)
        for (int64_t plane = 0; plane < planes.count; plane++) narrow(to[i * step + plane], from[plane * pitch + i]);
    else
      for (int64_t plane = 0; plane < planes.count; plane++)
        unpack_run(to + plane * planes.step, from + plane * pitch, count, step);
  }
}

// How rows of a dtype are packed and unpacked.
template <class Real>
struct Mover {
  int64_t itemsize;
  void (*pack)(Real*, int64_t, const char*, Planes, int64_t, const Columns&);
  void (*unpack)(const Real*, int64_t, char*, Planes, int64_t, const Columns&);
};

template <class Element, class Real>
constexpr Mover<Real> mover = {sizeof(Element), pack<Element, Real>, unpack<Element, Real>};

// One image's planes of a group, read and written a row at a time.
template <class Real>
class Plane {
 public:
  Plane(const Mover<Real>& mover, const Image& image, int64_t batch, Members members)
      : mover_(mover),
        image_(image),
        data_(image.data + mover.itemsize * (batch * image.batch + members.first * image.channel)),
        planes_{members.count, members.step * image.channel} {}

  void pack(Real* rows, int64_t pitch, int64_t y, const Columns& columns) const {
    mover_.pack(rows, pitch, row(y), planes_, image_.column, columns);
  }
  void unpack(const Real* rows, int64_t pitch, int64_t y, const Columns& columns) const {
    mover_.unpack(rows, pitch, row(y), planes_, image_.column, columns);
  }

 private:
  char* row(int64_t y) const { return data_ + mover_.itemsize * (y * image_.row); }

  const Mover<Real>& mover_;
  const Image& image_;
  char* data_;
  Planes planes_;
};

}  // namespace local_relation
