// The matcher behind every op's check(): the single authority for shapes, dtypes and strides.
//
//   Sym T{"T"}, D{"D"};
//   c.tensor("x", p.x).dtype(kFloats).shape({T, D}).rows();
//   c.tensor("weight", p.weight).dtype(kFloats).shape({D}).packed();
//   c.that(p.eps > 0, "eps", "a positive number", p.eps);
//
// A symbol is bound by the first tensor that uses it; later tensors must agree. In `describe` mode nothing is
// verified: the same calls collect the shapes for the message of an error that happened while the op ran.
#pragma once
#include <initializer_list>
#include <string>

#include "core/error.h"
#include "core/tensor_view.h"

namespace warploop {

/// A named size. `Sym{"Ps"}` is free; a plain number is a fixed size.
class Sym {
 public:
  explicit Sym(const char* name) : name_(name) {}
  /// One that is known: `from` is what error messages say it comes from.
  Sym(const char* name, int64_t value, const char* from, int axis)
      : name_(name), value_(value), from_(from), axis_(axis) {}
  int64_t value() const { return value_; }
  bool bound() const { return value_ >= 0; }

 private:
  friend class Check;

  const char* name_;
  int64_t value_ = -1;
  const char* from_ = "";  // the tensor, and its axis, that bound it
  int axis_ = 0;
};

/// One expected axis: a symbol, a number, or `any`.
class Dim {
 public:
  Dim(Sym& sym) : sym_(&sym) {}
  Dim(int64_t fixed) : fixed_(fixed) {}

 private:
  friend class Check;
  Sym* sym_ = nullptr;
  int64_t fixed_ = -1;
};
inline constexpr int64_t kAny = -1;

/// An axis ends well before 2^31, so that a kernel may count it, rounded up to its tiles, in 32 bits.
inline constexpr int64_t kMaxAxis = (int64_t{1} << 31) - (1 << 20);

inline constexpr unsigned dtype_bit(DType t) { return 1u << static_cast<int>(t); }
inline constexpr unsigned kFloats = dtype_bit(DType::f32) | dtype_bit(DType::f16) | dtype_bit(DType::bf16);
inline constexpr unsigned kF32 = dtype_bit(DType::f32);
inline constexpr unsigned kI32 = dtype_bit(DType::i32);

class Check {
 public:
  enum class Mode { verify, describe };
  explicit Check(const char* op, Mode mode = Mode::verify) : op_(op), mode_(mode) {}

  /// Begins the checks of a required tensor.
  Check& tensor(const char* name, const TensorView& t) {
    if (mode_ == Mode::verify && !t) fail_missing(name);
    return begin(name, t);
  }
  /// Begins the checks of an optional tensor; the rest of the chain is skipped when it is absent.
  Check& optional(const char* name, const TensorView& t) {
    begin(name, t);
    if (!t) current_ = nullptr;
    return *this;
  }

  Check& dtype(unsigned allowed) {
    if (active() && !(allowed & dtype_bit(current_->dtype))) fail_dtype(allowed);
    return *this;
  }
  Check& same_dtype(const TensorView& other, const char* other_name);
  /// The shape of `other`, whatever its rank.
  Check& like(const TensorView& other, const char* other_name);
  Check& shape(std::initializer_list<Dim> dims);
  /// The last axis is contiguous; outer strides are free.
  Check& rows() {
    if (active() && current_->rank > 0 && current_->size(-1) > 1 && current_->stride(-1) != 1) fail_rows();
    return *this;
  }
  /// No gaps at all.
  Check& packed();

  /// A condition on a scalar argument: "op: name: expected <expected>, got <got>".
  template <class T>
  Check& that(bool ok, const char* name, const char* expected, const T& got) {
    if (mode_ == Mode::verify && !ok)
      fail(ErrorKind::range, op_, ": ", name, ": expected ", expected, ", got ", got);
    return *this;
  }

  /// Whether the result ("out" or "dst") has no elements: nothing is to be run, whatever the other sizes.
  bool writes_nothing() const { return writes_nothing_; }

  /// "x [4, 256] f32, weight [256] bf16" of all tensors seen (describe mode).
  const std::string& description() const { return description_; }

 private:
  Check& begin(const char* name, const TensorView& t) {
    name_ = name;
    current_ = &t;
    if (!t) return *this;
    if (mode_ == Mode::describe)
      describe();
    else
      inspect();
    return *this;
  }
  /// What holds for every tensor of every op.
  void inspect();
  void describe();
  // Out of line, so that what passes costs a few comparisons.
  [[noreturn]] void fail_axis(int axis) const;
  [[noreturn]] void fail_missing(const char* name) const;
  [[noreturn]] void fail_dtype(unsigned allowed) const;
  [[noreturn]] void fail_shape(std::initializer_list<Dim> dims) const;
  [[noreturn]] void fail_rows() const;
  bool active() const { return mode_ == Mode::verify && current_ != nullptr; }

  const char* op_;
  Mode mode_;
  const char* name_ = "";
  const TensorView* current_ = nullptr;
  bool writes_nothing_ = false;
  std::string description_;
};

/// "[4, 256]"
std::string shape_text(const TensorView& t);

}  // namespace warploop
