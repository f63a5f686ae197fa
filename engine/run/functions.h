// What the built-in functions compute (dsl/functions.cpp says what they mean). Missing in, missing out; exact; texts they make live in
// the batch's arena.
#pragma once

#include <span>

#include "base/arena.h"
#include "event/function.h"
#include "event/value.h"

namespace tocsin::engine {

/// `arena`: for texts that are made; without one such a text is missing. ip_flag is not asked here: it needs a table.
event::Value call(event::Function function, std::span<const event::Value> arguments, Arena* arena);
/// Whether `word` stands among the blank-separated words.
bool has_word(std::string_view words, std::string_view word);

}  // namespace tocsin::engine
