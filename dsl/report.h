// All messages of one run in the forms that people and programs read: the text of LANGUAGE.md 2.7, one JSON object a line, SARIF 2.1.0
// (OASIS, the form of code scanning), and the workflow commands that GitHub turns into annotations. All from the same data.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dsl/diagnostic.h"

namespace tocsin::dsl {

enum class ReportFormat { text, json, sarif, github };
std::optional<ReportFormat> report_format_of(std::string_view name);

/// `last_line` is the summary; the forms for programs do without it. `version` is that of the program.
std::string report(const Diagnostics& diagnostics, const SourceSet& sources, ReportFormat format,
                   const std::string& last_line, std::string_view version);

}  // namespace tocsin::dsl
