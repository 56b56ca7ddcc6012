// Vocabularies, grammars and matchers for JavaScript (native/grammar). Everything runs on the thread of its
// environment.
#include "bind/addon_state.h"
#include "grammar/matcher.h"
#include "grammar/program.h"

namespace warploop::bind {

namespace {

using grammar::Grammar;
using grammar::Matcher;
using grammar::Vocabulary;

template <class Array, class Element>
std::span<const Element> elements(const Napi::CallbackInfo& info, size_t index, napi_typedarray_type type) {
  if (!info[index].IsTypedArray() || info[index].As<Napi::TypedArray>().TypedArrayType() != type) {
    fail(ErrorKind::type, "native call: argument ", index, " must be another typed array");
  }
  const auto array = info[index].As<Array>();
  return {array.Data(), array.ElementLength()};
}

std::span<const int32_t> ints(const Napi::CallbackInfo& info, size_t index) {
  return elements<Napi::Int32Array, int32_t>(info, index, napi_int32_array);
}

/// -1: no index.
int32_t index(const Napi::CallbackInfo& info, size_t argument) {
  const double value = number(info, argument);
  return value >= 0 && value <= INT32_MAX ? static_cast<int32_t>(value) : -1;
}

/// createVocabulary(bytes, ends): handle; token i has the bytes [ends[i - 1], ends[i])
Napi::Value create_vocabulary(const Napi::CallbackInfo& info) {
  const auto bytes = elements<Napi::Uint8Array, uint8_t>(info, 0, napi_uint8_array);
  const auto ends = ints(info, 1);
  int32_t before = 0;
  for (int32_t end : ends) {
    if (end < before || static_cast<size_t>(end) > bytes.size()) fail(ErrorKind::range, "vocabulary: ends");
    before = end;
  }
  auto vocabulary = std::make_shared<Vocabulary>(std::vector(bytes.begin(), bytes.end()),
                                                 std::vector(ends.begin(), ends.end()));
  return Napi::Number::New(info.Env(), state_of(info.Env()).vocabularies.add(std::move(vocabulary)));
}

/// createGrammar(program, terminals, rules, start): handle
Napi::Value create_grammar(const Napi::CallbackInfo& info) {
  const grammar::Program program{ints(info, 0), ints(info, 1), ints(info, 2), index(info, 3)};
  return Napi::Number::New(info.Env(), state_of(info.Env()).grammars.add(grammar::read_grammar(program, {})));
}

/// createMatcher(grammar, vocabulary): handle
Napi::Value create_matcher(const Napi::CallbackInfo& info) {
  AddonState& state = state_of(info.Env());
  auto matcher =
      std::make_shared<Matcher>(state.grammars.get(number(info, 0)), state.vocabularies.get(number(info, 1)));
  return Napi::Number::New(info.Env(), state.matchers.add(std::move(matcher)));
}

Matcher& matcher_of(const Napi::CallbackInfo& info) {
  return *state_of(info.Env()).matchers.get(number(info, 0));
}

/// fillMask(matcher, words): whether any token may come
Napi::Value fill_mask(const Napi::CallbackInfo& info) {
  Matcher& matcher = matcher_of(info);
  const auto words = ints(info, 1);
  if (words.size() != static_cast<size_t>(matcher.vocabulary().words())) {
    fail(ErrorKind::range, "mask: expected ", matcher.vocabulary().words(), " words, got ", words.size());
  }
  auto* mask = reinterpret_cast<uint32_t*>(const_cast<int32_t*>(words.data()));
  return Napi::Boolean::New(info.Env(), matcher.fill_mask(mask));
}

/// acceptToken(matcher, token): whether it may come, and has
Napi::Value accept_token(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), matcher_of(info).accept(index(info, 1)));
}

/// rollbackTokens(matcher, count)
Napi::Value rollback_tokens(const Napi::CallbackInfo& info) {
  matcher_of(info).rollback(index(info, 1));
  return info.Env().Undefined();
}

/// isAccepting(matcher)
Napi::Value is_accepting(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), matcher_of(info).is_accepting());
}

/// forcedBytes(matcher, most): the bytes that must come next
Napi::Value forced_bytes(const Napi::CallbackInfo& info) {
  const std::vector<uint8_t> bytes = matcher_of(info).forced_bytes(byte_count(info, 1));
  auto array = Napi::Uint8Array::New(info.Env(), bytes.size());
  std::copy(bytes.begin(), bytes.end(), array.Data());
  return array;
}

template <auto Table>
Napi::Value dispose(const Napi::CallbackInfo& info) {
  (state_of(info.Env()).*Table).remove(number(info, 0));
  return info.Env().Undefined();
}

}  // namespace

void register_grammars(Napi::Env env, Napi::Object exports) {
  method<create_vocabulary>(env, exports, "createVocabulary");
  method<create_grammar>(env, exports, "createGrammar");
  method<create_matcher>(env, exports, "createMatcher");
  method<fill_mask>(env, exports, "fillMask");
  method<accept_token>(env, exports, "acceptToken");
  method<rollback_tokens>(env, exports, "rollbackTokens");
  method<is_accepting>(env, exports, "isAccepting");
  method<forced_bytes>(env, exports, "forcedBytes");
  method<dispose<&AddonState::vocabularies>>(env, exports, "disposeVocabulary");
  method<dispose<&AddonState::grammars>>(env, exports, "disposeGrammar");
  method<dispose<&AddonState::matchers>>(env, exports, "disposeMatcher");
}

}  // namespace warploop::bind
