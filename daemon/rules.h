// Rules as the daemon gets them: from files on the disk, or from the text that a checkpoint holds.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/compile/build.h"
#include "state/store.h"

namespace tocsin::daemon {

/// A rule set that runs, or why there is none.
struct RulesLoaded {
  std::shared_ptr<const engine::Ruleset> ruleset;
  std::string
      messages;  // what is to be said about the rules: errors when there is no ruleset, else warnings; may be empty
};

/// Asked for again at every reload, from a thread of its own: must not touch what the task owns.
using RuleLoader = std::function<RulesLoaded()>;

/// Reads, checks and builds what stands at the paths now. `lateness`: of the source.
RulesLoaded rules_of_files(const std::vector<std::string>& paths, Duration lateness = {});
/// The same of texts kept in a checkpoint. Files of lists and tables are among them.
RulesLoaded rules_of_texts(const std::vector<engine::RuleFileText>& files);

/// The text of the rules that were active at the checkpoint; nothing when the store is new.
Result<std::optional<std::vector<engine::RuleFileText>>> stored_rules(const state::Store& store);

std::vector<engine::RuleFileText> files_of(const engine::Ruleset& ruleset);
/// Same meaning and same text: going from one to the other would change nothing at all.
bool same_rules(const engine::Ruleset& a, const engine::Ruleset& b);

}  // namespace tocsin::daemon
