// Texts against patterns. Tests of one field that go well together (regular expressions, anything that ignores case, many literals) are
// one database, scanned once per text for all of them; the answers are remembered for the batch, so that a second rule, a second
// stratum or another event with the same text costs a look. A test that stands alone, or looks at another step's event, is
// answered by itself. (Wang et al., "Hyperscan: a fast multi-pattern regex matcher for modern CPUs", NSDI 2019.)
//
// What a pattern means is PCRE2's meaning with UTF-8 texts, `.` matching line ends too, and \w \d \s \b of ASCII. Hyperscan answers
// where it has the same meaning; PCRE2 has the last word where it has not: look-around, back references and the like, and
// non-ASCII texts when case is ignored, since the two know different years of Unicode. PCRE2 is interpreted and stops after
// a fixed number of steps: then the answer is unknown, and counted.
//
// Owner: the patterns belong to the ruleset and are constant; a matcher belongs to one engine, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct hs_database;
struct hs_scratch;
struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;

namespace tocsin::engine {

using PatternId = std::uint32_t;
using ScanId = std::uint32_t;

struct TextPattern {
  enum class Kind : std::uint8_t { contains, starts_with, ends_with, like, matches };
  Kind kind = Kind::contains;
  bool ignoring_case = false;
  std::string text;
  // How it is answered alone. A literal or a wildcard that respects case needs neither.
  std::shared_ptr<hs_database> alone;          // nothing: Hyperscan does not take it
  std::shared_ptr<pcre2_real_code_8> library;  // nothing: never asked
  bool final_yes = true;                       // Hyperscan's yes is final; else PCRE2 confirms it
  bool final_no = true;                        // its no is final for every text; else for ASCII only
};

/// The patterns of one field in one database.
struct TextScan {
  std::shared_ptr<hs_database> database;
  std::vector<PatternId> patterns;  // by bit
};

struct TextPatterns {
  std::vector<TextPattern> patterns;
  std::vector<TextScan> scans;
};

/// `*` any text, `?` one character, everything else itself; the whole text must fit. Linear in both.
bool like(std::string_view text, std::string_view pattern);

class TextMatcher {
 public:
  TextMatcher() = default;
  explicit TextMatcher(std::shared_ptr<const TextPatterns> patterns);
  ~TextMatcher();
  TextMatcher(TextMatcher&& other) noexcept;
  TextMatcher& operator=(TextMatcher&& other) noexcept;

  /// Texts that were looked at are no longer where they were: to be called between batches.
  void next_batch() { ++batch_; }
  /// Nothing: the library gave up, or the text is not UTF-8.
  std::optional<bool> matches(PatternId pattern, std::string_view text);
  /// The same, by scanning for all patterns of the field. The text stays where it is until next_batch().
  std::optional<bool> matches(ScanId scan, std::uint32_t bit, std::string_view text);

  [[nodiscard]] std::uint64_t given_up() const { return given_up_; }
  [[nodiscard]] std::uint64_t scans() const { return scans_; }

 private:
  struct Remembered {
    const char* data = nullptr;
    std::size_t size = 0;
    std::uint64_t batch = 0;
  };
  struct Memory {
    std::size_t words = 0;
    std::vector<Remembered> texts;    // by a hash of where the text is
    std::vector<std::uint64_t> bits;  // `words` for each
  };
  std::optional<bool> ask_library(const TextPattern& pattern, std::string_view text);
  std::optional<bool> decide(const TextPattern& pattern, bool found, std::string_view text);
  void release();

  std::shared_ptr<const TextPatterns> patterns_;
  std::vector<Memory> memories_;  // by scan
  hs_scratch* scratch_ = nullptr;
  pcre2_real_match_data_8* match_ = nullptr;
  pcre2_real_match_context_8* limits_ = nullptr;
  std::uint64_t batch_ = 1;
  std::uint64_t given_up_ = 0;
  std::uint64_t scans_ = 0;
};

}  // namespace tocsin::engine
