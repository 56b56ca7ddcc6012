#include "ops/add/add.h"

#include "bind/arguments.h"

namespace warploop {

void bind_add(Arguments& args) {
  AddParams p{};
  p.a = args.tensor();
  p.b = args.tensor();
  p.out = args.tensor();
  p.scale = args.f32();
  args.submit<OpId::add>(p);
}

}  // namespace warploop
