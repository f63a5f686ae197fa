#include "engine/run/strings.h"

#include <hs/hs.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/hash.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace tocsin::engine {

namespace {

// Steps of the library per question: some milliseconds at most, and far more than any text of a field needs with a pattern whose
// form was found harmless (dsl/pattern.h).
constexpr std::uint32_t steps_max = 100'000;
constexpr std::uint32_t heap_kilobytes_max = 4096;
// Texts of one field remembered per batch; more than a batch usually has events.
constexpr std::size_t remembered = 1024;

bool is_ascii(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0x80U) != 0; });
}

int set_bit(unsigned id, unsigned long long, unsigned long long, unsigned, void* bits) {
  static_cast<std::uint64_t*>(bits)[id / 64] |= std::uint64_t{1} << (id % 64);
  return 0;
}

/// The bytes of the character that begins at `at`.
std::size_t character(std::string_view text, std::size_t at) {
  std::size_t end = at + 1;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) ++end;
  return end - at;
}

}  // namespace

bool like(std::string_view text, std::string_view pattern) {
  std::size_t t = 0;
  std::size_t p = 0;
  std::optional<std::pair<std::size_t, std::size_t>> star;  // behind the last `*`, and how far it reaches
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = {++p, t};
    } else if (p < pattern.size() && pattern[p] == '?') {
      ++p;
      t += character(text, t);
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star) {
      star->second += character(text, star->second);
      std::tie(p, t) = *star;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

TextMatcher::TextMatcher(std::shared_ptr<const TextPatterns> patterns) : patterns_(std::move(patterns)) {
  if (!patterns_) return;
  const auto reserve = [&](const hs_database* database) {
    if (database == nullptr) return;
    const hs_error_t error = hs_alloc_scratch(database, &scratch_);
    TOCSIN_CHECK(error == HS_SUCCESS, "no memory to scan texts with");
  };
  for (const TextPattern& pattern : patterns_->patterns) {
    reserve(pattern.alone.get());
    if (!pattern.library || match_ != nullptr) continue;
    match_ = pcre2_match_data_create(1, nullptr);
    limits_ = pcre2_match_context_create(nullptr);
    TOCSIN_CHECK(match_ != nullptr && limits_ != nullptr, "no memory to match texts with");
    pcre2_set_match_limit(limits_, steps_max);
    pcre2_set_depth_limit(limits_, steps_max);
    pcre2_set_heap_limit(limits_, heap_kilobytes_max);
  }
  for (const TextScan& scan : patterns_->scans) {
    reserve(scan.database.get());
    Memory memory;
    memory.words = (scan.patterns.size() + 63) / 64;
    memory.texts.resize(remembered);
    memory.bits.resize(remembered * memory.words);
    memories_.push_back(std::move(memory));
  }
}

void TextMatcher::release() {
  if (scratch_ != nullptr) hs_free_scratch(scratch_);
  if (match_ != nullptr) pcre2_match_data_free(match_);
  if (limits_ != nullptr) pcre2_match_context_free(limits_);
  scratch_ = nullptr;
  match_ = nullptr;
  limits_ = nullptr;
}

TextMatcher::~TextMatcher() { release(); }

TextMatcher::TextMatcher(TextMatcher&& other) noexcept { *this = std::move(other); }

TextMatcher& TextMatcher::operator=(TextMatcher&& other) noexcept {
  if (this == &other) return *this;
  release();
  patterns_ = std::move(other.patterns_);
  memories_ = std::move(other.memories_);
  scratch_ = std::exchange(other.scratch_, nullptr);
  match_ = std::exchange(other.match_, nullptr);
  limits_ = std::exchange(other.limits_, nullptr);
  batch_ = other.batch_;
  given_up_ = other.given_up_;
  scans_ = other.scans_;
  return *this;
}

std::optional<bool> TextMatcher::ask_library(const TextPattern& pattern, std::string_view text) {
  TOCSIN_CHECK(pattern.library != nullptr, pattern.text);
  // Texts of events were found to be UTF-8 when they were decoded; those of other places are looked at here.
  const int found =
      pcre2_match(pattern.library.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0, match_, limits_);
  if (found >= 0) return true;
  if (found == PCRE2_ERROR_NOMATCH) return false;
  ++given_up_;
  return std::nullopt;
}

std::optional<bool> TextMatcher::decide(const TextPattern& pattern, bool found, std::string_view text) {
  if (found) return pattern.final_yes ? std::optional(true) : ask_library(pattern, text);
  return pattern.final_no || is_ascii(text) ? std::optional(false) : ask_library(pattern, text);
}

std::optional<bool> TextMatcher::matches(PatternId id, std::string_view text) {
  const TextPattern& pattern = patterns_->patterns[id];
  if (!pattern.ignoring_case) {
    switch (pattern.kind) {
      case TextPattern::Kind::contains: return text.find(pattern.text) != std::string_view::npos;
      case TextPattern::Kind::starts_with: return text.starts_with(pattern.text);
      case TextPattern::Kind::ends_with: return text.ends_with(pattern.text);
      case TextPattern::Kind::like: return like(text, pattern.text);
      case TextPattern::Kind::matches: break;
    }
  }
  if (!pattern.alone) return ask_library(pattern, text);
  std::uint64_t bit = 0;
  ++scans_;
  const hs_error_t error =
      hs_scan(pattern.alone.get(), text.data(), static_cast<unsigned>(text.size()), 0, scratch_, set_bit, &bit);
  TOCSIN_CHECK(error == HS_SUCCESS, pattern.text);
  return decide(pattern, bit != 0, text);
}

std::optional<bool> TextMatcher::matches(ScanId id, std::uint32_t bit, std::string_view text) {
  const TextScan& scan = patterns_->scans[id];
  Memory& memory = memories_[id];
  const std::size_t place = hash_mix(reinterpret_cast<std::uint64_t>(text.data()), text.size()) % remembered;
  Remembered& known = memory.texts[place];
  std::uint64_t* bits = &memory.bits[place * memory.words];
  if (known.data != text.data() || known.size != text.size() || known.batch != batch_) {
    std::fill(bits, bits + memory.words, 0);
    ++scans_;
    const hs_error_t error =
        hs_scan(scan.database.get(), text.data(), static_cast<unsigned>(text.size()), 0, scratch_, set_bit, bits);
    TOCSIN_CHECK(error == HS_SUCCESS, "scanning a text");
    known = {text.data(), text.size(), batch_};
  }
  return decide(patterns_->patterns[scan.patterns[bit]], (bits[bit / 64] >> (bit % 64) & 1U) != 0, text);
}

}  // namespace tocsin::engine
