#include "engine/compile/strings_build.h"

#include <hs/hs.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "base/check.h"
#include "base/hash.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace tocsin::engine {

namespace {

// From so many literals on one field a scan for all of them costs less than looking for each (tests/bench: some 100 ns).
constexpr std::size_t literals_for_a_scan = 8;

bool is_special(char c) { return std::string_view("\\^$.[]|()*+?{}#-/ ").find(c) != std::string_view::npos; }

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\0') {
      out += "\\x00";
    } else {
      if (is_special(c)) out += '\\';
      out += c;
    }
  }
  return out;
}

std::string expression_of(const TextPattern& pattern) {
  switch (pattern.kind) {
    case TextPattern::Kind::contains: return escaped(pattern.text);
    case TextPattern::Kind::starts_with: return "\\A" + escaped(pattern.text);
    case TextPattern::Kind::ends_with: return escaped(pattern.text) + "\\z";
    case TextPattern::Kind::like: {
      std::string out = "\\A";
      for (const char c : pattern.text) out += c == '*' ? ".*" : c == '?' ? "." : escaped({&c, 1});
      return out + "\\z";
    }
    case TextPattern::Kind::matches: return pattern.text;
  }
  return {};
}

unsigned hyperscan_flags(const TextPattern& pattern) {
  return HS_FLAG_SINGLEMATCH | HS_FLAG_UTF8 | HS_FLAG_DOTALL | HS_FLAG_ALLOWEMPTY |
         (pattern.ignoring_case ? HS_FLAG_CASELESS : 0U);
}

std::uint32_t library_options(bool ignoring_case) {
  return PCRE2_UTF | PCRE2_DOTALL | PCRE2_NEVER_BACKSLASH_C | (ignoring_case ? PCRE2_CASELESS : 0U);
}

bool platform() {
  static const bool able = hs_valid_platform() == HS_SUCCESS;
  return able;
}

/// Databases by what was compiled into them.
std::shared_ptr<hs_database> compiled(const std::vector<std::string>& expressions, const std::vector<unsigned>& flags) {
  static std::mutex mutex;
  static std::map<Digest, std::weak_ptr<hs_database>> known;
  std::string content;
  std::vector<const char*> texts;
  std::vector<unsigned> ids;
  for (std::size_t i = 0; i < expressions.size(); ++i) {
    content += expressions[i] + '\0' + std::to_string(flags[i]) + '\0';
    texts.push_back(expressions[i].c_str());
    ids.push_back(static_cast<unsigned>(i));
  }
  const Digest key = hash128(content);
  {
    const std::scoped_lock lock(mutex);
    const auto at = known.find(key);
    if (at != known.end()) {
      if (auto database = at->second.lock()) return database;
    }
  }
  hs_database_t* database = nullptr;
  hs_compile_error_t* problem = nullptr;
  const hs_error_t error = hs_compile_multi(texts.data(), flags.data(), ids.data(), static_cast<unsigned>(texts.size()),
                                            HS_MODE_BLOCK, nullptr, &database, &problem);
  if (problem != nullptr) hs_free_compile_error(problem);
  if (error != HS_SUCCESS) return nullptr;
  std::shared_ptr<hs_database> made(database, [](hs_database* d) { hs_free_database(d); });
  const std::scoped_lock lock(mutex);
  std::erase_if(known, [](const auto& entry) { return entry.second.expired(); });
  known[key] = made;
  return made;
}

std::shared_ptr<pcre2_real_code_8> compile_library(std::string_view expression, bool ignoring_case, int& error,
                                                   std::size_t& at) {
  pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
  pcre2_set_parens_nest_limit(context, 100);
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                                   library_options(ignoring_case), &error, &at, context);
  pcre2_compile_context_free(context);
  return {code, [](pcre2_real_code_8* c) { pcre2_code_free(c); }};
}

/// Whether both libraries may know different characters for it.
bool asks_unicode(const TextPattern& pattern) {
  return pattern.ignoring_case ||
         (pattern.kind == TextPattern::Kind::matches &&
          (pattern.text.find("\\p") != std::string::npos || pattern.text.find("\\P") != std::string::npos ||
           pattern.text.find("(?") != std::string::npos || pattern.text.find("\\X") != std::string::npos ||
           pattern.text.find("\\R") != std::string::npos));
}

