// The currencies of ISO 4217 in use.
#pragma once

#include <string_view>

namespace tocsin::dsl {

bool is_currency_code(std::string_view code);

}  // namespace tocsin::dsl
