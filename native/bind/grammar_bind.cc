// Vocabularies, grammars and matchers for JavaScript (native/grammar). What takes long runs on Node's pool.
#include <exception>
#include <functional>

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

/// Work on a thread of Node's pool; the promise has what comes of it, or the error.
class InBackground : public Napi::AsyncWorker {
 public:
  /// Runs there. What it returns runs on the thread of the environment, and gives the value.
  using Work = std::function<std::function<Napi::Value(Napi::Env)>()>;

  static Napi::Value start(Napi::Env env, Work work) {
    auto* worker = new InBackground(env, std::move(work));  // deletes itself
    const Napi::Promise promise = worker->deferred_.Promise();
    worker->Queue();
    return promise;
  }

 protected:
  void Execute() override {
    try {
      finish_ = work_();
    } catch (...) {
      error_ = std::current_exception();
    }
  }

  void OnOK() override {
    const Napi::HandleScope scope(Env());
    try {
      if (error_) std::rethrow_exception(error_);
      deferred_.Resolve(finish_(Env()));
    } catch (const std::exception& error) {
      reject(error);
    }
  }

 private:
  InBackground(Napi::Env env, Work work) : AsyncWorker(env), deferred_(env), work_(std::move(work)) {}

  void reject(const std::exception& error) {
    try {
      throw_js(Env(), error);
    } catch (const Napi::Error& thrown) {
      deferred_.Reject(thrown.Value());
    }
  }

  Napi::Promise::Deferred deferred_;
  Work work_;
  std::function<Napi::Value(Napi::Env)> finish_;
  std::exception_ptr error_;
};

template <class T>
using Make = std::function<std::shared_ptr<T>()>;

/// Makes something there; the promise has its handle.
template <auto Table, class T>
Napi::Value make_in_background(Napi::Env env, Make<T> make) {
  return InBackground::start(env, [make = std::move(make)] {
    return [made = make()](Napi::Env env) -> Napi::Value {
      return Napi::Number::New(env, (state_of(env).*Table).add(made));
    };
  });
}

using Ints = std::vector<int32_t>;

Ints copy(std::span<const int32_t> from) { return {from.begin(), from.end()}; }

/// What makes a vocabulary of bytes and ends: token i has the bytes [ends[i - 1], ends[i]).
Make<Vocabulary> vocabulary_of(const Napi::CallbackInfo& info) {
  const auto bytes = elements<Napi::Uint8Array, uint8_t>(info, 0, napi_uint8_array);
  const auto ends = ints(info, 1);
  int32_t before = 0;
  for (int32_t end : ends) {
    if (end < before || static_cast<size_t>(end) > bytes.size()) fail(ErrorKind::range, "vocabulary: ends");
    before = end;
  }
  return [bytes = std::vector(bytes.begin(), bytes.end()), ends = copy(ends)]() mutable {
    return std::make_shared<Vocabulary>(std::move(bytes), std::move(ends));
  };
}

/// What makes a grammar of a program, its terminals, rules and start.
Make<Grammar> grammar_of(const Napi::CallbackInfo& info) {
  return [program = copy(ints(info, 0)), terminals = copy(ints(info, 1)), rules = copy(ints(info, 2)),
          start = index(info, 3)] {
    return grammar::read_grammar(grammar::Program{program, terminals, rules, start}, {});
  };
}

/// createVocabulary(bytes, ends): handle
Napi::Value create_vocabulary(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), state_of(info.Env()).vocabularies.add(vocabulary_of(info)()));
}

/// createVocabularyInBackground(bytes, ends): promise of a handle
Napi::Value create_vocabulary_in_background(const Napi::CallbackInfo& info) {
  return make_in_background<&AddonState::vocabularies>(info.Env(), vocabulary_of(info));
}

/// createGrammar(program, terminals, rules, start): handle
Napi::Value create_grammar(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), state_of(info.Env()).grammars.add(grammar_of(info)()));
}

/// createGrammarInBackground(program, terminals, rules, start): promise of a handle
Napi::Value create_grammar_in_background(const Napi::CallbackInfo& info) {
  return make_in_background<&AddonState::grammars>(info.Env(), grammar_of(info));
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

/// prepareNext(matcher, most): whether it is; false: it takes long
Napi::Value prepare_next(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), matcher_of(info).prepare_quickly(byte_count(info, 1)));
}

/// prepareNextInBackground(matcher, most): promise of undefined
Napi::Value prepare_next_in_background(const Napi::CallbackInfo& info) {
  return InBackground::start(
      info.Env(), [matcher = state_of(info.Env()).matchers.get(number(info, 0)), most = byte_count(info, 1)] {
        matcher->prepare(most);
        return [](Napi::Env env) { return env.Undefined(); };
      });
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
  method<create_vocabulary_in_background>(env, exports, "createVocabularyInBackground");
  method<create_grammar_in_background>(env, exports, "createGrammarInBackground");
  method<create_matcher>(env, exports, "createMatcher");
  method<prepare_next>(env, exports, "prepareNext");
  method<prepare_next_in_background>(env, exports, "prepareNextInBackground");
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
