// One walk over a rule file as written, for whoever asks a question of all of it: which names are used, where calls stand, what may be
// changed to see whether a test notices. A visitor overrides what it wants to see; the order is that of the text within one node.
#pragma once

#include "dsl/ast.h"

namespace tocsin::dsl {

class Visitor {
 public:
  virtual ~Visitor() = default;
  virtual void declaration(const ast::Decl& /*declaration*/) {}
  virtual void clause(const ast::Clause& /*clause*/) {}
  virtual void step(const ast::Step& /*step*/) {}
  virtual void test_step(const ast::TestStep& /*step*/) {}
  virtual void expression(const ast::Expr& /*expression*/) {}
  virtual void aggregate(const ast::Aggregate& /*aggregate*/) {}
  virtual void event_name(const ast::EventName& /*name*/) {}
  virtual void key(const ast::Key& /*key*/) {}
  virtual void object(const ast::Object& /*object*/) {}
  virtual void type(const ast::TypeRef& /*type*/) {}
  /// A list as it is named in `add … to @x`, `given @x has …`; in conditions it is Expr::list.
  virtual void list(const ast::Name& /*name*/) {}
};

void walk(const ast::File& file, Visitor& visitor);
void walk(const ast::Decl& declaration, Visitor& visitor);
void walk(const ast::Expr& expression, Visitor& visitor);

}  // namespace tocsin::dsl
