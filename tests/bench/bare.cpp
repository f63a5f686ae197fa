#include "tests/bench/bare.h"

#include <simdjson.h>

#include "base/check.h"

namespace tocsin::bench {

struct Bare::Parser {
  simdjson::ondemand::parser parser;
};

Bare::Bare() : parser_(std::make_unique<Parser>()) {}
Bare::~Bare() = default;

std::uint64_t Bare::decode(std::span<const std::string_view> lines) {
  std::uint64_t sum = 0;
  for (const std::string_view line : lines) {
    simdjson::ondemand::document document;
    simdjson::ondemand::object object;
    bool good =
        parser_->parser.iterate(line.data(), line.size(), line.size() + simdjson::SIMDJSON_PADDING).get(document) ==
        simdjson::SUCCESS;
    good = good && document.get_object().get(object) == simdjson::SUCCESS;
    TOCSIN_CHECK(good);
    for (auto field : object) {
      std::string_view name;
      good = field.unescaped_key().get(name) == simdjson::SUCCESS;
      simdjson::ondemand::value value = field.value();
      sum += name.size();
      if (value.type() == simdjson::ondemand::json_type::string) {
        std::string_view text;
        good = good && value.get_string().get(text) == simdjson::SUCCESS;
        sum += text.size() + static_cast<unsigned char>(text[0]);
      } else {
        double number = 0;
        good = good && value.get_double().get(number) == simdjson::SUCCESS;
        sum += static_cast<std::uint64_t>(number);
      }
      TOCSIN_CHECK(good);
    }
  }
  return sum;
}

}  // namespace tocsin::bench
