#include "ops/embedding/embedding.h"

#include "bind/arguments.h"

namespace warploop {

void bind_embedding(Arguments& args) {
  EmbeddingParams p{};
  p.ids = args.tensor();
  p.table = args.optional_tensor();
  p.weight = args.optional_weight();
  p.out = args.tensor();
  args.submit<OpId::embedding>(p);
}

}  // namespace warploop
