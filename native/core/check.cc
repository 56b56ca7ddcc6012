#include "core/check.h"

#include <algorithm>
#include <string_view>

namespace warploop {

std::string shape_text(const TensorView& t) {
  std::string s = "[";
  for (int i = 0; i < t.rank; i++) s += (i ? ", " : "") + std::to_string(t.sizes[i]);
  return s + "]";
}

void Check::describe() {
  const char* separator = description_.empty() ? "" : ", ";
  description_ += concat(separator, name_, " ", shape_text(*current_), " ", name_of(current_->dtype));
}

void Check::inspect() {
  bool is_empty = false;
  for (int i = 0; i < current_->rank; i++) {
    if (current_->sizes[i] > kMaxAxis) fail_axis(i);
    is_empty |= current_->sizes[i] == 0;
  }
  const std::string_view name = name_;
  if (is_empty && (name == "out" || name == "dst")) writes_nothing_ = true;
}

void Check::fail_axis(int axis) const {
  fail(ErrorKind::range, op_, ": ", name_, ": expected at most ", kMaxAxis, " elements on axis ", axis,
       ", got ", shape_text(*current_));
}

void Check::fail_missing(const char* name) const {
  fail(ErrorKind::type, op_, ": ", name, ": expected a tensor, got none");
}

void Check::fail_dtype(unsigned allowed) const {
  std::string names;
  for (int i = 0; i < kDTypeCount; i++) {
    if (allowed & (1u << i))
      names += (names.empty() ? "" : " or ") + std::string(name_of(static_cast<DType>(i)));
  }
  fail(ErrorKind::type, op_, ": ", name_, ": expected dtype ", names, ", got ", name_of(current_->dtype));
}

Check& Check::same_dtype(const TensorView& other, const char* other_name) {
  if (active() && current_->dtype != other.dtype) {
    fail(ErrorKind::type, op_, ": ", name_, ": expected dtype ", name_of(other.dtype), " (from ", other_name,
         "), got ", name_of(current_->dtype));
  }
  return *this;
}

Check& Check::like(const TensorView& other, const char* other_name) {
  if (!active()) return *this;
  const bool same =
      current_->rank == other.rank && std::equal(other.sizes, other.sizes + kMaxRank, current_->sizes);
  if (!same) {
    fail(ErrorKind::range, op_, ": ", name_, ": expected ", shape_text(other), " (the shape of ", other_name,
         "), got ", shape_text(*current_));
  }
  return *this;
}

Check& Check::shape(std::initializer_list<Dim> dims) {
  if (!active()) return *this;
  bool ok = current_->rank == static_cast<int>(dims.size());
  int axis = 0;
  for (const Dim& d : dims) {
    if (!ok) break;
    const int64_t got = current_->sizes[axis];
    if (!d.sym_) {
      ok = d.fixed_ == kAny || d.fixed_ == got;
    } else if (!d.sym_->bound()) {
      *d.sym_ = Sym(d.sym_->name_, got, name_, axis);
    } else {
      ok = d.sym_->value_ == got;
    }
    axis++;
  }
  if (!ok) fail_shape(dims);
  return *this;
}

/// "rmsNorm: weight: expected [D=4096] (D from x axis 1), got [2048]"
void Check::fail_shape(std::initializer_list<Dim> dims) const {
  std::string expected, origins;
  for (const Dim& d : dims) {
    if (!expected.empty()) expected += ", ";
    if (!d.sym_) {
      expected += d.fixed_ == kAny ? "any" : std::to_string(d.fixed_);
      continue;
    }
    const Sym& sym = *d.sym_;
    expected += sym.name_;
    if (sym.bound() && sym.from_ != name_) {
      expected += "=" + std::to_string(sym.value_);
      origins += concat(origins.empty() ? " (" : "; ", sym.name_, " from ", sym.from_, " axis ", sym.axis_);
    }
  }
  if (!origins.empty()) origins += ")";
  fail(ErrorKind::range, op_, ": ", name_, ": expected [", expected, "]", origins, ", got ",
       shape_text(*current_));
}

void Check::fail_rows() const {
  fail(ErrorKind::range, op_, ": ", name_, ": the last axis must be contiguous, got stride ",
       current_->stride(-1));
}

Check& Check::packed() {
  if (!active() || current_->numel() == 0) return *this;
  int64_t expected = 1;
  for (int i = current_->rank - 1; i >= 0; i--) {
    if (current_->sizes[i] > 1 && current_->strides[i] != expected) {
      fail(ErrorKind::range, op_, ": ", name_, ": must be contiguous, got stride ", current_->strides[i],
           " on axis ", i);
    }
    expected *= current_->sizes[i];
  }
  return *this;
}

}  // namespace warploop
