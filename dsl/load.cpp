#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "dsl/check.h"
#include "dsl/fix.h"
#include "dsl/parse.h"

namespace tocsin::dsl {
namespace {

/// Names that a text declares at the beginning of a line.
std::set<std::string> declared_names(std::string_view text) {
  constexpr std::string_view words[] = {"entity", "event", "table",   "list", "param",  "switch",
                                        "stream", "field", "feature", "rule", "policy", "sample"};
  const auto is_name = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  std::set<std::string> names;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    const auto word = std::find_if(std::begin(words), std::end(words), [&](std::string_view w) {
      return line.starts_with(w) && line.size() > w.size() && line[w.size()] == ' ';
    });
    if (word == std::end(words)) continue;
    line.remove_prefix(word->size());
    // An entity line names many; every other declaration names one.
    for (std::size_t i = 0; i < line.size();) {
      if (!is_name(line[i])) {
        if (line[i] == '#') break;
        ++i;
        continue;
      }
      std::size_t stop = i;
      while (stop < line.size() && is_name(line[stop])) ++stop;
      names.insert(std::string(line.substr(i, stop - i)));
      i = stop;
      if (*word != "entity") break;
    }
  }
  return names;
}

/// Names that the texts declare but no parsed declaration has: their declaration has a mistake.
std::set<std::string> lost_names(const SourceSet& sources, const std::vector<ast::File>& files) {
  std::set<std::string> names;
  for (const SourceFile& file : sources) names.merge(declared_names(file.text()));
  for (const ast::File& file : files) {
    for (const ast::Decl& decl : file.declarations) {
      if (decl.entity) {
        for (const ast::Name& name : decl.entity->names) names.erase(name.text);
      }
      if (decl.event) names.erase(decl.event->name.text);
      if (decl.table) names.erase(decl.table->name.text);
      if (decl.list) names.erase(decl.list->name.text);
      if (decl.param) names.erase(decl.param->name.text);
      if (decl.switch_) names.erase(decl.switch_->name.text);
      if (decl.stream) names.erase(decl.stream->name.text);
      if (decl.field) names.erase(decl.field->name.text);
      if (decl.feature) names.erase(decl.feature->name.text);
      if (decl.rule) names.erase(decl.rule->name.text);
      if (decl.policy) names.erase(decl.policy->name.text);
      if (decl.sample) names.erase(decl.sample->name.text);
    }
  }
  return names;
}

/// Whether the place is in a declaration that itself has a mistake in its writing: of it only parts were read.
bool in_half_read(const Diagnostic& d, const std::vector<Diagnostic>& written_wrong,
                  const std::vector<ast::File>& files) {
  for (const ast::File& file : files) {
    for (const ast::Decl& decl : file.declarations) {
      const auto within = [&](Span at) {
        return at.file == decl.span.file && at.begin >= decl.span.begin && at.begin <= decl.span.end;
      };
      if (!within(d.span)) continue;
      if (std::any_of(written_wrong.begin(), written_wrong.end(), [&](const Diagnostic& w) { return within(w.span); }))
        return true;
    }
  }
  return false;
}

/// Whether the message says of a name that nothing declares it.
bool names_something(const Diagnostic& d) {
  return d.code == Code::unknown_name || d.code == Code::unknown_event || d.code == Code::unknown_field ||
         d.code == Code::unknown_type || d.code == Code::unknown_list || d.code == Code::unknown_enum_value ||
         d.code == Code::unknown_function;
}

/// Whether a message only says that something is missing whose declaration did not parse.
bool follows(const Diagnostic& d, const std::set<std::string>& lost, bool half_read) {
  const bool of_absence = d.code == Code::unknown_name || d.code == Code::missing_clause ||
                          d.code == Code::unknown_step || d.code == Code::bad_event_declaration;
  if (half_read && of_absence) return true;
  if (d.code == Code::no_key_field) return !lost.empty();
  return names_something(d) && std::any_of(lost.begin(), lost.end(), [&](const std::string& name) {
           return d.message.find("`" + name + "`") != std::string::npos ||
                  d.message.find("@" + name + "`") != std::string::npos;
         });
}

/// Files of rules in the folders of the given files that were not given: rules are often checked a file at a time, without the events.
std::vector<std::string> files_beside(const std::vector<std::string>& paths, const SourceSet& given) {
  std::set<std::string> known;
  std::error_code problem;
  for (const SourceFile& file : given) known.insert(std::filesystem::weakly_canonical(file.path(), problem).string());
  std::set<std::string> folders;
  for (const std::string& path : paths) {
    if (std::filesystem::is_directory(path, problem)) continue;
    const std::string folder = std::filesystem::path(path).parent_path().string();
    folders.insert(folder.empty() ? "." : folder);
  }
  std::vector<std::string> beside;
  for (const std::string& folder : folders) {
    const Result<std::vector<std::string>> all = rule_files({folder});
    if (!all) continue;
    for (const std::string& file : all.value()) {
      if (!known.contains(std::filesystem::weakly_canonical(file, problem).string())) beside.push_back(file);
    }
  }
  return beside;
}

/// Of a name that is declared in a file beside those given, and in none of them, the first message says where.
void hint_at_files_beside(const std::vector<std::string>& beside, const SourceSet& given, Diagnostics& diagnostics) {
  const auto misses = [](const Diagnostic& d) { return names_something(d) || d.code == Code::no_key_field; };
  if (std::none_of(diagnostics.all().begin(), diagnostics.all().end(), misses)) return;
  std::map<std::string, std::vector<std::string>> places;
  for (const std::string& path : beside) {
    const Result<SourceSet> read = read_sources({path});
    if (!read) continue;
    for (const std::string& name : declared_names(read.value().front().text())) places[name].push_back(path);
  }
  for (const SourceFile& file : given) {
    for (const std::string& name : declared_names(file.text())) places.erase(name);
  }
  for (Diagnostic& d : diagnostics.list()) {
    if (!misses(d)) continue;
    const auto place = std::find_if(places.begin(), places.end(), [&](const auto& p) {
      return d.message.find("`" + p.first + "`") != std::string::npos ||
             d.message.find("@" + p.first + "`") != std::string::npos;
    });
    if (place == places.end()) continue;
    const auto& [name, files] = *place;
    const std::string folder = std::filesystem::path(files[0]).parent_path().string();
    d.hints.push_back("`" + name + "` is declared in " + files[0] +
                      (files.size() == 1 ? "" : " and " + std::to_string(files.size() - 1) + " more") +
                      ": check the folder, `tocsin check " + folder + "`");
    places.erase(place);
  }
}

}  // namespace

