#include "dsl/layout.h"

#include <algorithm>

#include "dsl/grammar_reader.h"
#include "dsl/walk.h"

namespace tocsin::dsl {
namespace {

/// As Reader::skip has it, without the comments.
const char* behind_blanks(const char* at, const char* end) {
  while (at != end) {
    if (*at == ' ' || (*at >= '\t' && *at <= '\r')) {
      ++at;
    } else if (*at == '\xC2' && end - at > 1 && at[1] == '\xA0') {
      at += 2;
    } else {
      break;
    }
  }
  return at;
}

class Starts : public Visitor {
 public:
  explicit Starts(const std::vector<Word>& words) : words_(words) {}

  void declaration(const ast::Decl& declaration) override {
    add(declaration.span.begin);
    if (declaration.event) add_fields(declaration.event->fields);
    if (declaration.table) add_fields(declaration.table->fields);
    if (!declaration.policy) return;
    const ast::PolicyDecl& policy = *declaration.policy;
    add_before(policy.combine.span.begin, 1);  // score
    for (const ast::PolicyLine& line : policy.lines) add(line.span.begin);
    if (policy.limit) add(policy.limit->span.begin);
    if (policy.on_error) add_before(policy.on_error->span.begin, 2);  // on error
  }
  void clause(const ast::Clause& clause) override {
    add(clause.span.begin);
    if (!clause.sequence) return;
    for (std::size_t i = 0; i < clause.sequence->steps.size(); ++i) {
      const ast::Step& step = clause.sequence->steps[i];
      for (const ast::Step& part : step.parts) add(part.span.begin);
      if (i == 0) {
        add(step.span.begin);
      } else {
        add_before(step.link_span ? step.link_span->begin : step.span.begin, 1);  // then
      }
    }
    if (clause.sequence->until) add(clause.sequence->until->span.begin);
  }
  void test_step(const ast::TestStep& step) override { add(step.span.begin); }

  std::vector<std::uint32_t> take() {
    std::sort(starts_.begin(), starts_.end());
    starts_.erase(std::unique(starts_.begin(), starts_.end()), starts_.end());
    close_blocks();
    return std::move(starts_);
  }

 private:
  void add(std::uint32_t offset) { starts_.push_back(offset); }
  void add_fields(const std::vector<ast::Field>& fields) {
    for (const ast::Field& field : fields) add(field.span.begin);
  }
  /// The word so many words before the one at `offset`.
  void add_before(std::uint32_t offset, std::size_t count) {
    auto at = std::lower_bound(words_.begin(), words_.end(), offset,
                               [](const Word& word, std::uint32_t o) { return word.begin < o; });
    while (count > 0 && at != words_.begin()) {
      --at;
      if (!at->comment) --count;
    }
    if (at != words_.end()) add(at->begin);
  }
  /// A brace whose content begins a line is that of a block, and its end begins one too.
  void close_blocks() {
    const std::vector<std::uint32_t> items = starts_;
    std::vector<bool> open;
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if (words_[i].comment) continue;
      if (words_[i].text == "{") {
        std::size_t next = i + 1;
        while (next < words_.size() && words_[next].comment) ++next;
        open.push_back(next < words_.size() && std::binary_search(items.begin(), items.end(), words_[next].begin));
      }
      if (words_[i].text == "}" && !open.empty()) {
        if (open.back()) starts_.push_back(words_[i].begin);
        open.pop_back();
      }
    }
    std::sort(starts_.begin(), starts_.end());
  }

  const std::vector<Word>& words_;
  std::vector<std::uint32_t> starts_;
};

}  // namespace

std::vector<Word> words_of(const SourceFile& source) {
  const grammar::Reader reader(source, 0);
  const char* const base = source.text().data();
  std::vector<Word> words;
  std::uint32_t line = 1;
  bool line_has_words = false;
  for (const char* at = reader.begin();;) {
    const char* const from = at;
    at = behind_blanks(at, reader.end());
    for (const char* c = from; c != at; ++c) {
      if (*c != '\n') continue;
      ++line;
      line_has_words = false;
    }
    if (at == reader.end()) return words;
    Word word;
    word.comment = *at == '#';
    const char* to = word.comment ? std::find(at, reader.end(), '\n') : reader.token_end(at);
    word.begin = static_cast<std::uint32_t>(at - base);
    word.line = line;
    word.alone = word.comment && !line_has_words;
    line_has_words = true;
    const char* last = to;
    if (word.comment) {
      while (last != at && (last[-1] == ' ' || last[-1] == '\r' || last[-1] == '\t')) --last;
    }
    word.text = std::string_view(at, static_cast<std::size_t>(last - at));
    words.push_back(word);
    at = to;
  }
}

std::vector<std::uint32_t> line_starts(const ast::File& file, const std::vector<Word>& words) {
  Starts starts(words);
  walk(file, starts);
  return starts.take();
}

}  // namespace tocsin::dsl