/// Fills in how the pattern is answered. Gives the flags with which it may stand in a database; nothing: it may not.
std::optional<unsigned> settle(TextPattern& pattern) {
  const std::string expression = expression_of(pattern);
  const bool plain = !pattern.ignoring_case && pattern.kind != TextPattern::Kind::matches;
  std::optional<unsigned> flags;
  // Alone it is answered without a library; what matches nothing too is not worth a scan.
  if (plain) return platform() && !pattern.text.empty() ? std::optional(hyperscan_flags(pattern)) : std::nullopt;
  if (platform()) {
    flags = hyperscan_flags(pattern);
    pattern.alone = compiled({expression}, {*flags});
    if (!pattern.alone) {
      // Look-around, back references: what it can tell is which texts cannot match.
      *flags |= HS_FLAG_PREFILTER;
      *flags &= ~static_cast<unsigned>(HS_FLAG_SINGLEMATCH);
      pattern.alone = compiled({expression}, {*flags});
      pattern.final_yes = false;
    }
    if (!pattern.alone) flags.reset();
  }
  if (asks_unicode(pattern)) {
    pattern.final_yes = pattern.final_no = false;
  }
  if (pattern.alone && pattern.final_yes && pattern.final_no) return flags;
  int error = 0;
  std::size_t at = 0;
  pattern.library = compile_library(expression, pattern.ignoring_case, error, at);
  TOCSIN_CHECK(pattern.library != nullptr, pattern.text);
  return flags;
}

}  // namespace

std::optional<dsl::CheckOptions::PatternProblem> pattern_problem(std::string_view pattern, bool ignoring_case) {
  int error = 0;
  std::size_t at = 0;
  if (compile_library(pattern, ignoring_case, error, at)) return std::nullopt;
  PCRE2_UCHAR message[256] = {};
  pcre2_get_error_message(error, message, sizeof message);
  return dsl::CheckOptions::PatternProblem{reinterpret_cast<const char*>(message), at};
}

PatternId TextPatternsBuild::add(TextPattern::Kind kind, bool ignoring_case, std::string_view text) {
  const auto [known, fresh] =
      ids_.try_emplace({kind, ignoring_case, std::string(text)}, static_cast<PatternId>(patterns_.size()));
  if (fresh) patterns_.push_back({kind, ignoring_case, std::string(text), nullptr, nullptr, true, true});
  return known->second;
}

void TextPatternsBuild::may_share(std::uint32_t node, event::EventTypeId event, event::FieldIndex field,
                                  PatternId pattern) {
  uses_.push_back({node, event, field, pattern});
}

std::shared_ptr<const TextPatterns> TextPatternsBuild::finish(Codes& codes) {
  auto built = std::make_shared<TextPatterns>();
  std::vector<std::optional<unsigned>> flags;
  for (TextPattern& pattern : patterns_) flags.push_back(settle(pattern));
  std::map<std::pair<event::EventTypeId, event::FieldIndex>, std::set<PatternId>> fields;
  for (const Use& use : uses_) {
    if (!flags[use.pattern]) continue;
    fields[{use.event, use.field}].insert(use.pattern);
  }
  std::map<std::pair<event::EventTypeId, event::FieldIndex>, ScanId> scans;
  for (const auto& [field, patterns] : fields) {
    const auto literals = static_cast<std::size_t>(std::count_if(patterns.begin(), patterns.end(), [&](PatternId id) {
      return !patterns_[id].ignoring_case && patterns_[id].kind != TextPattern::Kind::matches;
    }));
    // A single pattern has its own database already.
    if (patterns.size() < 2 || (literals == patterns.size() && literals < literals_for_a_scan)) continue;
    TextScan scan;
    std::vector<std::string> expressions;
    std::vector<unsigned> all_flags;
    for (const PatternId id : patterns) {
      expressions.push_back(expression_of(patterns_[id]));
      all_flags.push_back(*flags[id]);
    }
    scan.database = compiled(expressions, all_flags);
    if (!scan.database) continue;  // too much for one database: each by itself
    scan.patterns.assign(patterns.begin(), patterns.end());
    scans[field] = static_cast<ScanId>(built->scans.size());
    built->scans.push_back(std::move(scan));
  }
  for (const Use& use : uses_) {
    const auto scan = scans.find({use.event, use.field});
    if (scan == scans.end() || !flags[use.pattern]) continue;
    const std::vector<PatternId>& shared = built->scans[scan->second].patterns;
    Node& node = codes.nodes[use.node];
    node.b = scan->second + 1;
    node.c = static_cast<std::uint32_t>(std::lower_bound(shared.begin(), shared.end(), use.pattern) - shared.begin());
  }
  built->patterns = std::move(patterns_);
  return built;
}

}  // namespace tocsin::engine