Loaded load_sources(SourceSet sources, const CheckOptions& options) {
  Loaded loaded;
  loaded.sources = std::move(sources);
  for (std::uint32_t i = 0; i < loaded.sources.size(); ++i) {
    loaded.files.push_back(parse(loaded.sources, i, loaded.diagnostics));
  }
  if (loaded.diagnostics.error_count() == 0) {
    loaded.book = check(loaded.sources, loaded.files, loaded.diagnostics, options);
  } else {
    // What did parse is checked all the same, so that one run says everything; left out is what would only repeat that a
    // declaration has a mistake, and warnings, which would speak of half a rule set.
    Diagnostics found;
    check(loaded.sources, loaded.files, found, options);
    const std::vector<Diagnostic> written_wrong = loaded.diagnostics.all();
    const std::set<std::string> lost = lost_names(loaded.sources, loaded.files);
    for (const Diagnostic& d : found.all()) {
      if (d.severity == Severity::warning || follows(d, lost, in_half_read(d, written_wrong, loaded.files))) continue;
      loaded.diagnostics.error(d.code, d.span, d.message) = d;
    }
    add_fixes(loaded.diagnostics, loaded.sources);
  }
  loaded.diagnostics.sort();
  return loaded;
}

Result<Loaded> load(const std::vector<std::string>& paths, CheckOptions options) {
  Result<SourceSet> read = read_sources(paths);
  if (!read) return read.error();
  SourceSet sources = read.take();
  const std::vector<std::string> beside = files_beside(paths, sources);
  options.lint.all_files = beside.empty();
  Loaded loaded = load_sources(std::move(sources), options);
  hint_at_files_beside(beside, loaded.sources, loaded.diagnostics);
  return loaded;
}

}  // namespace tocsin::dsl
