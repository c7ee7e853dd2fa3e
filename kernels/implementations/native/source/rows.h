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
  // The first a of part φ that is in the image, the image's column there, and how many there are.
  int64_t first(int64_t phase) const { return phase >= padding ? 0 : (padding - phase + stride - 1) / stride; }
  int64_t image(int64_t phase) const { return stride * first(phase) + phase - padding; }
  int64_t count(int64_t phase) const {
    return image(phase) >= width ? 0 : (width - 1 - image(phase)) / stride + 1;
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

// As pack_run for `planes` planes of a channels_last image, a pixel's channels read together; eight by eight where the
// planes are eight.
template <class Element, class Real>
inline void pack_pixels(Real* to, int64_t pitch, const Element* from, int64_t count, int64_t step, int64_t planes) {
  int64_t i = 0;
  if constexpr (lanes<Real> == 8)
    for (; planes == 8 && i + 8 <= count; i += 8) {
      Vector<Real> block[8];
      for (int64_t pixel = 0; pixel < 8; pixel++) {
        Real channels[8];
        for (int64_t plane = 0; plane < 8; plane++) widen(channels[plane], from[(i + pixel) * step + plane]);
        block[pixel] = load(channels);
      }
      transpose(block);
      for (int64_t plane = 0; plane < 8; plane++) store(to + plane * pitch + i, block[plane]);
    }
  for (; i < count; i++)
    for (int64_t plane = 0; plane < planes; plane++) widen(to[plane * pitch + i], from[i * step + plane]);
}

template <class Element, class Real>
inline void unpack_pixels(Element* to, const Real* from, int64_t pitch, int64_t count, int64_t step, int64_t planes) {
  int64_t i = 0;
  if constexpr (lanes<Real> == 8)
    for (; planes == 8 && i + 8 <= count; i += 8) {
      Vector<Real> block[8];
      for (int64_t plane = 0; plane < 8; plane++) block[plane] = load(from + plane * pitch + i);
      transpose(block);
      for (int64_t pixel = 0; pixel < 8; pixel++) {
        Real channels[8];
        store(channels, block[pixel]);
        for (int64_t plane = 0; plane < 8; plane++) narrow(to[(i + pixel) * step + plane], channels[plane]);
      }
    }
  for (; i < count; i++)
    for (int64_t plane = 0; plane < planes; plane++) narrow(to[i * step + plane], from[plane * pitch + i]);
}

// Packs the row at `data`, `pitch` apart a row for each plane. What a packed row has outside the image is left as it is.
template <class Element, class Real>
void pack(Real* rows, int64_t pitch, const char* data, Planes planes, int64_t column, const Columns& columns) {
  for (int64_t phase = 0; phase < columns.stride; phase++) {
    const int64_t first = columns.first(phase), count = columns.count(phase), step = columns.stride * column;
    if (count <= 0) continue;
    Real* to = rows + phase * columns.part + first;
    const Element* from = reinterpret_cast<const Element*>(data) + columns.image(phase) * column;
    if (planes.step == 1 && planes.count > 1)
      pack_pixels(to, pitch, from, count, step, planes.count);
    else
      for (int64_t plane = 0; plane < planes.count; plane++)
        pack_run(to + plane * pitch, from + plane * planes.step, count, step);
  }
}

template <class Element, class Real>
void unpack(const Real* rows, int64_t pitch, char* data, Planes planes, int64_t column, const Columns& columns) {
  for (int64_t phase = 0; phase < columns.stride; phase++) {
    const int64_t first = columns.first(phase), count = columns.count(phase), step = columns.stride * column;
    if (count <= 0) continue;
    const Real* from = rows + phase * columns.part + first;
    Element* to = reinterpret_cast<Element*>(data) + columns.image(phase) * column;
    if (planes.step == 1 && planes.count > 1)
      unpack_pixels(to, from, pitch, count, step, planes.count);
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
