// Files that commands write in place of what stood there.
#pragma once

#include <string>
#include <string_view>

namespace tocsin::app {

/// The text is written beside the file and then put in its place, so that at no moment half of it is there. False when that failed; then
/// the file is as it was.
bool replace_file(const std::string& path, std::string_view text);

}  // namespace tocsin::app
