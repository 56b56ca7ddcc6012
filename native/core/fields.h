// In which order the members of an op's Params come from JavaScript: the function `fields` beside each.
#pragma once
#include <tuple>
#include <utility>

namespace warploop {

/// A field that a call may leave out: a view without data then.
template <class T>
struct Optional {
  T& field;
};
template <class T>
constexpr Optional<T> optional(T& field) {
  return {field};
}

/// References to fields, and what `optional` made of them.
template <class... Fields>
constexpr std::tuple<Fields...> in_order(Fields&&... fields) {
  return {std::forward<Fields>(fields)...};
}

}  // namespace warploop
