// What every weight format answers, by its number. A new format is a header beside dense.h with the functions
// of `Dense`, its line here, its row in weight_view.h, and the kernels that read it.
#pragma once
#include "core/check.h"
#include "formats/dense.h"
#include "formats/quantised.h"
#include "formats/weight_view.h"

namespace warploop {

/// Calls fn(Format{}) for the struct behind a format.
template <class Fn>
decltype(auto) dispatch_format(WeightFormat format, const Fn& fn) {
  switch (format) {
#define WARPLOOP_FORMAT(name, Name) \
  case WeightFormat::name:          \
    return fn(Name{});
    WARPLOOP_WEIGHT_FORMATS(WARPLOOP_FORMAT)
#undef WARPLOOP_FORMAT
  }
  __builtin_unreachable();  // Arguments::weight reads no other number
}

/// Sizes of the tensor behind a weight whose elements are `dtype`.
PackedShape packed_shape(WeightFormat format, DType dtype, const FormatNumbers& numbers,
                         const WeightShape& shape);

/// Whether a format can have such scales and offsets.
bool takes(WeightFormat format, const FormatNumbers& numbers);

/// The matcher for a weight: that its tensors are as its shape says.
void check_weight(const char* name, const WeightView& weight, Check& c);

/// Dtypes that x may have in a product with the weight, as Check::dtype takes them.
unsigned activations_of(const WeightView& weight);

/// What keeps the codes, scales and offsets of stored rows as they are.
struct PackedStored {
  WeightFormat format;
  ScaleType scale;
  OffsetType offset;
  bool has_zeros;  // a plane of zero points would do, too
};
PackedStored packed_stored(const StoredView& stored);

}  // namespace warploop
