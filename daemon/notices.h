// What is worth saying while the daemon runs. Below app nobody logs: who has something to say hands it to a Notices
// callback, and app decides where it goes. Called from the thread of the task only.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tocsin::daemon {

enum class Level { debug, info, warning, error };

struct Notice {
  Level level = Level::info;
  std::string_view code;  // stable, for machines: "checkpoint", "reload_failed"; a constant
  std::string text;       // for a person
  std::vector<std::pair<std::string, std::string>> fields;
};

using Notices = std::function<void(const Notice&)>;

}  // namespace tocsin::daemon
