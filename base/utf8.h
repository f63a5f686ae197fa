// Whether bytes are UTF-8 text (RFC 3629).
#pragma once

#include <cstddef>
#include <string_view>

namespace tocsin {

/// The first byte that is no UTF-8 (overlong forms and surrogates included), or the size.
std::size_t first_not_utf8(std::string_view text);

}  // namespace tocsin
